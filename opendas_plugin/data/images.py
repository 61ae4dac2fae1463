"""Reading pictures and label maps from files, with errors that name the file."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
from PIL import Image

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.stamps import note

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def read_image(path: str | Path) -> np.ndarray:
    """Reads a picture as uint8 (H, W, 3), RGB.

    Grey, palette, CMYK and other pictures are converted; an alpha channel is dropped and EXIF rotation is not applied,
    as open_clip does; of 16-bit grey the high byte is kept, as Pillow does for 16-bit RGB.

    Raises:
        MissingFileError, DataError: no such file; not a picture, truncated, or without a defined range (32-bit, float).
    """
    return convert_image(_load(path), str(path))


def convert_image(picture: Image.Image, name: str) -> np.ndarray:
    """A PIL image as uint8 (H, W, 3), RGB; see :func:`read_image`. ``name`` is said in errors.

    Raises:
        DataError: an image without a defined range.
    """
    if picture.mode.startswith("I;16"):
        grey = (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.mode in ("I", "F"):
        raise DataError(f"{name}: expected 8 or 16 bits a channel, got mode {picture.mode!r}; convert it to 8-bit RGB")
    return np.asarray(picture.convert("RGB"))


def read_labels(path: str | Path) -> np.ndarray:
    """Reads a label map as int64 (H, W): the stored values of an 8-bit, palette or 16-bit single-channel picture.

    Raises:
        MissingFileError, DataError: no such file; not a picture, truncated, or of more than one channel.
    """
    picture = _load(path)
    if picture.mode not in ("L", "P", "1", "I") and not picture.mode.startswith("I;16"):
        raise DataError(f"{path}: expected one channel of label values, got mode {picture.mode!r}; store them as grey")
    return np.asarray(picture).astype(np.int64)


def picture_size(path: str | Path) -> tuple[int, int]:
    """(H, W) of a picture as it is stored, from its header alone.

    Raises:
        MissingFileError, DataError: no such file; not a picture.
    """
    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingFileError(f"{path} does not exist; check the path") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a picture ({error}); replace or remove it") from error


def read_ids(path: str | Path) -> np.ndarray:
    """Reads a COCO panoptic PNG as int64 (H, W): R + 256 G + 65536 B.

    Raises:
        MissingFileError, DataError: no such file; not a picture, truncated, or not RGB.
    """
    picture = _load(path)
    if picture.mode != "RGB":
        raise DataError(f"{path}: expected a panoptic PNG in RGB, got mode {picture.mode!r}")
    return np.asarray(picture).astype(np.int64) @ np.array([1, 256, 65536])


class ImageCache:
    """The last few pictures that were read, by path, so that the segments of one picture share one decode.

    Safe to call from several threads: two that ask for one picture wait for one read.
    """

    def __init__(self, capacity: int = 8) -> None:
        self.capacity = capacity
        self._slots: OrderedDict[Path, _Slot] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, path: Path) -> np.ndarray:
        """The picture at ``path``, as :func:`read_image` gives it."""
        with self._lock:
            slot = self._slots.setdefault(path, _Slot())
            self._slots.move_to_end(path)
            if len(self._slots) > self.capacity:
                self._slots.popitem(last=False)
        with slot.lock:
            if slot.picture is None:
                slot.picture = read_image(path)
            return slot.picture


class _Slot:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.picture: np.ndarray | None = None


def _load(path: str | Path) -> Image.Image:
    note(path)
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingFileError(f"{path} does not exist; check the path") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a picture ({error}); replace or remove it") from error
