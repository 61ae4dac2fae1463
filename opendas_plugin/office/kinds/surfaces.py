"""The room itself: walls, floors and ceilings as coloured panels of any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.office.geometry import Mesh, box, merge, panel
from opendas_plugin.office.kinds.palette import BLACK, GREY, METAL, PASTEL, RED, WHITE, WOOD, grain, tint
from opendas_plugin.office.kinds.registry import kind


def wall_panel(rng: np.random.Generator, width: float, height: float) -> Mesh:
    """A painted wall that faces -y, its foot on z = 0, with a skirting board and sometimes a darker lower part."""
    rows, columns = 12, max(4, round(width / 0.3))
    colours = grain(rng, tint(rng, PASTEL, WHITE), (rows, columns), 0.015)
    colours *= np.linspace(1.0, rng.uniform(0.85, 1.0), rows)[:, None, None]
    if rng.random() < 0.25:
        colours[rows - rows // 3 :] *= tint(rng, PASTEL) * 0.85
    skirting = box((width, 0.02, 0.1), (0, -0.01, 0.05), tint(rng, WHITE, WOOD, GREY))
    return merge([panel(np.clip(colours, 0.01, 0.95), width, height, (0, 0, height / 2)), skirting])


def floor_panel(rng: np.random.Generator, width: float, depth: float) -> Mesh:
    """A floor at z = 0 that faces up: planks, checkered tiles or mottled carpet tiles."""
    rows, columns = max(6, round(depth / 0.13)), max(6, round(width / 0.13))
    style = rng.integers(3)
    if style == 0:
        colours = _planks(rng, rows, columns)
    elif style == 1:
        light, dark = tint(rng, WHITE, PASTEL), tint(rng, GREY, WHITE) * 0.7
        row, column = np.mgrid[:rows, :columns] // 3
        colours = np.where(((row + column) % 2 == 0)[..., None], light, dark)
    else:
        row, column = np.mgrid[:rows, :columns] // 4
        shade = 1 + 0.12 * ((row + column) % 2)[..., None]
        colours = grain(rng, tint(rng, GREY, ((0.15, 0.20, 0.32), (0.35, 0.28, 0.22))), (rows, columns), 0.12) * shade
    return panel(np.clip(colours, 0.01, 0.95), width, depth, (0, 0, 0), facing="+z")


def ceiling_panel(rng: np.random.Generator, width: float, depth: float) -> Mesh:
    """A suspended ceiling at z = 0 that faces down: white tiles in a dark grid, some of them bright lamps."""
    rows, columns = 4 * max(2, round(depth / 0.6)) + 1, 4 * max(2, round(width / 0.6)) + 1
    colours = grain(rng, tint(rng, WHITE), (rows, columns), 0.04)
    for row in range(rows // 4):
        for column in range(columns // 4):
            if (row + 2 * column) % 4 == 1:
                colours[row * 4 + 1 : row * 4 + 4, column * 4 + 1 : column * 4 + 4] = 0.95
    colours[::4, :] = colours[:, ::4] = tint(rng, GREY)
    return panel(colours, width, depth, (0, 0, 0), facing="-z")


def _planks(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.float64]:
    wood = tint(rng, WOOD)
    colours = np.empty((rows, columns, 3))
    for row in range(rows):
        start, shade = int(rng.integers(-6, 0)), 1.0
        for column in range(columns):
            if (column - start) % 7 == 0:
                shade = rng.uniform(0.72, 1.2)
            colours[row, column] = wood * shade
    return colours


@kind("wall", "surface")
def wall(rng: np.random.Generator) -> Mesh:
    return wall_panel(rng, rng.uniform(2.2, 3.3), rng.uniform(2.2, 2.7))


@kind("floor", "surface")
def floor(rng: np.random.Generator) -> Mesh:
    return floor_panel(rng, rng.uniform(2.6, 3.4), rng.uniform(2.6, 3.4))


@kind("ceiling", "surface")
def ceiling(rng: np.random.Generator) -> Mesh:
    return ceiling_panel(rng, rng.uniform(2.6, 3.4), rng.uniform(2.6, 3.4))


@kind("brick wall", "surface")
def brick_wall(rng: np.random.Generator) -> Mesh:
    width, rows, columns = rng.uniform(2.0, 2.6), 16, 8
    high, wide = 0.13, width / columns
    brick, mortar = tint(rng, ((0.50, 0.17, 0.10), (0.58, 0.28, 0.18), (0.40, 0.14, 0.10))), tint(rng, PASTEL)
    parts = [panel(mortar[None, None], width, rows * high, (0, 0, rows * high / 2))]
    for row in range(rows):
        for column in range(columns):
            x = (column + 0.5 * (row % 2) + 0.25) * wide - width / 2
            colour = np.clip(brick * rng.uniform(0.75, 1.25), 0.01, 0.95)
            parts.append(panel(colour[None, None], wide * 0.9, high * 0.78, (x, -0.01, (row + 0.5) * high)))
    return merge(parts)


@kind("rug")
def rug(rng: np.random.Generator) -> Mesh:
    width, depth = rng.uniform(1.6, 2.4), rng.uniform(1.0, 1.5)
    rows, columns = 14, 20
    colours = np.broadcast_to(
        tint(rng, RED, ((0.10, 0.15, 0.40), (0.45, 0.30, 0.12), (0.10, 0.30, 0.25))), (rows, columns, 3)
    )
    colours = colours.copy()
    accent, cream = tint(rng, ((0.80, 0.60, 0.20), (0.10, 0.20, 0.45))), np.array((0.80, 0.74, 0.60))
    colours[[1, -2], 1:-1] = colours[1:-1, [1, -2]] = cream
    row, column = np.mgrid[:rows, :columns]
    diamond = np.abs(row - (rows - 1) / 2) / 5 + np.abs(column - (columns - 1) / 2) / 7
    colours[diamond < 1] = accent
    colours[diamond < 0.5] = cream
    fringe = [box((0.04, depth * 0.98, 0.01), (i * (width / 2 + 0.02), 0, 0.005), cream) for i in (-1, 1)]
    base = box((width, depth, 0.012), (0, 0, 0.006), colours[0, 0])
    return merge([base, panel(colours, width, depth, (0, 0, 0.014), facing="+z"), *fringe])


@kind("wooden pallet")
def wooden_pallet(rng: np.random.Generator) -> Mesh:
    width, depth, wood = rng.uniform(1.1, 1.3), rng.uniform(0.8, 1.0), tint(rng, WOOD[2:])
    parts = [box((width, 0.09, 0.02), (0, y, 0.01), wood * 0.8) for y in np.linspace(-0.45, 0.45, 3) * depth]
    for x in (-0.44, 0, 0.44):
        parts += [box((0.12, 0.11, 0.09), (x * width, y * depth, 0.065), wood * 0.65) for y in (-0.44, 0, 0.44)]
        parts.append(box((0.12, depth, 0.02), (x * width, 0, 0.12), wood * 0.85))
    boards = int(rng.integers(6, 8))
    for y in np.linspace(-0.45, 0.45, boards) * depth:
        parts.append(
            box((width, depth / boards * 0.72, 0.022), (0, y, 0.141), np.clip(wood * rng.uniform(0.85, 1.15), 0, 0.95))
        )
    return merge(parts)


@kind("staircase")
def staircase(rng: np.random.Generator) -> Mesh:
    steps, width, rise, run = int(rng.integers(6, 9)), rng.uniform(1.0, 1.5), 0.18, rng.uniform(0.24, 0.3)
    tread, riser = tint(rng, WOOD, GREY), tint(rng, WHITE, GREY)
    parts = []
    for step in range(steps):
        top, y = (step + 1) * rise, (step - steps / 2) * run
        parts.append(
            box(
                (width, (steps - step) * run, rise - 0.04),
                (0, y + (steps - step) * run / 2, top - rise / 2 - 0.02),
                riser,
            )
        )
        parts.append(box((width + 0.06, run + 0.04, 0.04), (0, y + run / 2 - 0.02, top - 0.02), tread))
    side, metal = (width / 2 - 0.03) * rng.choice((-1, 1)), tint(rng, BLACK, METAL, WOOD)
    for step in range(0, steps, 2):
        parts.append(box((0.04, 0.04, 0.9), (side, (step - steps / 2 + 0.5) * run, (step + 1) * rise + 0.45), metal))
    length, slope = np.hypot(steps * run, steps * rise), np.arctan2(rise, run)
    rail = box((0.06, length, 0.06), (0, 0, 0), metal).rotated("x", slope)
    return merge([*parts, rail.moved((side, 0, steps * rise / 2 + 0.95))])
