"""Names known by a few segments beside their words, against the formula in numpy on open_clip's own features."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from opendas_plugin import CropPolicy, Labeller, OpenDASCLIP, PromptConfig, evaluate
from opendas_plugin.commands.evaluate import main
from opendas_plugin.data.manifest import read_manifest
from opendas_plugin.errors import ConfigError, DataError
from tests.conftest import RANDOM, make_domain

NAMES = ["red block", "green block", "sofa", "a thing"]
SIZE = (40, 56)


@pytest.fixture(scope="module")
def clip(tiny_backbone):
    return OpenDASCLIP.from_backbone(tiny_backbone, seed=1)


@pytest.fixture(scope="module")
def pictures():
    """Two pictures with three masks each, and the names of the masks."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for _ in range(2)]
    masks = np.zeros((2, 3, *SIZE), dtype=bool)
    masks[:, 0, 5:20, 8:30] = masks[:, 1, 22:, :19] = masks[:, 2, 10:35, 30:50] = True
    return images, list(masks), [["sofa", None, "red block"], ["sofa", "sofa", None]]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def by_hand(clip, features, names, weight):
    """The formula, a name at a time."""
    with torch.no_grad():
        text = clip.model.encode_text(
            clip.tokenizer([f"a photo of a {name}." for name in NAMES]), normalize=True
        ).numpy()
    centre, away = text.mean(axis=0), features.mean(axis=0)
    reach = np.linalg.norm(text - centre, axis=1).mean()
    rows = []
    for name, row in zip(NAMES, text, strict=True):
        own = [feature for feature, label in zip(features, names, strict=True) if label == name]
        if own:
            seen = centre + reach * unit(unit(np.mean(own, axis=0)) - away)
            row = unit((1 - weight) * row + weight * seen)
        rows.append(row)
    return np.stack(rows)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_a_names_feature_is_its_words_and_its_segments(clip, pictures, weight):
    images, masks, names = pictures
    labeller = Labeller(clip, NAMES)
    found = labeller.with_support(images, masks, names, weight=weight)
    features = np.concatenate([labeller.features(image, own) for image, own in zip(images, masks, strict=True)])
    expected = by_hand(clip, features, [name for own in names for name in own], weight)
    np.testing.assert_allclose(found.text.features.numpy(), expected, atol=1e-5)
    labels = found(images[0], masks[0])
    np.testing.assert_allclose(labels.cosines, features[:3] @ expected.T, atol=1e-5)
    np.testing.assert_allclose(
        labeller(images[0], masks[0]).cosines, features[:3] @ labeller.text.features.numpy().T, atol=1e-5
    )
    plain = labeller.text.features
    assert torch.equal(found.text.features[[1, 3]], plain[[1, 3]]), "names without segments are as they were"
    if not weight:
        torch.testing.assert_close(found.text.features, plain)


def test_one_name_is_known_by_its_segments_and_other_things_beside_them(clip, pictures):
    images, masks, _ = pictures
    labeller = Labeller(clip, NAMES).with_support(images[:1], masks[:1], [["sofa", None, None]], weight=1.0)
    assert labeller(images[0], masks[0]).names[0] == "sofa"
    assert labeller.facts()["support"] == {"weight": 1.0, "segments": {"sofa": 1}}
    with pytest.raises(DataError, match="support of two names or more, or of one and of other segments"):
        Labeller(clip, NAMES).with_support(images[:1], masks[:1], [["sofa", "sofa", "sofa"]])


def test_it_stands_on_an_adapter_and_follows_other_names(tiny_backbone, pictures):
    adapted = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig(visual_tokens=2, init_std=1.0), seed=1)
    images, masks, names = pictures
    plain = Labeller(adapted, NAMES)
    labeller = plain.with_support(images, masks, names)
    assert not torch.equal(labeller.text.features, plain.text.features)
    other = labeller.with_names(["Sofas", "a thing"])
    assert not torch.equal(other.text.features[0], plain.with_names(["Sofas", "a thing"]).text.features[0])
    torch.testing.assert_close(other.text.features[1], plain.text.features[3])
    with pytest.raises(ConfigError, match="choose the crops first"):
        labeller.with_crops(CropPolicy())


