"""A segment: one labelled region of an image, its mask kept as COCO run-length code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pycocotools import mask as coco_mask

from opendas_plugin.crops import Box
from opendas_plugin.errors import DataError
from opendas_plugin.names import normal_form

# Numbers of up to 6 characters, 30 bits, each ended by one of the alphabet's first half; the C decoder trusts this.
_COMPRESSED = re.compile(r"(?:[P-o]{0,5}[0-O])+")

MOST_PIXELS = 1 << 28
"""Pixels of the largest mask: more than the largest picture that Pillow opens has, and as many bytes."""
_LONGEST_OUTLINE = 10_000_000  # pixels of a polygon; pycocotools holds five points for each

EMPTY = "the mask is empty"
"""What :func:`check_rle` says of a code without a pixel."""


@dataclass(frozen=True)
class Segment:
    """One labelled region.

    Args:
        image: the picture's file.
        rle: COCO's compressed run-length code, ``{"size": [H, W], "counts": str}``.
        label: the class name, kept in Unicode's NFC as a vocabulary keeps it.
        group: what must stay in one split (scene, sequence); empty: the image's stem.
    """

    image: Path
    rle: Mapping[str, Any]
    label: str
    group: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", normal_form(self.label))
        if not self.group:
            object.__setattr__(self, "group", self.image.stem)

    @classmethod
    def from_mask(cls, image: str | Path, mask: np.ndarray, label: str, group: str = "") -> Segment:
        """A segment from a bool (H, W) mask.

        Raises:
            DataError: the mask is empty.
        """
        if not mask.any():
            raise DataError(f"{image}: the mask of a {label!r} segment is empty")
        return cls(Path(image), encode(mask), label, group)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the mask, which is that of the image."""
        height, width = self.rle["size"]
        return height, width

    @cached_property
    def box(self) -> Box:
        """(x0, y0, x1, y1) of the mask, x1 and y1 exclusive, in pixels."""
        x, y, width, height = (int(value) for value in coco_mask.toBbox(self.rle))
        return x, y, x + width, y + height

    @cached_property
    def area(self) -> int:
        """Number of pixels of the mask."""
        return int(coco_mask.area(self.rle))

    def mask(self) -> np.ndarray:
        """The mask, bool (H, W)."""
        return coco_mask.decode(self.rle).view(bool)


class Region(Protocol):
    """What is cropped: a :class:`Segment`, or a mask of a picture in memory."""

    @property
    def image(self) -> Path:
        """The picture's file, or a name for it."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the mask, which is that of the image."""

    @property
    def box(self) -> Box:
        """(x0, y0, x1, y1) of the mask, x1 and y1 exclusive, in pixels."""

    @property
    def area(self) -> int:
        """Number of pixels of the mask."""

    def mask(self) -> np.ndarray:
        """The mask, bool (H, W)."""


def encode(mask: np.ndarray) -> dict[str, Any]:
    """Bool (H, W) -> COCO's compressed run-length code with ``counts`` as text, ready for JSON."""
    return _as_text(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)))


def check_rle(rle: Any) -> str | None:
    """What is wrong with a run-length code that was read from a file, or None. pycocotools itself does not look."""
    found = check_rles([rle])
    return found[1] if found else None


def check_rles(rles: Sequence[Any]) -> tuple[int, str] | None:
    """The place of the first wrong one of many run-length codes and what is wrong with it, or None; see `check_rle`."""
    wrong = next(((place, said) for place, rle in enumerate(rles) if (said := _malformed(rle))), None)
    whole = rles if wrong is None else rles[: wrong[0]]
    if not whole:
        return wrong
    runs, code, odd = _runs([rle["counts"] for rle in whole])
    sizes = np.array([rle["size"] for rle in whole], np.int64)
    negative = np.bincount(code, runs < 0, len(whole)) > 0
    covered = np.bincount(code, runs, len(whole))
    inside = np.bincount(code, np.where(odd, runs, 0), len(whole))
    bad = np.flatnonzero(negative | (covered != sizes.prod(axis=1)) | (inside == 0))
    if not len(bad):
        return wrong
    first = int(bad[0])
    height, width = sizes[first]
    if negative[first] or covered[first] != height * width:
        return first, f"the runs of the mask do not add up to its size, {width}x{height} pixels"
    return first, EMPTY


