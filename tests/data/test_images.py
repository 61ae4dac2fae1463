"""Pictures of every kind become RGB or are refused by name."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.data import images
from opendas_plugin.data.images import ImageCache, read_ids, read_image, read_labels
from opendas_plugin.errors import DataError, MissingFileError

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("RGB", "png"),
        ("L", "png"),
        ("1", "png"),
        ("P", "png"),
        ("LA", "png"),
        ("RGBA", "png"),
        ("CMYK", "jpg"),
        ("CMYK", "tif"),
        ("YCbCr", "jpg"),
        ("RGB", "webp"),
    ],
)
def test_every_mode_is_read_as_pillow_converts_it(tmp_path, mode, suffix):
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(RGB).convert(mode).save(path)
    ours = read_image(path)
    assert ours.dtype == np.uint8
    assert np.array_equal(ours, np.asarray(Image.open(path).convert("RGB")))


def test_16_bit_grey_is_scaled_not_clipped(tmp_path):
    values = np.linspace(0, 65535, 600, dtype=np.uint16).reshape(20, 30)
    Image.fromarray(values).save(tmp_path / "grey.png")
    ours = read_image(tmp_path / "grey.png")
    assert ours.shape == (20, 30, 3)
    assert np.array_equal(ours[:, :, 1], values // 256)


def test_float_pictures_are_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "depth.tif")
    with pytest.raises(DataError, match=r"depth\.tif.*8 or 16 bits"):
        read_image(tmp_path / "depth.tif")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp"])
def test_truncated_pictures_are_refused(tmp_path, suffix):
    path = tmp_path / f"broken.{suffix}"
    Image.fromarray(RGB).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"broken\.{suffix} cannot be read"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"x" * 50])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "notes.png").write_bytes(content)
    with pytest.raises(DataError, match=r"notes\.png cannot be read"):
        read_image(tmp_path / "notes.png")


def test_missing_files_are_named(tmp_path):
    for path in (tmp_path / "nowhere.png", tmp_path):
        with pytest.raises(MissingFileError, match=str(path)):
            read_image(path)


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_label_values_are_read_as_stored(tmp_path, mode):
    values = np.arange(600).reshape(20, 30) % 250
    if mode == "I;16":
        values = values * 200
    picture = Image.fromarray(values.astype(np.uint16 if mode == "I;16" else np.uint8))
    if mode == "P":
        picture.putpalette(list(range(255, -1, -1)) * 3)
        assert picture.mode == "P"
    picture.save(tmp_path / "labels.png")
    assert np.array_equal(read_labels(tmp_path / "labels.png"), values)


def test_coloured_labels_are_refused(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "labels.png")
    with pytest.raises(DataError, match=r"labels\.png.*one channel"):
        read_labels(tmp_path / "labels.png")


def test_panoptic_ids_are_red_green_blue_from_low_to_high(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "ids.png")
    wide = RGB.astype(int)
    assert np.array_equal(read_ids(tmp_path / "ids.png"), wide[..., 0] + 256 * wide[..., 1] + 65536 * wide[..., 2])
    Image.fromarray(RGB[:, :, 0]).save(tmp_path / "grey.png")
    with pytest.raises(DataError, match=r"grey\.png.*RGB"):
        read_ids(tmp_path / "grey.png")


def test_the_cache_reads_a_picture_once_for_many_threads(tmp_path, monkeypatch):
    reads, paths = [], [tmp_path / f"{number}.png" for number in range(3)]
    monkeypatch.setattr(images, "read_image", lambda path: reads.append(path) or RGB)
    cache = ImageCache(capacity=3)
    threads = [threading.Thread(target=cache, args=(paths[number % 3],)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reads) == paths


def test_the_cache_keeps_the_last_pictures(tmp_path, monkeypatch):
    reads, (a, b, c) = [], [tmp_path / name for name in "abc"]
    monkeypatch.setattr(images, "read_image", lambda path: reads.append(path) or RGB)
    cache = ImageCache(capacity=2)
    for path in (a, b, a, c, a, b):
        cache(path)
    assert reads == [a, b, c, b]


def test_a_picture_that_failed_is_tried_again(tmp_path):
    cache, path = ImageCache(), tmp_path / "late.png"
    with pytest.raises(MissingFileError):
        cache(path)
    Image.fromarray(RGB).save(path)
    assert np.array_equal(cache(path), RGB)
