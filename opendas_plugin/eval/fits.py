"""How the points of a scene lie to its depth maps, as a table and as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from opendas_plugin.eval.report import align
from opendas_plugin.scenes.agreement import total
from opendas_plugin.scenes.views import Fit, Projector

KINDS = {"hidden": (70, 110, 230), "shown": (40, 200, 70), "in front": (235, 30, 30)}
"""RGB of the points behind, at and before the surfaces of a depth map, in the order that they are painted in."""
_EDGE = (255, 225, 40)
_STEP = 0.1  # of the depth, between two pixels: the border of a thing


def fit_table(names: Sequence[str], fits: Sequence[Fit]) -> str:
    """A row for each picture and one for all: points in it, and the shares shown, hidden and in front."""
    rows = [["picture", "points", *(f"{title} %" for title in ("shown", "hidden", "in front"))]]
    for name, fit in zip((*names, "all"), (*fits, total(fits)), strict=True):
        known = max(fit.known, 1)
        shares = [f"{100 * count / known:.1f}" for count in (fit.shown, fit.hidden, fit.in_front)]
        rows.append([name, str(fit.inside), *(shares if fit.known else ["-"] * 3)])
    return align(rows)


def draw_fit(projector: Projector, view: int) -> Image.Image:
    """A picture and its depth map side by side, with the points painted over by :data:`KINDS`.

    The borders of things in the depth map are drawn into both: in the picture they must lie on the borders seen there.
    """
    height, width = projector.views.size
    photo = Image.fromarray(projector.views.read_colour(view)).resize((width, height), Image.Resampling.BILINEAR)
    depth = projector.views.read_depth(view)
    grey = np.repeat((255 * np.clip(depth / max(np.percentile(depth, 98), 1e-6), 0, 1))[..., None], 3, axis=2)
    points, kinds = _points(projector, view, depth)
    sheet = Image.new("RGB", (2 * width, height + 20), (255, 255, 255))
    for place, picture in enumerate((np.array(photo), grey.astype(np.uint8))):
        painted = (0.6 * picture + 60).astype(np.uint8)
        painted[_borders(depth)] = _EDGE
        for number, colour in enumerate(KINDS.values()):
            own = points[kinds == number]
            for down, right in np.ndindex(2, 2):  # two pixels wide, to be seen
                painted[np.minimum(own[:, 1] + down, height - 1), np.minimum(own[:, 0] + right, width - 1)] = colour
        sheet.paste(Image.fromarray(painted), (place * width, 0))
    _legend(sheet, height)
    return sheet


def _points(projector: Projector, view: int, depth: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels (n, 2) x, y of the points over known depth, and which of :data:`KINDS` each is."""
    height, width = projector.views.size
    local = projector.homogeneous @ projector.extrinsics[view].T
    local = local[local[:, 2] > 0.05]
    image = local @ projector.views.scaled_intrinsic.T
    at = np.floor(image[:, :2] / image[:, 2:]).clip(-1, 1e6).astype(np.int64)
    inside = (at >= 0).all(axis=1) & (at[:, 0] < width) & (at[:, 1] < height)
    at, z = at[inside], local[inside, 2]
    sensor = depth[at[:, 1], at[:, 0]]
    kinds = np.select([sensor - z > projector.threshold, sensor - z < -projector.threshold], [2, 0], 1)
    return at[sensor > 0], kinds[sensor > 0]


def _borders(depth: NDArray) -> NDArray[np.bool_]:
    borders = np.zeros(depth.shape, dtype=bool)
    borders[:, 1:] |= np.abs(np.diff(depth, axis=1)) > _STEP * depth[:, 1:]
    borders[1:] |= np.abs(np.diff(depth, axis=0)) > _STEP * depth[1:]
    return borders


def _legend(sheet: Image.Image, top: int) -> None:
    draw, left = ImageDraw.Draw(sheet), 6
    for name, colour in (*KINDS.items(), ("borders of the depth map", _EDGE)):
        draw.rectangle((left, top + 5, left + 10, top + 15), fill=colour)
        draw.text((left + 15, top + 4), name, fill=(0, 0, 0))
        left += 30 + int(draw.textlength(name))
