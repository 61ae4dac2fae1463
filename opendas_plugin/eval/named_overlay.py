"""A photo under its class map, with the names written where they are and in a legend below. Needs Pillow alone."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from opendas_plugin.eval.overlays import NAMED, Colour, Pixels, paint
from opendas_plugin.label_values import NONE

LEAST, MOST = 640, 1280
"""Pixels that an overlay is wide: small photos are enlarged, so that words fit, and large ones made smaller."""
_WORDS = 16  # pixels high
_PAD = 4
_A_NAME = 3  # places of one name that bear it

Box = tuple[float, float, float, float]


def draw_named(picture: Pixels, classes: NDArray[np.int64], names: Sequence[str], colours: Sequence[Colour]) -> Pixels:
    """Paints the regions of a class map over a photo in grey, with a white line around each and its name in it.

    A name stands in its largest connected regions, where they are widest, if no other name is there; the legend has
    them all.

    Args:
        picture: (H, W, 3), RGB.
        classes: (H, W), places among the N names, ``NONE`` where there is none.
        names, colours: N of each.

    Returns:
        The overlay, of :data:`LEAST` to :data:`MOST` pixels' width, higher than the photo by the legend.
    """
    picture, classes = _resized(picture, classes)
    present = [int(place) for place in np.unique(classes) if place != NONE]
    painted = paint(picture, [classes == place for place in present], [colours[place] for place in present])
    painted[_borders(classes)] = 255
    sheet = Image.fromarray(painted)
    draw = ImageDraw.Draw(sheet)
    taken: list[Box] = []
    for y, x, place in _places(classes, present):
        box = _word_box(names[place], x, y, sheet.size)
        if not any(_meet(box, other) for other in taken):
            taken.append(box)
            draw.rectangle(box, fill=(0, 0, 0), outline=colours[place], width=2)
            _write(draw, (box[0] + _PAD, (box[1] + box[3]) / 2), names[place], (255, 255, 255))
    return np.vstack([np.asarray(sheet), _legend({names[place]: colours[place] for place in present}, sheet.width)])


def _resized(picture: Pixels, classes: NDArray[np.int64]) -> tuple[Pixels, NDArray[np.int64]]:
    height, width = classes.shape
    wide = min(max(width, LEAST), MOST)
    if wide == width:
        return picture, classes
    high = max(1, round(height * wide / width))
    rows, columns = (np.arange(new) * old // new for new, old in ((high, height), (wide, width)))
    resized = Image.fromarray(picture).resize((wide, high), Image.Resampling.BILINEAR)
    return np.asarray(resized), classes[rows[:, None], columns]


def _borders(classes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Pixels whose neighbour to the right or below has another class."""
    lines = np.zeros(classes.shape, dtype=bool)
    lines[:, :-1] |= classes[:, :-1] != classes[:, 1:]
    lines[:-1] |= classes[:-1] != classes[1:]
    return lines


def _places(classes: NDArray[np.int64], present: Sequence[int]) -> list[tuple[int, int, int]]:
    """(y, x, name) of where names may stand, the largest regions first."""
    from scipy import ndimage

    found = []
    for place in present:
        numbered, _ = ndimage.label(classes == place)
        areas = np.bincount(numbered.ravel())
        areas[0], windows = 0, ndimage.find_objects(numbered)
        for region in np.argsort(-areas, kind="stable")[:_A_NAME].tolist():
            if areas[region] >= NAMED * classes.size:
                rows, columns = windows[region - 1]
                inside = np.pad(numbered[rows, columns] == region, 1)
                y, x = np.unravel_index(ndimage.distance_transform_edt(inside).argmax(), inside.shape)
                found.append((int(areas[region]), rows.start + int(y) - 1, columns.start + int(x) - 1, place))
    return [(y, x, place) for _, y, x, place in sorted(found, key=lambda one: -one[0])]


def _word_box(name: str, x: int, y: int, size: tuple[int, int]) -> Box:
    """A box for a word around a point, moved into the picture of ``size`` (W, H)."""
    wide, high = _length(name) + 2 * _PAD, _WORDS + 2 * _PAD
    left = min(max(0.0, x - wide / 2), max(0.0, size[0] - wide - 1))
    top = min(max(0.0, y - high / 2), max(0.0, size[1] - high - 1))
    return left, top, left + wide, top + high


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _legend(colours: Mapping[str, Colour], width: int) -> Pixels:
    """A patch and a word for each name, in as many rows as it takes."""
    places, line, x, y = dict[str, tuple[float, int]](), _WORDS + 2 * _PAD, 0.0, 0
    for name in colours:
        wide = _WORDS + 4 * _PAD + _length(name)
        if x > 0 and x + wide > width:
            x, y = 0.0, y + line
        places[name] = x, y
        x += wide
    sheet = Image.new("RGB", (width, y + line), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for name, (left, top) in places.items():
        draw.rectangle((left + _PAD, top + _PAD, left + _PAD + _WORDS, top + _PAD + _WORDS), fill=colours[name])
        _write(draw, (left + 2 * _PAD + _WORDS, top + line / 2), name, (0, 0, 0))
    return np.asarray(sheet)


def _write(draw: ImageDraw.ImageDraw, at: tuple[float, float], words: str, colour: Colour) -> None:
    draw.text(at, words, fill=colour, font=_font(), anchor="lm")


def _length(words: str) -> float:
    """Pixels that words are wide."""
    return float(_font().getlength(words))


@functools.cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_WORDS)