def from_runs(counts: Any, height: int, width: int) -> dict[str, Any]:
    """COCO's uncompressed run lengths, zeros first and column by column -> its compressed code.

    Raises:
        DataError: they are no whole numbers from 0, or do not add up to the size.
    """
    if not isinstance(counts, Sequence | np.ndarray) or isinstance(counts, str | bytes):
        raise DataError(f"expected run lengths as a list of whole numbers, got {counts!r:.60}")
    runs = [int(run) if isinstance(run, int | np.integer) and not isinstance(run, bool) else -1 for run in counts]
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise DataError(f"expected run lengths, whole numbers from 0, that add up to {width}x{height} pixels")
    return _as_text(coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width))


def from_polygons(polygons: Any, height: int, width: int) -> dict[str, Any]:
    """COCO's polygons, ``[x0, y0, x1, y1, ...]`` each, in pixels -> the code of all they cover.

    Those of fewer than three points cover nothing. pycocotools itself does not look at the numbers: infinite ones end
    the process, and far ones fill the memory.

    Raises:
        DataError: no polygon of three points, odd or other than finite numbers, or points far outside the picture.
    """
    if not isinstance(polygons, list) or not all(isinstance(polygon, list) for polygon in polygons):
        raise DataError(f"expected polygons as lists of numbers, got {polygons!r:.60}")
    for polygon in polygons:
        _check_polygon(polygon, height, width)
    whole = [polygon for polygon in polygons if len(polygon) >= 6]
    if not whole:
        raise DataError(f"expected a polygon of at least three points, got {polygons!r:.60}")
    return _as_text(coco_mask.merge(coco_mask.frPyObjects(whole, height, width)))


def _check_polygon(polygon: list[Any], height: int, width: int) -> None:
    if len(polygon) % 2 or not all(isinstance(value, int | float) and not isinstance(value, bool) for value in polygon):
        raise DataError(f"expected a polygon as x and y of each point in turn, got {polygon!r:.60}")
    reach = max(height, width)
    odd = next((value for value in polygon if not -reach <= value <= 2 * reach), None)  # nan too
    if odd is not None:
        raise DataError(f"a polygon has the coordinate {odd!r:.30}, far outside its picture of {width}x{height} pixels")
    points = np.array(polygon, dtype=np.float64).reshape(-1, 2)
    if len(points) and np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum() > _LONGEST_OUTLINE:
        raise DataError(f"a polygon's outline is over {_LONGEST_OUTLINE} pixels long")


def _as_text(rle: Mapping[str, Any]) -> dict[str, Any]:
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def _malformed(rle: Any) -> str | None:
    if not isinstance(rle, dict) or not isinstance(rle.get("counts"), str):
        return 'expected "rle" as {"size": [height, width], "counts": "..."}'
    size = rle.get("size")
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        return f'expected "size" as [height, width] in pixels, got {size!r:.60}'
    if size[0] * size[1] > MOST_PIXELS:
        return f"the mask is {size[1]}x{size[0]} pixels, more than any picture that can be read"
    return None if _COMPRESSED.fullmatch(rle["counts"]) else '"counts" is not a compressed run-length code'


def _runs(counts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The run lengths behind codes in COCO's text form, one after the other; whose each is; and whether it is a mask's.

    A code holds numbers of 5 bits a character, low bits first; from its fourth on they are differences to the number
    two before. Every second number counts pixels of the mask.
    """
    digits = np.frombuffer("".join(counts).encode("ascii"), np.uint8).astype(np.int64) - 48
    last = digits < 32
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(digits)) - np.repeat(starts, np.diff(starts, append=len(digits)))
    values = np.add.reduceat((digits & 31) << (5 * place), starts)
    values -= np.where(digits[last] & 16, 1 << (5 * (place[last] + 1)), 0)  # the sign bit of the last character
    lengths = np.array([len(text) for text in counts])
    code = np.repeat(np.arange(len(counts)), lengths)[ends]
    first = np.searchsorted(code, np.arange(len(counts)))
    number = np.arange(len(values)) - first[code]
    odd = number % 2 == 1
    for chain in (odd, ~odd & (number > 0)):
        total = np.cumsum(np.where(chain, values, 0))
        before = np.concatenate([[0], total])[first]  # of each code's first number
        values = np.where(chain, total - before[code], values)
    return values, code, odd
