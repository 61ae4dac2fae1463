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
from opendas_plugin.eval.crop_choice import COMMON, CropChoice, choose_crops, may_be_equal, race
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
    first, again = (choose_crops(clip, blocks.train, blocks.vocabulary, sample=5, rounds=1) for _ in range(2))
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
    ("better", "worse", "open_"), [(9, 3, True), (12, 3, False), (0, 0, True), (5, 0, True), (6, 0, False)]
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
    old["accuracies"] = [{key: value for key, value in row.items() if key != "segments"} for row in old["accuracies"]]
    (tmp_path / "crops.json").write_text(json.dumps(old))
    assert CropChoice.read(tmp_path / "crops.json") == dataclasses.replace(found, close=())


def racing(answers, order, sample, rounds):
    """The race by the answers (P, N) of the first P common policies, and what was asked of each."""
    policies, asked = COMMON[: len(answers)], {policy: [] for policy in COMMON[: len(answers)]}

    def right(policy, places):
        asked[policy] += places.tolist()
        return answers[policies.index(policy)][places]

    return race(policies, right, np.array(order), sample, rounds), asked


def test_what_is_told_to_be_worse_leaves_and_the_others_go_on_with_the_next_segments():
    """Of 30 segments in reverse: A names all but the first right, B all but the last ten, C none but the last ten."""
    order = np.arange(30)[::-1]
    answers = np.array([np.arange(30) > 0, np.arange(30) < 20, np.arange(30) >= 20])
    found, asked = racing(answers, order, sample=10, rounds=9)  # the first ten: A 10, B 0, C 10
    a, b, c = COMMON[:3]
    assert asked == {a: [*range(20, 30), *range(10, 20)], b: [*range(20, 30)], c: [*range(20, 30), *range(10, 20)]}
    assert found.accuracies == {a: 100.0, b: 0.0, c: 50.0}  # C leaves in the second round, B stays dropped
    assert (found.chosen, found.segments, found.close, found.dropped) == (a, 20, (), {b: 10})
    assert found.crops == 50 and [found.seen(policy) for policy in (a, b, c)] == [20, 10, 20]


def test_a_policy_that_left_is_not_chosen_by_the_segments_that_it_saw():
    """A 10, B 4 of the first ten: B leaves; then A and C name nothing right, and fall below B's figure."""
    answers = np.zeros((3, 40), dtype=bool)
    answers[0, :10], answers[1, :4], answers[2, :10] = True, True, True
    found, _ = racing(answers, np.arange(40), sample=10, rounds=4)
    assert found.accuracies == {COMMON[0]: 25.0, COMMON[1]: 40.0, COMMON[2]: 25.0}
    assert found.chosen == COMMON[0] and found.close == (COMMON[2],)


@pytest.mark.parametrize(("sample", "rounds", "seen"), [(10, 1, 10), (10, 3, 30), (10, 9, 35), (50, 4, 35)])
def test_what_cannot_be_told_apart_is_compared_up_to_the_last_round_or_segment(sample, rounds, seen):
    answers = np.tile(np.arange(35) % 2 == 0, (4, 1))
    found, asked = racing(answers, np.arange(35), sample, rounds)
    assert found.segments == seen and all(places == [*range(seen)] for places in asked.values())
    assert found.chosen == COMMON[0] and found.close == COMMON[1:4] and not found.dropped


def test_a_race_reads_back_and_says_who_left_when(tmp_path, caplog):
    answers = np.zeros((3, 40), dtype=bool)
    answers[0, ::2], answers[2, ::2] = True, True
    found, _ = racing(answers, np.arange(40), sample=20, rounds=2)
    (tmp_path / "crops.json").write_text(json.dumps(found.record()))
    assert CropChoice.read(tmp_path / "crops.json") == found
    caplog.set_level("INFO")
    found.say()
    said = "40 training segments: keep 0.1 squash, 50.0% (keep 0.1 center 0.0 of 20; keep 0.5 squash 50.0); 1 other may"
    assert said in caplog.text


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_few_segments_tell_no_crops_apart(count):
    """Even where one names all of them right and another none, in one round or in rounds of one segment."""
    answers = np.array([[False] * count, [True] * count])
    for sample in (1, 500):
        found, _ = racing(answers, np.arange(count), sample, rounds=9)
        assert (found.chosen, found.segments, found.close) == (COMMON[1], count, (COMMON[0],)) and not found.dropped


def test_no_segments_are_refused():
    with pytest.raises(DataError, match="expected labelled segments to compare crops on, got none"):
        racing(np.zeros((2, 0), dtype=bool), [], 10, 4)
