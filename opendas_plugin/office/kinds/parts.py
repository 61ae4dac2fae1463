"""Parts that many objects share: legs, carcasses, drawer fronts, printed pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.office.geometry import Colour, Mesh, box, merge
from opendas_plugin.office.kinds.palette import BRIGHT, tint


def legs(width: float, depth: float, height: float, thick: float, colour: Colour) -> Mesh:
    """Four square legs that stand on z = 0 inside a rectangle."""
    x, y = (width - thick) / 2, (depth - thick) / 2
    return merge(box((thick, thick, height), (i * x, j * y, height / 2), colour) for i in (-1, 1) for j in (-1, 1))


def carcass(
    width: float, depth: float, height: float, thick: float, colour: Colour, back: Colour | None = None
) -> Mesh:
    """An open case: two sides, top, bottom and back, standing on z = 0 and open to the front."""
    sides = [box((thick, depth, height), (i * (width - thick) / 2, 0, height / 2), colour) for i in (-1, 1)]
    lids = [box((width, depth, thick), (0, 0, z), colour) for z in (thick / 2, height - thick / 2)]
    rear = box((width, thick / 2, height), (0, (depth - thick / 2) / 2, height / 2), colour if back is None else back)
    return merge([*sides, *lids, rear])


def fronts(
    rows: int,
    columns: int,
    area: tuple[float, float, float, float],
    y: float,
    colour: Colour,
    handle: Colour,
    *,
    upright: bool = False,
) -> Mesh:
    """A grid of drawer or door fronts with bar handles that fills ``area`` (x0, z0, x1, z1) before the plane ``y``."""
    x0, z0, x1, z1 = area
    wide, high = (x1 - x0) / columns, (z1 - z0) / rows
    parts = []
    for row in range(rows):
        for column in range(columns):
            x, z = x0 + (column + 0.5) * wide, z0 + (row + 0.5) * high
            parts.append(box((wide * 0.94, 0.02, high * 0.93), (x, y - 0.01, z), colour))
            if upright:
                side = 1 if column % 2 == 0 else -1
                size, at = (0.02, 0.03, high * 0.25), (x + side * wide * 0.36, y - 0.03, z)
            else:
                size, at = (wide * 0.35, 0.03, 0.02), (x, y - 0.03, z + high * 0.22)
            parts.append(box(size, at, handle))
    return merge(parts)


def picture(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.float64]:
    """A printed picture (rows, columns, 3): a landscape with a sun, or bold shapes."""
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    if rng.random() < 0.5:
        sky, land = (
            np.array((0.45, 0.62, 0.85)) * rng.uniform(0.7, 1.1),
            np.array((0.15, 0.40, 0.12)) * rng.uniform(0.7, 1.3),
        )
        hills = rng.uniform(0.4, 0.7) + 0.12 * np.sin(rng.uniform(3, 9) * x + rng.uniform(0, 6))
        image = np.where((y > hills)[..., None], land, sky * (0.75 + 0.4 * y[..., None]))
        sun = (x - rng.uniform(0.2, 0.8)) ** 2 + (y - rng.uniform(0.1, 0.3)) ** 2 < 0.008
        image[sun] = (0.92, 0.75, 0.2)
    else:
        image = np.broadcast_to(tint(rng, BRIGHT), (rows, columns, 3)).copy()
        for _ in range(4):
            distance = np.hypot(x - rng.random(), y - rng.random())
            image[distance < rng.uniform(0.1, 0.35)] = tint(rng, BRIGHT)
    return np.clip(image, 0.01, 0.95)


def text_lines(
    rng: np.random.Generator, rows: int, columns: int, paper: Colour, ink: Colour, *, margin: int = 1
) -> NDArray[np.float64]:
    """A page (rows, columns, 3) of lines of print: every second row is inked, ragged on the right."""
    page = np.broadcast_to(np.asarray(paper, dtype=np.float64), (rows, columns, 3)).copy()
    for row in range(margin, rows - margin, 2):
        page[row, margin : columns - margin - rng.integers(0, max(1, columns // 3))] = ink
    return page
