"""Masks to class maps: the fusion pixel by pixel, and the classes against open_clip's own towers."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from opendas_plugin.crops import OPENAI_PIXELS, CropPolicy, crop
from opendas_plugin.data.domain import load_domain
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.eval.masks import classify_masks, fuse, map_entries, predict_maps, read_proposals, write_proposals
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP

POLICY = CropPolicy(size=32)


@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_a_pixel_takes_the_class_with_the_highest_sum_over_its_masks(seed, count):
    rng = np.random.default_rng(seed)
    masks = rng.random((count, 5, 7)) < 0.3
    probabilities = rng.dirichlet(np.ones(4), count).astype(np.float32)
    sums = np.einsum("mhw,mn->hwn", masks.astype(np.float64), probabilities.astype(np.float64))  # MaskFormer's rule
    expected = np.where(masks.any(axis=0), sums.argmax(axis=-1), -1)
    assert np.array_equal(fuse(list(masks), probabilities), expected)


@pytest.fixture(scope="module")
def blocks(domain):
    return load_domain(domain)


@pytest.fixture
def proposals(blocks, domain, tmp_path):
    """The validation segments' masks without their names, as a file."""
    nameless = [dataclasses.replace(one, label="", group=str(one.image.relative_to(domain))) for one in blocks.val]
    write_proposals(tmp_path / "proposals.json", nameless)
    return tmp_path / "proposals.json"


def test_masks_get_the_softmax_of_cosines_at_clips_scale(tiny_backbone, blocks, proposals, domain):
    clip = OpenDASCLIP.from_backbone(tiny_backbone, seed=1)
    masks = read_proposals(proposals, domain)
    _, found = classify_masks(Labeller(clip, blocks.vocabulary, crops=POLICY, batch_size=4), masks)
    for mask, probabilities in zip(masks, found, strict=True):
        cut = crop(np.asarray(Image.open(mask.image)), mask.mask(), POLICY)
        pixels = OPENAI_PIXELS.normalise(torch.from_numpy(cut)[None])
        with torch.no_grad():
            image, text, scale = clip.model(pixels, clip.tokenizer(blocks.vocabulary.texts()))[:3]
            expected = (scale * image @ text.T).softmax(dim=-1)[0]
        assert probabilities == pytest.approx(expected.numpy(), abs=1e-5)


def test_every_picture_gets_one_map_that_its_masks_cover(blocks, proposals, domain):
    masks = read_proposals(proposals, domain)
    places = [blocks.vocabulary.index[segment.label] for segment in blocks.val]
    certain = np.eye(len(blocks.vocabulary.names), dtype=np.float32)[places]
    maps = dict(predict_maps(masks, certain))
    assert sorted(maps) == sorted({mask.group for mask in masks})
    for segment in blocks.val:  # the blocks do not overlap
        classes = maps[str(segment.image.relative_to(domain))]
        assert set(classes[segment.mask()]) == {blocks.vocabulary.index[segment.label]}
    name, classes = next(iter(maps.items()))
    assert [entry["category_id"] for entry in map_entries(name, classes)] == sorted(set(classes[classes >= 0].tolist()))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda entries: entries[1].pop("segmentation"), DataError, "entry 2"),
        (lambda entries: entries[2].pop("file_name"), DataError, "entry 3"),
        (lambda entries: entries[0].update(file_name="gone.png"), MissingFileError, "gone.png"),
        (lambda entries: entries.clear(), DataError, "holds no masks"),
    ],
)
def test_a_file_that_holds_something_else_is_an_error(proposals, domain, change, error, says):
    entries = json.loads(proposals.read_text())
    change(entries)
    proposals.write_text(json.dumps(entries))
    with pytest.raises(error, match=says):
        read_proposals(proposals, domain)


def test_masks_of_unequal_sizes_in_one_picture_are_an_error(proposals, domain):
    entries = json.loads(proposals.read_text())
    entries[0]["segmentation"] = {"size": [2, 2], "counts": "04"}
    proposals.write_text(json.dumps(entries))
    with pytest.raises(DataError, match="another size or frame than others"):
        read_proposals(proposals, domain)
