"""Milestones of a training share image features only where they are the same."""

from __future__ import annotations

import json

import pytest
import torch

import opendas_plugin as opendas
from opendas_plugin.data.domain import load_domain
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.runs.remembering import Remembered, RememberingLabeller

SHORT = {stage: {"epochs": 1} for stage in ("visual", "text", "joint")}
SCORES = ("acc", "w_f1", "b_f1", "n_f1")


@pytest.mark.parametrize(
    ("method", "encodings"),
    [("opendas", 2), ("vpt", 2), ("maple", 2), ("wise_ft_image", 2), ("wise_ft_text", 1), ("cocoop", 1)],
)
def test_what_a_stage_of_texts_leaves_as_it_was_is_not_encoded_again(
    method, encodings, domain, tiny_backbone, tmp_path, monkeypatch
):
    """And the scores are those of the adapter on its own, which nobody remembers for."""
    counted, encode = [], opendas.Labeller._encode
    settings = {"backbone": tiny_backbone, "pretrained": "random", "batch_size": 4, "workers": 0, **SHORT}
    with monkeypatch.context() as patch:
        patch.setattr(
            opendas.Labeller, "_encode", lambda self, pixels: counted.append(len(pixels)) or encode(self, pixels)
        )
        run = opendas.adapt(
            domain, tmp_path / "run", method=method, recipe="paper", report=False, device="cpu", **settings
        )
    assert sum(counted) == encodings * len(load_domain(domain).val)
    alone = opendas.evaluate(domain, tmp_path / "alone", adapter=run.adapter, device="cpu", report=False)
    assert [run.scores["after"][name] for name in SCORES] == [alone[name] for name in SCORES]
    files = [folder / "predictions.jsonl" for folder in (tmp_path / "run" / "after", tmp_path / "alone")]
    names = [[json.loads(line)["prediction"] for line in file.read_text().splitlines()] for file in files]
    assert names[0] == names[1]


def test_other_segments_are_encoded_though_the_list_is_the_same_object(domain, tiny_backbone):
    clip = OpenDASCLIP.from_backbone(tiny_backbone, "random", device="cpu")
    segments, labeller = list(load_domain(domain).val), RememberingLabeller(clip, ["a door", "a desk"])
    labeller.memory = Remembered()
    before = [features for _, features in labeller.segment_features(segments)]
    segments.reverse()
    after = [features for _, features in labeller.segment_features(segments)]
    plain = [features for _, features in opendas.Labeller(clip, ["a door", "a desk"]).segment_features(segments)]
    assert all(map(torch.equal, after, plain)) and not all(map(torch.equal, before, after))
