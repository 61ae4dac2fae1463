"""Reading pictures and label maps from files, with errors that name the file."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.stamps import note

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
UNREAD_SUFFIXES = (".heic", ".heif", ".avif", ".gif", ".jp2", ".jxl", ".dng", ".cr2", ".nef", ".arw", ".ppm", ".tga")
"""What photos of other kinds end in, which nothing here reads."""
LABEL_SUFFIXES = (".png", ".tif", ".tiff")  # more than 255 classes are often stored as TIFF


def read_image(path: str | Path) -> np.ndarray:
    """Reads a picture as uint8 (H, W, 3), RGB.

    Grey, palette, CMYK and other pictures are converted, and an alpha channel is dropped, as open_clip does; of 16-bit
    grey the high byte is kept, as Pillow does for 16-bit RGB. A picture with an EXIF orientation is turned by it, as
    viewers, annotation tools and detectron2 do.

    Raises:
        MissingFileError, DataError: no such file; not a picture, truncated, or without a defined range (32-bit, float).
    """
    return convert_image(_load(path), str(path))


def convert_image(picture: Image.Image, name: str) -> np.ndarray:
    """A PIL image as uint8 (H, W, 3), RGB; see :func:`read_image`. ``name`` is said in errors.

    Raises:
        DataError: an image without a defined range.
    """
    return turn(_as_rgb(picture, name), _orientation(picture))


def _as_rgb(picture: Image.Image, name: str) -> np.ndarray:
    if picture.mode.startswith("I;16"):
        grey = (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.mode in ("I", "F"):
        raise DataError(f"{name}: expected 8 or 16 bits a channel, got mode {picture.mode!r}; convert it to 8-bit RGB")
    return np.asarray(picture.convert("RGB"))


def read_upright(path: str | Path) -> np.ndarray:
    """Reads a picture whose pixels have been measured, as by poses and depth maps; otherwise as :func:`read_image`.

    Raises:
        MissingFileError, DataError: as there; also a picture with an EXIF orientation: nothing says whether what was
            measured is of the stored or of the turned pixels.
    """
    if orientation(path)[0] != UPRIGHT:
        raise DataError(
            f"{path} has an EXIF orientation, and nothing says whether its camera and depth are those of the stored or "
            "of the turned pixels; save it the right way round, without the tag"
        )
    return read_image(path)


OF_CLASSES = (
    "store them as grey, or where they are drawn in colours give a table of names and colours as `classes` of "
    "opendas-prepare folders"
)
"""What to do where classes are not drawn as values."""


def read_labels(path: str | Path, advice: str = OF_CLASSES) -> np.ndarray:
    """Reads a label map as int64 (H, W): the stored values of an 8-bit, palette or 16-bit single-channel picture.

    Args:
        path: the picture.
        advice: what to do where it has more than one channel.

    Raises:
        MissingFileError, DataError: no such file; not a picture, truncated, or of more than one channel.
    """
    picture = _load(path)
    _refuse_orientation(picture, path)
    if picture.mode not in ("L", "P", "1", "I") and not picture.mode.startswith("I;16"):
        raise DataError(f"{path}: expected one channel of label values, got mode {picture.mode!r}; {advice}")
    return np.asarray(picture).astype(np.int64)


def read_colours(path: str | Path) -> np.ndarray:
    """Reads a label map that is drawn in colours as int64 (H, W), 65536 R + 256 G + B; of a palette its colours.

    Raises:
        MissingFileError, DataError: no such file; not a picture, truncated, or of 16 bits and more.
    """
    picture = _load(path)
    _refuse_orientation(picture, path)
    if picture.mode in ("F", "I") or picture.mode.startswith("I;"):
        raise DataError(f"{path}: expected colours of 8 bits, got mode {picture.mode!r}")
    if "A" in picture.getbands() and np.asarray(picture.getchannel("A")).min() < 255:
        raise DataError(f"{path}: expected colours without transparent pixels; say by a colour what they are")
    return np.asarray(picture.convert("RGB")).astype(np.int64) @ np.array([65536, 256, 1])


def is_palette(path: str | Path) -> bool:
    """Whether a picture's values stand for the colours of a palette; from its head alone.

    Raises:
        MissingFileError, DataError: no such file, or not a picture.
    """
    with _picture_errors(path), Image.open(path) as picture:
        return picture.mode == "P"


def picture_size(path: str | Path) -> tuple[int, int]:
    """(H, W) of a picture as it is stored, from its header alone.

    Raises:
        MissingFileError, DataError: no such file; not a picture.
    """
    return orientation(path)[1]


def read_depth(path: str | Path) -> np.ndarray:
    """Reads a depth map as int64 (H, W): the stored values of a 16-bit or 32-bit integer picture.

    Raises:
        MissingFileError, DataError: no such file; not a picture, truncated, or of another kind.
    """
    picture = _load(path)
    _refuse_orientation(picture, path)
    if picture.mode != "I" and not picture.mode.startswith("I;16"):
        raise DataError(f"{path}: expected a depth map of 16 bits and one channel, got mode {picture.mode!r}")
    return np.asarray(picture).astype(np.int64)


def read_ids(path: str | Path) -> np.ndarray:
    """Reads a COCO panoptic PNG as int64 (H, W): R + 256 G + 65536 B.

    Raises:
        MissingFileError, DataError: no such file; not a picture, truncated, or not RGB.
    """
    picture = _load(path)
    _refuse_orientation(picture, path)
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


UPRIGHT = 1
_ORIENTATION = 0x0112
_SIDEWAYS = 5  # from here on width and height change places
Exif = Literal["turned", "stored"]
"""The frame that labels of a picture with an EXIF orientation are drawn in: as viewers show it, or as it is stored."""


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns stored pixels (H, W, ...) as an EXIF orientation, 1 to 8, says: as ``PIL.ImageOps.exif_transpose``."""
    if orientation >= _SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    down, right = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return pixels[:: -1 if down else 1, :: -1 if right else 1]


