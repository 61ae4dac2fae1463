"""``Labeller(pooling="dense")``: a mask's feature is the mean of the patches that it covers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import opendas_plugin as opendas
from opendas_plugin.data.domain import load_domain
from opendas_plugin.dense import DensePooling
from opendas_plugin.errors import ConfigError

NAMES = ["red block", "green block", "blue block"]


@pytest.fixture
def clip(tiny_backbone: str) -> opendas.OpenDASCLIP:
    return opendas.OpenDASCLIP.from_backbone(tiny_backbone)


def picture(height: int = 96, width: int = 128) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def blocks(height: int = 96, width: int = 128) -> np.ndarray:
    masks = np.zeros((3, height, width), dtype=bool)
    masks[0, :48, :32] = True  # whole patches, where the picture is resized to 32 x 43: cells of 24 pixels and more
    masks[1, 50:90, 60:110] = True
    return masks  # the third is empty


@torch.no_grad()
def by_hand(clip: opendas.OpenDASCLIP, image: np.ndarray, mask: np.ndarray, side: int) -> np.ndarray:
    height, width = (max(1, round(length * side / min(image.shape[:2]) / 16)) * 16 for length in image.shape[:2])
    resized = np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
    grid = clip.encode_dense(clip.pixels.normalise(torch.from_numpy(resized)[None]), normalize=True)[0].numpy()
    rows, columns = grid.shape[:2]
    total = np.zeros(grid.shape[-1])
    ys, xs = np.nonzero(mask)
    for y, x in zip(ys, xs, strict=True):  # a pixel lies in one patch, since the sides are multiples here
        total += grid[y * rows // mask.shape[0], x * columns // mask.shape[1]]
    return total / np.linalg.norm(total)


def test_features_are_means_of_patches_by_the_pixels_of_the_mask(clip) -> None:
    labeller = opendas.Labeller(clip, NAMES, pooling=DensePooling(short_side=48))
    image, masks = picture(), blocks()
    features = labeller.features(image, masks)
    for place in (0, 1):
        np.testing.assert_allclose(features[place], by_hand(clip, image, masks[place], 48), atol=1e-5)
    assert not features[2].any()
    labels = labeller(image, masks)
    with torch.no_grad():
        texts = clip.encode_text(clip.tokenize([f"a photo of a {name}." for name in NAMES]), normalize=True).numpy()
    np.testing.assert_allclose(labels.cosines[:2], features[:2] @ texts.T, atol=1e-5)
    assert labels.names[2] is None


def test_windows_see_all_patches_and_one_window_is_the_picture(clip) -> None:
    image, masks = picture(), blocks()
    at_once = opendas.Labeller(clip, NAMES, pooling=DensePooling(short_side=96)).features(image, masks)
    large = opendas.Labeller(clip, NAMES, pooling=DensePooling(short_side=96, window=1000)).features(image, masks)
    small = opendas.Labeller(clip, NAMES, pooling=DensePooling(short_side=96, window=64)).features(image, masks)
    np.testing.assert_array_equal(at_once, large)
    assert np.isfinite(small).all()
    assert np.abs(small - at_once).max() > 1e-3


def test_labelled_segments_get_the_names_that_their_pictures_masks_get(clip, domain) -> None:
    segments = load_domain(domain).val
    labeller = opendas.Labeller(clip, NAMES, pooling="dense")
    found = torch.zeros(len(segments), len(NAMES))
    for index, cosines in labeller.segments(segments):
        found[index] = cosines
    for place, segment in enumerate(segments):
        expected = labeller(segment.image, segment.mask()[None]).cosines[0]
        np.testing.assert_allclose(found[place].numpy(), expected, atol=1e-5)
    assert labeller.facts()["pooling"]["attention"] == "qq+kk"


def test_other_poolings_are_refused(clip) -> None:
    with pytest.raises(ConfigError, match="crops, dense or a DensePooling, got 'patches'"):
        opendas.Labeller(clip, NAMES, pooling="patches")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expected window to be 1 or more"):
        DensePooling(window=0)
