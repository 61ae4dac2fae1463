"""Calibration against trying every constant, and features and weights mixed against encoding at each share."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import load_domain
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.calibration import CANDIDATES, HeldOut, balance, choose_constant
from opendas_plugin.eval.classification import confusion_matrix, summarise
from opendas_plugin.eval.interpolation import sweep_features, sweep_weights
from opendas_plugin.eval.predict import predict
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig, WeightConfig

POLICY = CropPolicy(size=32)


def held_out(seed: int, preference: float) -> HeldOut:
    rng = np.random.default_rng(seed)
    labels, trained = rng.integers(0, 6, 300), np.arange(6) < 4
    cosines = rng.normal(0, 0.05, (300, 6)) + 0.1 * np.eye(6)[labels] + preference * trained
    return HeldOut(cosines.astype(np.float32), labels, trained)


def test_the_constant_undoes_the_preference_for_trained_names() -> None:
    folds = [held_out(seed, preference=0.08) for seed in range(3)]
    constant = choose_constant(folds)
    assert constant == pytest.approx(0.08, abs=0.03)
    assert all(balance(fold, constant) > balance(fold, 0.0) + 5 for fold in folds)
    assert choose_constant([held_out(5, preference=0.0)]) == pytest.approx(0.0, abs=0.03)


def test_balance_is_the_harmonic_mean_of_scikit_learns_scores() -> None:
    fold = held_out(1, 0.05)
    guesses = np.where(fold.trained, fold.cosines - 0.02, fold.cosines).argmax(axis=1)
    base, novel = (
        f1_score(fold.labels, guesses, labels=part, average="weighted", zero_division=0)
        for part in ([0, 1, 2, 3], [4, 5])
    )
    assert balance(fold, 0.02) == pytest.approx(100 * 2 * base * novel / (base + novel))
    assert 0.0 in CANDIDATES


@pytest.fixture
def blocks(domain):
    return load_domain(domain)


def labeller(clip, blocks, **settings) -> Labeller:
    return Labeller(clip, blocks.vocabulary, crops=POLICY, **settings)


def noisy(clip: OpenDASCLIP) -> OpenDASCLIP:
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    return clip


def test_calibrated_predictions_take_the_constant_from_the_adapters_own_names(tiny_backbone, blocks) -> None:
    clip = noisy(OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig()))
    plain = predict(labeller(clip, blocks), blocks.val, blocks.vocabulary)
    base = tuple(name.replace("block", "Blocks") for name in blocks.vocabulary.base)  # folded as names are
    clip.config = dataclasses.replace(clip.config, calibration=2.0, base_names=base)
    names, novel = blocks.vocabulary.names, blocks.vocabulary.novel
    calibrated = predict(labeller(clip, blocks, calibrated=True), blocks.val, blocks.vocabulary)
    assert {names[place] for place in calibrated.predictions} <= set(novel)  # nothing outweighs 2 cosines
    assert calibrated.novel_predictions.tolist() == plain.novel_predictions.tolist()
    assert (
        predict(labeller(clip, blocks), blocks.val, blocks.vocabulary).predictions.tolist()
        == plain.predictions.tolist()
    )


def scored(clip, blocks):
    found = predict(labeller(clip, blocks), blocks.val, blocks.vocabulary)
    vocabulary = blocks.vocabulary
    joint = confusion_matrix(found.labels, found.predictions, len(vocabulary.names))
    place = {vocabulary.index[name]: k for k, name in enumerate(vocabulary.novel)}
    rows = [
        (place[a], place[b])
        for a, b in zip(found.labels.tolist(), found.novel_predictions.tolist(), strict=True)
        if a in place
    ]
    return summarise(joint, confusion_matrix(*zip(*rows, strict=True), len(place)), vocabulary)


def test_one_evaluation_of_all_shares_equals_one_for_each(tiny_backbone, blocks) -> None:
    clip = noisy(OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig()))
    clip.interpolate(0.2, 0.2)  # what the adapter carries does not matter
    pairs = [(0.0, 0.0), (0.3, 0.3), (1.0, 0.5), (1.0, 1.0)]
    swept = sweep_features(labeller(clip, blocks, batch_size=4), blocks.val, blocks.vocabulary, pairs)
    for (visual, text), scores in zip(pairs, swept, strict=True):
        clip.interpolate(visual, text)
        assert scores == scored(clip, blocks)
    with clip.prompts_disabled():
        assert swept[0] == scored(clip, blocks)


def test_a_sweep_of_weights_equals_an_evaluation_of_each_and_encodes_what_is_frozen_once(
    tiny_backbone, blocks, monkeypatch
) -> None:
    weights = WeightConfig(text="all", mix=0.5)
    clip = noisy(OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig(0, 0), weights=weights))
    images, encode = [], OpenDASCLIP.encode_image
    with monkeypatch.context() as patch:
        patch.setattr(OpenDASCLIP, "encode_image", lambda self, *a, **k: (images.append(1), encode(self, *a, **k))[1])
        swept = sweep_weights(
            labeller(clip, blocks, batch_size=100),
            blocks.val,
            blocks.vocabulary,
            [0.0, 0.4, 1.0],
        )
    assert len(images) == 1 and clip.weight_mix == 0.5
    for clip.weight_mix, scores in zip((0.0, 0.4, 1.0), swept, strict=True):
        assert scores == scored(clip, blocks)


def test_what_has_nothing_to_mix_is_refused(tiny_backbone, blocks) -> None:
    tokens = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig())
    with pytest.raises(ConfigError, match="holds no weights to mix"):
        sweep_weights(labeller(tokens, blocks), blocks.val, blocks.vocabulary, [0.5])
    pairs = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig(2, 2, form="read_only"))
    with pytest.raises(ConfigError, match="read_only prompts have no features to interpolate"):
        sweep_features(labeller(pairs, blocks), blocks.val, blocks.vocabulary, [(0.5, 0.5)])