def test_what_cannot_be_support_is_refused(clip, tiny_backbone, pictures):
    images, masks, names = pictures
    labeller = Labeller(clip, NAMES)
    for bad, match in (
        ((images, masks, [["couch", None, None], [None] * 3]), "'couch' is none of the 4 names that compete"),
        ((images, masks, [["sofa", None], names[1]]), "expected a name for each mask"),
        ((images, masks[:1], names), "lists of pictures, of their masks"),
        ((images, [np.zeros_like(masks[0]), masks[1]], names), "a mask of the support is empty"),
        (([], [], []), "the support holds no picture"),
        ((images, masks, [[float("nan"), None, None], [None] * 3]), "as texts, or None for another thing, got nan"),
    ):
        with pytest.raises(DataError, match=match):
            labeller.with_support(*bad)
    for weight in (-0.1, 1.5, float("nan"), "half"):
        with pytest.raises(ConfigError, match="weight of the support to be from 0 to 1"):
            labeller.with_support(images, masks, names, weight=weight)
    prompts = PromptConfig(visual_tokens=0, text_tokens=4, text_depth=1, form="conditional")
    conditional = OpenDASCLIP.from_backbone(tiny_backbone, prompts=prompts)
    with pytest.raises(ConfigError, match="no text features to mix with"):
        Labeller(conditional, NAMES).with_support(images, masks, names)


@pytest.fixture
def others(tmp_path):
    """Labelled segments of other pictures, of base and novel names."""
    make_domain(tmp_path / "others", seed=7)
    return tmp_path / "others" / "val.jsonl"


def test_an_evaluation_takes_segments_of_other_pictures(domain, others, tiny_backbone, tmp_path, capsys):
    chosen = ["--backbone", tiny_backbone, *RANDOM, "--device", "cpu"]
    flags = ["--support", str(others), "--support-shots", "2", "--support-weight", "0.5"]
    data = ["classification", "--data", str(domain)]
    assert main([*data, "--output", str(tmp_path / "supported"), *chosen, *flags]) == 0
    assert "zero-shot, support" in capsys.readouterr().out
    summary = json.loads((tmp_path / "supported" / "summary.json").read_text())
    assert summary["support"]["weight"] == 0.5 and set(summary["support"]["segments"].values()) == {2}
    plain = evaluate(domain, tmp_path / "plain", backbone=tiny_backbone, pretrained="random", device="cpu")
    assert "support" not in plain and plain["acc"] != summary["acc"]
    segments = read_manifest(others)
    again = evaluate(
        domain,
        tmp_path / "all",
        backbone=tiny_backbone,
        pretrained="random",
        device="cpu",
        support=[others],
        support_shots=9,
    )
    assert sum(again["support"]["segments"].values()) == len(segments)


def test_of_a_thing_and_its_plural_only_the_one_that_competes_is_supported(clip, pictures):
    images, masks, _ = pictures
    names = [["cup", "cups", "desk"], [None, "cup", "desk"]]
    with pytest.raises(DataError, match="'cups' is none of the 2 names that compete"):
        Labeller(clip, ["cup", "desk"]).with_support(images, masks, names)
    of_both = Labeller(clip, ["cup", "cups", "desk"]).with_support(images, masks, names).text.support
    assert of_both.among(["cup", "desk"]) == ("cup", None, "desk", None, "cup", "desk")


def test_pictures_that_are_scored_are_no_support_under_whichever_name(domain, tiny_backbone, tmp_path):
    first = next(iter(read_manifest(domain / "val.jsonl")))
    copied = tmp_path / "copied.png"
    copied.write_bytes(first.image.read_bytes())
    lines = (domain / "val.jsonl").read_text().splitlines()
    same = [
        json.loads(line) | {"image": str(copied)}
        for line in lines
        if json.loads(line)["image"].endswith(first.image.name)
    ]
    (tmp_path / "support.jsonl").write_text("\n".join(map(json.dumps, same)) + "\n")
    with pytest.raises(DataError, match="1 picture of `support` is among those to score"):
        evaluate(
            domain,
            tmp_path / "out",
            backbone=tiny_backbone,
            pretrained="random",
            support=[tmp_path / "support.jsonl"],
            device="cpu",
        )
