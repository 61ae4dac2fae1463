"""Pictures inside a page: crops with their mask's outline, and photos with the places that were spoken of."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from opendas_plugin.crops import Box
from opendas_plugin.data.images import read_image
from opendas_plugin.data.segments import Region

Pixels = NDArray[np.uint8]

SIDE = 132
"""Pixels of a crop's longer side."""
WIDE = 420
"""Pixels of a photo's longer side."""
_AROUND = 0.35  # of the box's sides, shown around it
_LEAST = 24  # pixels of the photo that a crop shows at least
_VEIL = 0.45  # of what is not the mask
_RIM = (255, 214, 0)
_QUALITY = 82


def data_uri(picture: Pixels | Image.Image) -> str:
    """A picture (H, W, 3) as a JPEG in a data URI."""
    file = io.BytesIO()
    made = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    made.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def crop_uri(region: Region, picture: Pixels | None = None) -> str:
    """The surroundings of a mask as a data URI: what is not the mask is pale, and its edge is yellow.

    Args:
        region: the mask and its picture.
        picture: (H, W, 3), where it is in memory; None: it is read.

    Raises:
        MissingFileError, DataError: the picture cannot be read.
    """
    from scipy.ndimage import binary_erosion

    picture = _read(region.image) if picture is None else picture
    left, top, right, bottom = _around(region.box, picture.shape[1], picture.shape[0])
    cut, mask = picture[top:bottom, left:right], region.mask()[top:bottom, left:right]
    factor = SIDE / max(cut.shape[:2])
    size = (max(1, round(factor * cut.shape[1])), max(1, round(factor * cut.shape[0])))
    shown = np.asarray(Image.fromarray(cut).resize(size, Image.Resampling.BICUBIC)).astype(np.float32)
    inside = np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)) > 127
    shown[~inside] = (1 - _VEIL) * shown[~inside] + _VEIL * 150
    edge = inside & ~binary_erosion(inside, border_value=1)
    shown[edge] = _RIM
    return data_uri(shown.round().astype(np.uint8))


def photo_uri(image: Path, marks: Mapping[str, Box]) -> str:
    """A photo as a data URI, smaller, with boxes around some places and a word at each.

    Raises:
        MissingFileError, DataError: the picture cannot be read.
    """
    picture = _read(image)
    factor = min(1.0, WIDE / max(picture.shape[:2]))
    size = (max(1, round(factor * picture.shape[1])), max(1, round(factor * picture.shape[0])))
    shown = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(shown)
    for word, box in marks.items():
        x0, y0, x1, y1 = (factor * value for value in box)
        draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=(0, 0, 0), width=3)
        draw.rectangle((x0, y0, x1, y1), outline=_RIM, width=1)
        draw.text((x0 + 3, max(0, y0 - 1)), word, fill=_RIM, stroke_width=2, stroke_fill=(0, 0, 0))
    return data_uri(shown)


def small(picture: Pixels, side: int = WIDE) -> Image.Image:
    """A picture (H, W, 3) whose longer side is at most ``side`` pixels."""
    factor = min(1.0, side / max(picture.shape[:2]))
    size = (max(1, round(factor * picture.shape[1])), max(1, round(factor * picture.shape[0])))
    return Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)


def link_to(file: Path, page: Path) -> str:
    """The address of a file from a page: relative where both lie on one drive."""
    try:
        return quote(Path(os.path.relpath(file.resolve(), page.resolve().parent)).as_posix())
    except ValueError:
        return file.resolve().as_uri()


def in_order_of_pictures(regions: Sequence[Region]) -> list[int]:
    """The places of regions, those of one picture together, so that each picture is read once."""
    return sorted(range(len(regions)), key=lambda place: (str(regions[place].image), place))


@lru_cache(maxsize=2)
def _read(image: Path) -> Pixels:
    return read_image(image)


def _around(box: Box, width: int, height: int) -> Box:
    """The box with some of what is around it, inside the picture."""
    x0, y0, x1, y1 = box
    reach_x = max(_AROUND * (x1 - x0), (_LEAST - (x1 - x0)) / 2, 2)
    reach_y = max(_AROUND * (y1 - y0), (_LEAST - (y1 - y0)) / 2, 2)
    return (
        max(0, int(x0 - reach_x)),
        max(0, int(y0 - reach_y)),
        min(width, int(x1 + reach_x + 1)),
        min(height, int(y1 + reach_y + 1)),
    )
