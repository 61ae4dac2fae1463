"""Segment crops are those of image and mask, and the loader gives them whatever its threads do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from opendas_plugin.crops import CropPolicy, crop
from opendas_plugin.data import images
from opendas_plugin.data.augment import Augmentation
from opendas_plugin.data.loader import CropCache, CropLoader, SegmentCrops
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError
from tests.data.layouts import make_segments

SMALL = CropPolicy(size=16)


@pytest.fixture
def segments(tmp_path) -> list[Segment]:
    """Four images with three segments each, in image order."""
    return make_segments(tmp_path / "images")


def count_reads(monkeypatch) -> list[Path]:
    reads: list[Path] = []
    read = images.read_image
    monkeypatch.setattr(images, "read_image", lambda path: reads.append(path) or read(path))
    return reads


@pytest.mark.parametrize("background", ["keep", "mean"])
def test_segment_crops_are_the_crops_of_image_and_mask(segments, background):
    policy = CropPolicy(background, 0.2, "center", 24)
    crops = SegmentCrops(segments, policy)
    assert len(crops) == len(segments)
    for index, segment in enumerate(segments):
        expected = crop(images.read_image(segment.image), segment.mask(), policy)
        assert np.array_equal(crops.crop(index), expected)


def test_a_mask_of_another_size_than_its_image_is_refused(segments):
    Image.new("RGB", (50, 41)).save(segments[0].image)
    with pytest.raises(DataError, match=r"0\.png is 50x41, but its mask 50x40"):
        SegmentCrops(segments, SMALL).crop(0)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=5), max_size=12),
    st.integers(0, 4),
    st.sampled_from([None, 0, 4000, 1 << 30]),
)
def test_the_loader_gives_the_batches_in_order(segments, batches, workers, cache_bytes):
    crops = SegmentCrops(segments, SMALL)
    cache = None if cache_bytes is None else CropCache(cache_bytes)
    for _ in range(2):
        given_batches = list(CropLoader(crops, batches, workers=workers, cache=cache))
        assert [indices.tolist() for _, indices in given_batches] == batches
        for pixels, indices in given_batches:
            assert pixels.dtype == torch.uint8
            assert pixels.shape == (len(indices), 16, 16, 3)
            for row, index in zip(pixels, indices.tolist(), strict=True):
                assert np.array_equal(row, crops.crop(index))


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_augmented_pixels_depend_on_the_seeds_and_not_on_the_threads(segments, workers):
    crops, batches, augment = SegmentCrops(segments, SMALL), [[0, 5], [7], [5, 2, 0]], Augmentation("rrc_flip")
    seeds = [11, 12, 13, 14, 15, 16]
    loader = CropLoader(
        crops, batches, workers=workers, augmentation=augment, seeds=seeds.__getitem__, cache=CropCache()
    )
    pixels = torch.cat([batch for batch, _ in loader])
    for row, index, seed in zip(pixels, [0, 5, 7, 5, 2, 0], seeds, strict=True):
        assert np.array_equal(row, crops.crop(index, augment, np.random.default_rng(seed)))
    assert not torch.equal(pixels[0], pixels[5])


def test_one_decode_serves_all_segments_of_an_image(segments, monkeypatch):
    reads = count_reads(monkeypatch)
    monkeypatch.setattr(images.ImageCache.__init__, "__defaults__", (1,))
    shuffled = np.random.default_rng(0).permutation(len(segments)).reshape(-1, 2).tolist()
    crops, cache = SegmentCrops(segments, SMALL), CropCache()
    for _ in range(3):
        for _ in CropLoader(crops, shuffled, workers=0, cache=cache):
            pass
    assert len(reads) == len(set(reads)) == 4


def test_without_a_cache_neighbours_share_a_decode(segments, monkeypatch):
    reads = count_reads(monkeypatch)
    batches = [[index] for index in range(len(segments))]
    for _ in CropLoader(SegmentCrops(segments, SMALL), batches, workers=2):
        pass
    assert len(reads) == 4


def test_the_cache_stops_at_its_bytes():
    cache, one = CropCache(max_bytes=2500), np.zeros((20, 20, 3), np.uint8)
    for index in (3, 4, 5, 3):
        cache.put(index, one)
    assert cache.used_bytes == 2400
    assert cache.get(3) is one
    assert cache.get(4) is one
    assert cache.get(5) is None


@pytest.mark.parametrize("workers", [0, 3])
def test_an_unreadable_image_ends_the_epoch_with_its_name(segments, workers):
    segments[6].image.write_bytes(b"broken")
    loader = CropLoader(SegmentCrops(segments, SMALL), [[index] for index in range(12)], workers=workers)
    given_batches = []
    with pytest.raises(DataError, match=r"2\.png cannot be read"):
        given_batches.extend(indices.item() for _, indices in loader)
    assert given_batches == [0, 1, 2, 3, 4, 5]


def test_the_caller_may_stop_early_and_start_again(segments):
    loader = CropLoader(SegmentCrops(segments, SMALL), [[index] for index in range(12)], workers=2)
    assert len(loader) == 12
    for _ in range(3):
        assert next(iter(loader))[1].tolist() == [0]