def orientation(path: str | Path) -> tuple[int, tuple[int, int]]:
    """The EXIF orientation of a picture, 1 where it has none, and its stored height and width; of its head alone.

    Raises:
        MissingFileError, DataError: no such file, or not a picture.
    """
    with _picture_errors(path), Image.open(path) as picture:
        return _orientation(picture), (picture.height, picture.width)


def label_frame(
    image: Path, size: tuple[int, ...], name: str, exif: Exif | None, *, decode: bool = True
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Looks whether labels fit a picture, and in which frame they are drawn.

    Args:
        image: the picture.
        size: height and width of the labels.
        name: of the labels, in errors.
        exif: the frame, where the sizes do not tell; None: they must.
        decode: see that the whole picture can be read, not its head alone.

    Returns:
        What brings labels (H, W) into the frame of :func:`read_image`; None: they are in it.

    Raises:
        MissingFileError, DataError: the picture cannot be read, the sizes differ, the labels fit the picture only as it
            is stored, or nothing says which frame they are drawn in.
    """
    number, stored = orientation(image)
    if decode:
        read_image(image)
    turned = stored[::-1] if number >= _SIDEWAYS else stored
    wanted = {"turned": turned, "stored": stored}
    if tuple(size) not in ([turned, stored] if exif is None else [wanted[exif]]):
        frame = "" if number == UPRIGHT else f", {exif or 'turned'} as its EXIF orientation says"
        fits = wanted[exif or "turned"]
        raise DataError(f"{name} is {size[1]}x{size[0]}, but its image {image} is {fits[1]}x{fits[0]}{frame}")
    if number == UPRIGHT or exif == "turned" or (exif is None and tuple(size) != stored):
        return None
    if exif is None:
        known = "nothing says which of the two" if stored == turned else "by its size the stored ones"
        raise DataError(
            f"{image} has an EXIF orientation, by which viewers turn it, and {name} was drawn on either the turned or "
            f"the stored pixels ({known}); say `exif` turned or stored"
        )
    return lambda labels: turn(labels, number)


def unsized_frame(
    image: Path, name: str, exif: Exif | None
) -> tuple[tuple[int, int], Callable[[np.ndarray], np.ndarray] | None]:
    """The size (H, W) of labels that do not say it, as YOLO's, and what brings them into the frame of the picture.

    Otherwise as :func:`label_frame`.

    Raises:
        MissingFileError, DataError: as there; also a picture with an EXIF orientation where ``exif`` is None.
    """
    number, stored = orientation(image)
    if number != UPRIGHT and exif is None:
        raise DataError(
            f"{image} has an EXIF orientation, by which viewers turn it, and nothing says whether {name} was drawn on "
            "the turned or the stored pixels; say `exif` turned or stored"
        )
    size = stored[::-1] if number >= _SIDEWAYS and exif == "turned" else stored
    return size, label_frame(image, size, name, exif)


def _orientation(picture: Image.Image) -> int:
    try:
        found = picture.getexif().get(_ORIENTATION, UPRIGHT)
    except Exception:  # noqa: BLE001  (damaged EXIF data fail in many ways, and say nothing then)
        return UPRIGHT
    return found if isinstance(found, int) and 1 <= found <= 8 else UPRIGHT


def _refuse_orientation(picture: Image.Image, path: str | Path) -> None:
    if _orientation(picture) != UPRIGHT:
        raise DataError(
            f"{path}: values with an EXIF orientation may be meant turned or not; save them without the tag"
        )


@contextmanager
def _picture_errors(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingFileError(f"{path} does not exist; check the path") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a picture ({error}); replace or remove it") from error


def _load(path: str | Path) -> Image.Image:
    note(path)
    with _picture_errors(path), Image.open(path) as picture:
        picture.load()
        return picture
