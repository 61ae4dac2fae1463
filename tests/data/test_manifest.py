"""Manifests come back as they were written, and the loader gives each segment's crop whatever its threads do."""

from __future__ import annotations

import json
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
from opendas_plugin.data.manifest import CropCache, CropLoader, SegmentCrops, read_manifest, write_manifest
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError, MissingFileError, OutputError

SMALL = CropPolicy(size=16)
SEGMENTS_AN_IMAGE = 3


@pytest.fixture
def segments(tmp_path) -> list[Segment]:
    """Four images with three segments each, in image order."""
    return make_segments(tmp_path / "images")


def make_segments(folder: Path, count: int = 4) -> list[Segment]:
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    found = []
    for number in range(count):
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
        for place in range(SEGMENTS_AN_IMAGE):
            mask = np.zeros((40, 50), bool)
            mask[5 + place : 20 + place, 3 : 10 + 9 * place] = rng.random((15, 7 + 9 * place)) < 0.7
            found.append(Segment.from_mask(path, mask, f"class {place}", f"room {number % 2}"))
    return found


def count_reads(monkeypatch) -> list[Path]:
    reads: list[Path] = []
    read = images.read_image
    monkeypatch.setattr(images, "read_image", lambda path: reads.append(path) or read(path))
    return reads


def test_a_manifest_comes_back(tmp_path, segments):
    write_manifest(tmp_path / "out" / "train.jsonl", segments)
    back = read_manifest(tmp_path / "out" / "train.jsonl")
    assert [(one.label, one.group, dict(one.rle)) for one in back] == [
        (one.label, one.group, dict(one.rle)) for one in segments
    ]
    assert all(ours.image.samefile(theirs.image) for ours, theirs in zip(back, segments, strict=True))


def test_image_paths_are_relative_to_the_manifest_so_that_both_can_move(tmp_path):
    segments = make_segments(tmp_path / "images")
    write_manifest(tmp_path / "out" / "train.jsonl", segments)
    first = json.loads((tmp_path / "out" / "train.jsonl").read_text().splitlines()[0])
    assert first["image"] == "../images/0.png"
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "images").rename(moved / "images")
    (tmp_path / "out").rename(moved / "out")
    assert len(read_manifest(moved / "out" / "train.jsonl")) == len(segments)


def test_paths_hold_through_symbolic_links(tmp_path):
    segments = make_segments(tmp_path / "images")
    (tmp_path / "deep" / "disk").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "disk")
    write_manifest(tmp_path / "link" / "out" / "train.jsonl", segments)
    assert len(read_manifest(tmp_path / "link" / "out" / "train.jsonl")) == len(segments)
    assert len(read_manifest(tmp_path / "deep" / "disk" / "out" / "train.jsonl")) == len(segments)


def test_unknown_keys_and_blank_lines_are_passed_over(tmp_path, segments):
    path = tmp_path / "train.jsonl"
    write_manifest(path, segments[:2])
    lines = [json.dumps({**json.loads(line), "score": 0.5}) for line in path.read_text().splitlines()]
    path.write_text("\n\n".join(lines) + "\n\n")
    assert len(read_manifest(path)) == 2


def test_a_manifest_is_a_sequence_that_keeps_no_segment_in_memory(tmp_path, segments):
    path = tmp_path / "out" / "train.jsonl"
    write_manifest(path, segments)
    back = read_manifest(path)
    assert len(back) == 12 and back[-1] == list(back)[11] and back[2:4] == [back[2], back[3]]
    assert back == list(back) and back == read_manifest(path) and back != back[:11]
    with pytest.raises(IndexError):
        back[12]
    write_manifest(path, segments[:1])
    assert len(back) == 12 and back[7].label == segments[7].label  # what it was made from, to its end
    lines = path.read_text().splitlines()
    path.write_text("\n" + "\n\n".join(lines * 3))
    assert [segment.label for segment in read_manifest(path)] == [segments[0].label] * 3
    path.write_text("")
    assert list(read_manifest(path)) == []


def test_an_earlier_bad_mask_is_named_before_a_later_bad_line(tmp_path, segments):
    path = tmp_path / "out" / "train.jsonl"
    write_manifest(path, segments)
    lines = path.read_text().splitlines()
    lines[3] = lines[3].replace('"size": [40', '"size": [41')
    lines[8] = "nonsense"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"train\.jsonl, line 4: the runs"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("not json", "expected a JSON object, got 'not json'"),
        ("[1, 2]", "expected a JSON object"),
        ({"image": None}, "'image'"),
        ({"label": " "}, "'label'"),
        ({"group": 3}, "'group'"),
        ({"rle": {"size": [40, 50], "counts": "`n1"}}, "the mask is empty"),
        ({"rle": {"size": [40, 50], "counts": "07"}}, "add up"),
        ({"rle": 7}, "expected"),
    ],
)
def test_a_bad_line_is_named_by_file_and_number(tmp_path, segments, change, said):
    path = tmp_path / "train.jsonl"
    write_manifest(path, segments[:3])
    lines = path.read_text().splitlines()
    lines[1] = change if isinstance(change, str) else json.dumps({**json.loads(lines[1]), **change})
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=rf"train\.jsonl, line 2: .*{said}"):
        read_manifest(path)


def test_a_missing_image_is_named_by_file_and_line(tmp_path, segments):
    write_manifest(tmp_path / "train.jsonl", segments)
    segments[4].image.unlink()
    with pytest.raises(MissingFileError, match=r"train\.jsonl, line 4: .*1\.png"):
        read_manifest(tmp_path / "train.jsonl")


def test_files_that_are_no_manifest_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match=r"nowhere\.jsonl"):
        read_manifest(tmp_path / "nowhere.jsonl")
    (tmp_path / "train.jsonl").write_bytes(b'{"image": "\xff"}')
    with pytest.raises(DataError, match="UTF-8"):
        read_manifest(tmp_path / "train.jsonl")


def test_a_failed_write_leaves_the_old_manifest(tmp_path, segments):
    path = tmp_path / "train.jsonl"
    write_manifest(path, segments)
    before = path.read_bytes()

    def broken():
        yield segments[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        write_manifest(path, broken())
    assert path.read_bytes() == before
    assert {item.name for item in tmp_path.iterdir()} == {"images", "train.jsonl"}


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


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
