"""Shapes that labelling tools keep -> masks: polygons of several parts and with holes, boxes, ellipses, small bitmaps.

Polygons and boxes are filled as pycocotools fills them, so that one outline gives one mask whichever tool wrote it: x
runs from 0 at the left edge of the first pixel to the width at the right edge of the last. Some tools fill the pixels
under the outline too, and draw it half a pixel wider.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from opendas_plugin.data.segments import from_polygons
from opendas_plugin.errors import DataError
from opendas_plugin.wording import counted

Mask = NDArray[np.bool_]


def polygons_mask(parts: Sequence[Any], height: int, width: int, holes: Sequence[Any] = ()) -> Mask:
    """All pixels in one of the parts and in no hole, bool (H, W).

    Args:
        parts, holes: polygons, a list of [x, y] each, in pixels.
        height, width: of the picture.

    Raises:
        DataError: no polygon of three points, points that are no pairs of finite numbers, or far outside the picture.
    """
    mask = _filled(parts, height, width)
    holes = [hole for hole in holes if not isinstance(hole, list) or len(hole) > 2]  # of two points: no pixel
    return mask & ~_filled(holes, height, width) if holes else mask


def box_mask(corners: Sequence[Any], height: int, width: int, rotation: float = 0.0) -> Mask:
    """All pixels of the box between two corners (x, y), turned about its middle by degrees, clockwise as seen.

    Raises:
        DataError: the corners are not two points of finite numbers near the picture.
    """
    (x0, y0), (x1, y1) = _points(corners, 2)
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    turned = []
    for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1)):
        across, down = x - middle_x, y - middle_y
        angle = math.radians(rotation)
        turned.append(
            [
                middle_x + across * math.cos(angle) - down * math.sin(angle),
                middle_y + across * math.sin(angle) + down * math.cos(angle),
            ]
        )
    outline = turned if rotation else [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    return polygons_mask([outline], height, width)


def ellipse_mask(
    centre: Sequence[float], radii: Sequence[float], height: int, width: int, rotation: float = 0.0
) -> Mask:
    """All pixels whose middle lies in an ellipse, which is turned by degrees, clockwise as seen.

    Raises:
        DataError: the numbers are not finite, or a radius is not above 0.
    """
    (x, y), (across, down) = _points([list(centre), list(radii)], 2)
    if not math.isfinite(rotation) or across <= 0 or down <= 0:
        raise DataError(f"expected an ellipse with radii above 0, got {across:g} and {down:g}")
    reach, mask = max(across, down) + 1, np.zeros((height, width), dtype=bool)
    top, bottom = (min(max(int(side), 0), height) for side in (y - reach, y + reach + 1))
    left, right = (min(max(int(side), 0), width) for side in (x - reach, x + reach + 1))
    rows, columns = np.arange(top, bottom)[:, None] + 0.5, np.arange(left, right) + 0.5
    angle = math.radians(rotation)
    along = (columns - x) * math.cos(angle) + (rows - y) * math.sin(angle)
    beside = (rows - y) * math.cos(angle) - (columns - x) * math.sin(angle)
    mask[top:bottom, left:right] = (along / across) ** 2 + (beside / down) ** 2 <= 1
    return mask


def placed_mask(bits: Mask, left: int, top: int, height: int, width: int) -> Mask:
    """A small mask (h, w) whose first pixel is at (left, top), as one of the whole picture, bool (H, W).

    Raises:
        DataError: it reaches out of the picture.
    """
    rows, columns = bits.shape
    if left < 0 or top < 0 or left + columns > width or top + rows > height:
        raise DataError(
            f"the mask of {columns}x{rows} pixels at {left}, {top} reaches out of its picture of {width}x{height}"
        )
    mask = np.zeros((height, width), dtype=bool)
    mask[top : top + rows, left : left + columns] = bits
    return mask


def join_groups(shapes: Iterable[tuple[str, Hashable, Mask]]) -> Iterator[tuple[str, Mask]]:
    """Objects of shapes: those of one label and one group are one.

    One shape after the other is taken, so that the masks of a large picture do not all lie in memory.

    Args:
        shapes: label, group (None: the shape is an object of its own) and mask (H, W) of each.

    Yields:
        Label and mask of each object, those of groups last.
    """
    joined: dict[tuple[str, Hashable], Mask] = {}
    for label, group, mask in shapes:
        if group is None:
            yield label, mask
        else:
            joined[label, group] = joined[label, group] | mask if (label, group) in joined else mask
    for (label, _), mask in joined.items():
        yield label, mask


def _filled(polygons: Sequence[Any], height: int, width: int) -> Mask:
    flat = [[value for point in _points(polygon) for value in point] for polygon in polygons]
    return coco_mask.decode(from_polygons(flat, height, width)).view(bool)


def _points(points: Any, count: int | None = None) -> list[list[float]]:
    """The points, if they are pairs of finite numbers, and as many as expected."""
    good = isinstance(points, list | tuple) and all(
        isinstance(point, list | tuple) and len(point) == 2 and all(map(_is_number, point)) for point in points
    )
    if not good or count not in (None, len(points)):
        wanted = "points" if count is None else counted(count, "point")
        raise DataError(f"expected {wanted} of two numbers, x and y, each, got {points!r:.60}")
    return [list(point) for point in points]


def _is_number(value: Any) -> bool:
    """Whether it is a finite number, and not one that overflows."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e9 < value < 1e9
