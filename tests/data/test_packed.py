"""Crops on disk: the same pixels as fresh ones, made from one decode a picture, and never stale or damaged."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data import images
from opendas_plugin.data.augment import Augmentation
from opendas_plugin.data.images import read_image
from opendas_plugin.data.loader import CropLoader, SegmentCrops
from opendas_plugin.data.packed import PackedCrops
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import OutputError

POLICY = CropPolicy(size=16)


@pytest.fixture
def segments(tmp_path):
    """Twelve segments in three pictures."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(path)
        for place in range(4):
            mask = np.zeros((40, 50), bool)
            mask[5:30, 10 * place : 10 * place + 15] = True
            found.append(Segment.from_mask(path, mask, "thing"))
    return found


@pytest.fixture
def decodes(monkeypatch):
    """The pictures that were decoded, in order."""
    paths = []

    def read(path):
        paths.append(path.name)
        return read_image(path)

    monkeypatch.setattr(images, "read_image", read)
    return paths


def packed(tmp_path, segments, policy=POLICY):
    return PackedCrops(tmp_path / "cache", segments, policy)


def all_crops(crops, workers=0):
    order = np.random.default_rng(1).permutation(len(crops)).reshape(4, 3).tolist()
    found = {}
    for batch, indices in CropLoader(crops, order, workers=workers):
        found |= dict(zip(indices.tolist(), batch.numpy(), strict=True))
    return [found[index] for index in range(len(crops))]


@pytest.mark.parametrize("workers", [0, 3])
def test_a_second_run_decodes_nothing_and_sees_the_same_pixels(tmp_path, segments, decodes, workers):
    fresh = all_crops(SegmentCrops(segments, POLICY))
    first = all_crops(SegmentCrops(segments, POLICY, packed(tmp_path, segments)), workers)
    assert len(decodes) <= 3 * (
        2 + 3
    )  # those of the fresh crops among them; a thread may begin a picture beside another
    decodes.clear()
    cache = packed(tmp_path, segments)
    second = all_crops(SegmentCrops(segments, POLICY, cache), workers)
    assert not decodes and len(cache) == 12
    for one, other, again in zip(fresh, first, second, strict=True):
        assert (one == other).all() and (one == again).all()


def test_the_first_crop_of_a_picture_makes_all_of_its_crops(tmp_path, segments):
    cache = packed(tmp_path, segments)
    SegmentCrops(segments, POLICY, cache).crop(5)
    assert [cache.get(index) is not None for index in range(12)] == [4 <= index < 8 for index in range(12)]


def test_a_damaged_crop_is_made_again(tmp_path, segments, caplog):
    expected = all_crops(SegmentCrops(segments, POLICY, packed(tmp_path, segments)))
    (file,) = (tmp_path / "cache").rglob("crops.bin")
    content = bytearray(file.read_bytes())
    content[7 * 16 * 16 * 3 + 100] ^= 1
    file.write_bytes(content)
    again = all_crops(SegmentCrops(segments, POLICY, packed(tmp_path, segments)))
    assert all((one == other).all() for one, other in zip(expected, again, strict=True))
    assert "crop 7 is damaged" in caplog.text


def test_other_policies_masks_and_pictures_have_caches_of_their_own(tmp_path, segments):
    SegmentCrops(segments, POLICY, packed(tmp_path, segments)).crop(0)
    assert len(packed(tmp_path, segments)) == 4
    assert len(packed(tmp_path, segments, CropPolicy(size=16, expand=0.5))) == 0
    assert len(packed(tmp_path, segments[::-1])) == 0
    os.utime(segments[0].image, ns=(0, 0))
    assert len(packed(tmp_path, segments)) == 0


def test_augmented_crops_are_drawn_anew(tmp_path, segments):
    cache = packed(tmp_path, segments)
    crops = SegmentCrops(segments, POLICY, cache)
    views = [crops.crop(0, Augmentation("rrc_flip"), np.random.default_rng(seed)) for seed in (1, 2)]
    assert (views[0] != views[1]).any() and len(cache) == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path, segments):
    (tmp_path / "cache").touch()
    with pytest.raises(OutputError, match="could not make"):
        packed(tmp_path, segments)
