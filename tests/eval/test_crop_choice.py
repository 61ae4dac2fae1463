"""Crops are chosen by what plain CLIP reads best, on training segments alone, and the same every time."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from opendas_plugin.crops import CropPolicy, crop
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.images import read_image
from opendas_plugin.errors import DataError
from opendas_plugin.eval.crop_choice import COMMON, CropChoice, choose_crops, may_be_equal
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig


@torch.no_grad()
def accuracies(clip, segments, names, policies):
    """Each policy's, one crop at a time by open_clip's own towers."""
    texts = clip.model.encode_text(clip.tokenizer([f"a photo of a {name}." for name in names]), normalize=True)

    def right(segment, policy):
        pixels = crop(read_image(segment.image), segment.mask(), policy, clip.pixels)
        image = clip.model.encode_image(clip.pixels.normalise(torch.from_numpy(pixels[None])), normalize=True)
        return names[int((image @ texts.T).argmax())] == segment.label

    return {policy: 100 * np.mean([right(segment, policy) for segment in segments]) for policy in policies}


def test_the_best_of_the_common_crops_by_plain_clip(domain, tiny_backbone, caplog):
    caplog.set_level("INFO")
    blocks = load_domain(domain)
    adapted = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig(), prompt_seed=5)
    found = choose_crops(adapted, blocks.train, blocks.vocabulary, workers=0)
    expected = accuracies(adapted, blocks.train, blocks.vocabulary.base, [policy.at(32) for policy in COMMON])
    assert found.accuracies == pytest.approx(expected)
    assert found.segments == len(blocks.train)
    assert expected[found.chosen] == max(expected.values())
    assert f"on {len(blocks.train)} training segments: {found.chosen}, " in caplog.text


def test_evaluation_segments_and_novel_names_are_not_looked_at(domain, tiny_backbone):
    blocks, clip = load_domain(domain), OpenDASCLIP.from_backbone(tiny_backbone)
    other = dataclasses.replace(blocks.vocabulary, names=(*blocks.vocabulary.base, "a", "b"), novel=("a", "b"))
    assert choose_crops(clip, blocks.train, blocks.vocabulary) == choose_crops(clip, blocks.train, other)


def test_a_sample_is_the_same_every_time_and_a_record_reads_back(domain, tiny_backbone, tmp_path):
    blocks, clip = load_domain(domain), OpenDASCLIP.from_backbone(tiny_backbone)
    first, again = (choose_crops(clip, blocks.train, blocks.vocabulary, sample=5) for _ in range(2))
    assert first == again
    assert first.segments == 5
    path = tmp_path / "crops.json"
    path.write_text(json.dumps(first.record()))
    assert CropChoice.read(path) == first
    path.write_text(json.dumps({**first.record(), "chosen": CropPolicy(expand=3).to_dict()}))
    with pytest.raises(DataError, match=r"crops\.json does not say which crops were chosen"):
        CropChoice.read(path)


def test_the_first_of_equal_ones_is_chosen():
    assert CropChoice({COMMON[0]: 50.0, COMMON[1]: 60.0, COMMON[2]: 60.0}, 9).chosen == COMMON[1]


@pytest.mark.parametrize(
    ("better", "worse", "open_"), [(9, 3, True), (12, 3, False), (0, 0, True), (3, 0, True), (4, 0, False)]
)
def test_crops_that_the_segments_do_not_tell_from_the_best_are_said(better, worse, open_):
    """By the counts on which the two answers differ: n_1 - n_2 against 1.96 sqrt(n_1 + n_2 - (n_1 - n_2)^2 / n)."""
    one = np.array([True] * better + [False] * worse + [True] * (100 - better - worse))
    other = np.array([False] * better + [True] * worse + [True] * (100 - better - worse))
    assert may_be_equal(one, other) is may_be_equal(other, one) is open_


def test_what_may_be_as_good_is_told_and_read_back_and_records_without_it_are_read(domain, tiny_backbone, tmp_path):
    blocks, clip = load_domain(domain), OpenDASCLIP.from_backbone(tiny_backbone)
    found = choose_crops(clip, blocks.train, blocks.vocabulary)
    best = found.accuracies[found.chosen]
    equal = {policy for policy, accuracy in found.accuracies.items() if accuracy == best and policy != found.chosen}
    assert equal <= set(found.close) and found.chosen not in found.close
    old = {key: value for key, value in found.record().items() if key != "close"}
    (tmp_path / "crops.json").write_text(json.dumps(old))
    assert CropChoice.read(tmp_path / "crops.json") == dataclasses.replace(found, close=())
