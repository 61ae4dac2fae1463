"""Milestones of a training share image features only where they are the same."""

from __future__ import annotations

import json

import pytest

import opendas_plugin as opendas
from opendas_plugin.data.domain import load_domain

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
