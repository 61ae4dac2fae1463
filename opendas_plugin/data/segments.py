"""A segment: one labelled region of an image, its mask kept as COCO run-length code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from opendas_plugin.crops import Box
from opendas_plugin.errors import DataError

# Numbers of up to 13 characters, each ended by one of the first half of the alphabet; the C decoder trusts this.
_COMPRESSED = re.compile(r"(?:[P-o]{0,12}[0-O])+")


@dataclass(frozen=True)
class Segment:
    """One labelled region.

    Args:
        image: the picture's file.
        rle: COCO's compressed run-length code, ``{"size": [H, W], "counts": str}``.
        label: the class name.
        group: what must stay in one split (scene, sequence); empty: the image's stem.
    """

    image: Path
    rle: Mapping[str, Any]
    label: str
    group: str = ""

    def __post_init__(self) -> None:
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


def encode(mask: np.ndarray) -> dict[str, Any]:
    """Bool (H, W) -> COCO's compressed run-length code with ``counts`` as text, ready for JSON."""
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def check_rle(rle: Any) -> str | None:
    """What is wrong with a run-length code that was read from a file, or None. pycocotools itself does not look."""
    if not isinstance(rle, dict) or not isinstance(rle.get("counts"), str):
        return 'expected "rle" as {"size": [height, width], "counts": "..."}'
    size = rle.get("size")
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        return f'expected "size" as [height, width] in pixels, got {size!r}'
    if not _COMPRESSED.fullmatch(rle["counts"]):
        return '"counts" is not a compressed run-length code'
    runs = _runs(rle["counts"])
    if runs.min() < 0 or runs.sum() != size[0] * size[1]:
        return f"the runs of the mask do not add up to its size, {size[1]}x{size[0]} pixels"
    if not runs[1::2].any():
        return "the mask is empty"
    return None


def _runs(counts: str) -> np.ndarray:
    """The run lengths behind COCO's text form: 5 bits a character, low bits first, differences from the fourth on."""
    digits = np.frombuffer(counts.encode("ascii"), np.uint8).astype(np.int64) - 48
    last = digits < 32
    starts = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    place = np.arange(len(digits)) - np.repeat(starts, np.diff(starts, append=len(digits)))
    values = np.add.reduceat((digits & 31) << (5 * place), starts)
    values -= np.where(digits[last] & 16, 1 << (5 * (place[last] + 1)), 0)  # the sign bit of the last character
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
