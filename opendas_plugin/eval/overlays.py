"""Ground-truth masks coloured by the names that several systems give them, side by side (the paper's Figure 2)."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.crops import mask_box
from opendas_plugin.data.images import read_image
from opendas_plugin.data.segments import Segment
from opendas_plugin.eval import plots
from opendas_plugin.files import atomic_file

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

TINT = 0.65
"""How much of a mask's colour covers the picture."""
NAMED = 0.01
"""Share of the picture from which on a mask bears its name."""


def name_colours(names: Sequence[str]) -> dict[str, Colour]:
    """A colour for each name, 0 to 255: hues a golden ratio apart, in three brightnesses."""
    colours = {}
    for place, name in enumerate(names):
        r, g, b = colorsys.hsv_to_rgb(place * 0.618 % 1, 0.75, (1.0, 0.8, 0.6)[place % 3])
        colours[name] = (round(255 * r), round(255 * g), round(255 * b))
    return colours


def paint(picture: Pixels, masks: Sequence[NDArray[np.bool_]], colours: Sequence[Colour]) -> Pixels:
    """Returns the picture (H, W, 3) in grey with its masks (H, W) in their colours, the smaller over the larger."""
    grey = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
    painted = grey.copy()
    for place in sorted(range(len(masks)), key=lambda place: -int(masks[place].sum())):
        painted[masks[place]] = (1 - TINT) * grey[masks[place]] + TINT * np.array(colours[place])
    return painted.round().astype(np.uint8)


def choose_images(segments: Sequence[Segment], count: int) -> list[Path]:
    """The images with the most different labels, at most one of a group as long as there are other groups."""
    labels: dict[Path, set[str]] = {}
    groups: dict[Path, str] = {}
    for segment in segments:
        labels.setdefault(segment.image, set()).add(segment.label)
        groups[segment.image] = segment.group
    richest = sorted(labels, key=lambda image: (-len(labels[image]), str(image)))
    seen: dict[str, int] = {}
    order: list[tuple[int, int, Path]] = []
    for image in richest:
        seen[groups[image]] = seen.get(groups[image], 0) + 1
        order.append((seen[groups[image]], len(order), image))
    return [image for _, _, image in sorted(order)[:count]]


def overlay_figure(
    path: Path, segments: Sequence[Segment], predictions: Mapping[str, Sequence[str]], names: Sequence[str], count: int
) -> bool:
    """Draws ``count`` images as a PNG, where matplotlib is installed: the picture, the labels, and every
    system's names side by side. Large masks bear their names, wrong ones in yellow.

    Args:
        path: the PNG.
        segments: M labelled segments.
        predictions: column title -> the M names that a system gives them.
        names: the vocabulary, which colours depend on.
        count: images, at most.

    Returns:
        Whether it was drawn.
    """
    if not plots.available():
        return False
    colours, used = name_colours(names), dict.fromkeys(names, False)
    columns = {"ground truth": [segment.label for segment in segments], **predictions}
    rows = []
    for image in choose_images(segments, count):
        places = [place for place, segment in enumerate(segments) if segment.image == image]
        masks, picture = [segments[place].mask() for place in places], read_image(image)
        row = [plots.Panel("image", picture)]
        for title, given in columns.items():
            said = [given[place] for place in places]
            right = [name == segments[place].label for name, place in zip(said, places, strict=True)]
            used.update(dict.fromkeys(said, True))
            painted = paint(picture, masks, [colours[name] for name in said])
            row.append(plots.Panel(title, painted, name_notes(masks, said, right)))
        rows.append(row)
    legend = {name: colours[name] for name in names if used[name]}
    with atomic_file(path) as temporary:
        plots.picture_grid(temporary, rows, legend, "A name in yellow is wrong, one in white is right.")
    return True


def name_notes(masks: Sequence[NDArray[np.bool_]], names: Sequence[str], right: Sequence[bool]) -> list[plots.Note]:
    """The name of each mask that is large enough, where it is widest: white, and yellow where it is wrong.

    Args:
        masks: (H, W) each.
        names: of the masks.
        right: which names are right.
    """
    from scipy.ndimage import distance_transform_edt

    notes = []
    for mask, name, is_right in zip(masks, names, right, strict=True):
        if mask.mean() >= NAMED:
            left, top, right_end, bottom = mask_box(mask)
            inside = distance_transform_edt(np.pad(mask[top:bottom, left:right_end], 1))[1:-1, 1:-1]
            y, x = np.unravel_index(inside.argmax(), inside.shape)
            notes.append(plots.Note(float(left + x), float(top + y), name, "white" if is_right else "yellow"))
    return notes
