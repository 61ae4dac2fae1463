"""What hangs on a wall to be looked at."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, merge, panel, prism, sphere, tube
from opendas_plugin.office.kinds.palette import BLACK, BLUE, BRIGHT, GOLD, METAL, RED, WHITE, WOOD, tint
from opendas_plugin.office.kinds.parts import picture
from opendas_plugin.office.kinds.registry import kind


def _frame(
    width: float, height: float, bar: float, depth: float, colour: np.ndarray, *, sill: bool = True
) -> list[Mesh]:
    parts = [box((bar, depth, height), (i * (width - bar) / 2, -depth / 2, height / 2), colour) for i in (-1, 1)]
    parts.append(box((width, depth, bar), (0, -depth / 2, height - bar / 2), colour))
    if sill:
        parts.append(box((width, depth, bar), (0, -depth / 2, bar / 2), colour))
    return parts


@kind("mirror", "wall")
def mirror(rng: np.random.Generator) -> Mesh:
    width, height, frame = rng.uniform(0.5, 0.7), rng.uniform(0.8, 1.2), tint(rng, GOLD, GOLD, WOOD, BLACK)
    rows = 16
    row, column = np.mgrid[:rows, :12]
    band = ((row + column + rng.integers(0, 8)) % 12) < 4
    glass = np.where(band[..., None], (0.86, 0.90, 0.93), tint(rng, ((0.52, 0.60, 0.66), (0.60, 0.66, 0.70))))
    shape = rng.random()
    if shape < 0.5:
        parts = [panel(glass, width, height, (0, -0.02, height / 2)), *_frame(width, height, 0.05, 0.05, frame)]
        return merge(parts)
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    oval = np.stack([np.cos(angles) * width / 2, np.sin(angles) * height / 2], axis=1)
    parts = [prism(oval * 1.14, 0.03, (0, -0.015, 0), frame), prism(oval, 0.02, (0, -0.035, 0), glass[0, 0])]
    for offset in (-0.2, 0.02):
        streak = np.array([(-0.3, -0.3), (-0.2, -0.3), (0.35, 0.25), (0.25, 0.25)]) * (width, height) + (
            0,
            offset * height,
        )
        parts.append(prism(streak, 0.002, (0, -0.047, 0), (0.88, 0.91, 0.94)))
    return merge(parts).moved((0, 0, height * 0.57))


@kind("poster", "wall")
def poster(rng: np.random.Generator) -> Mesh:
    width, height = rng.uniform(0.45, 0.65), rng.uniform(0.7, 0.95)
    image = picture(rng, 18, 13)
    image[-5:] = tint(rng, WHITE, BLACK, BRIGHT)
    ink = np.array((0.05, 0.05, 0.05)) if image[-1, 0].mean() > 0.4 else np.array((0.9, 0.9, 0.85))
    image[-4, 2:-2] = ink
    image[-2, 3 : -3 - rng.integers(0, 3)] = ink
    parts = [
        panel(image, width, height, (0, -0.006, height / 2)),
        box((width, 0.004, height), (0, -0.002, height / 2), image[-1, 0]),
    ]
    tape = [
        box((0.06, 0.004, 0.03), (i * width * 0.47, -0.008, height * z), (0.8, 0.8, 0.7))
        for i in (-1, 1)
        for z in (0.02, 0.98)
    ]
    return merge([*parts, *tape])


@kind("picture frame", "wall")
def picture_frame(rng: np.random.Generator) -> Mesh:
    width, height, bar = rng.uniform(0.45, 0.75), rng.uniform(0.4, 0.6), rng.uniform(0.045, 0.075)
    frame = tint(rng, WOOD, GOLD, BLACK)
    mat = tint(rng, WHITE)
    parts = [*_frame(width, height, bar, 0.04, frame), box((width, 0.01, height), (0, -0.005, height / 2), mat)]
    inner = 0.62
    parts.append(panel(picture(rng, 10, 14), width * inner, height * inner, (0, -0.014, height / 2)))
    return merge(parts)


@kind("map", "wall")
def map_(rng: np.random.Generator) -> Mesh:
    width, height, rows, columns = rng.uniform(0.9, 1.2), rng.uniform(0.6, 0.8), 18, 28
    sea = tint(rng, ((0.40, 0.62, 0.80), (0.55, 0.72, 0.82)))
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    image = np.broadcast_to(sea, (rows, columns, 3)).copy()
    for _ in range(5):
        cx, cy, country = (
            rng.uniform(0.1, 0.9),
            rng.uniform(0.15, 0.85),
            tint(rng, ((0.80, 0.72, 0.35), (0.35, 0.60, 0.25), (0.80, 0.45, 0.30))),
        )
        for _ in range(3):
            sx, sy = rng.uniform(0.06, 0.16), rng.uniform(0.06, 0.2)
            inside = ((x - cx - rng.normal(0, 0.06)) / sx) ** 2 + ((y - cy - rng.normal(0, 0.08)) / sy) ** 2 < 1
            image[inside] = country
    image[[0, -1]] = image[:, [0, -1]] = (0.88, 0.86, 0.78)
    rods = [cylinder(0.02, width * 1.06, (0, -0.02, z), tint(rng, WOOD[:2]), axis="x", sides=7) for z in (0, height)]
    return merge([panel(image, width, height, (0, -0.012, height / 2)), *rods]).moved((0, 0, 0.02))


@kind("flag", "floor")
def flag(rng: np.random.Generator) -> Mesh:
    height, width, cloth = rng.uniform(1.6, 2.1), rng.uniform(0.8, 1.1), rng.uniform(0.5, 0.7)
    pole = tint(rng, METAL, GOLD, WHITE)
    parts = [
        cylinder(0.02, height, (0, 0, height / 2), pole, sides=8),
        sphere(0.045, (0, 0, height), tint(rng, GOLD), sides=8, rings=5),
    ]
    parts.append(cylinder(0.18, 0.06, (0, 0, 0.03), tint(rng, BLACK, METAL), top=0.05))
    first, columns, vertical = int(rng.integers(0, len(BRIGHT))), 12, rng.random() < 0.5
    phase = rng.uniform(0, 6)
    for column in range(columns):
        x, wave = (column + 0.5) / columns * width, 0.06 * np.sin(phase + column * 0.9)
        for stripe in range(3):
            index = (column * 3 // columns) if vertical else stripe
            colour = (np.array(BRIGHT[first]), np.array((0.9, 0.9, 0.88)), np.array(BRIGHT[(first + 3) % len(BRIGHT)]))[
                index
            ]
            shade = np.clip(colour * (1 + 2 * wave), 0, 0.95)
            size = (width / columns * 1.05, 0.012, cloth / 3)
            parts.append(box(size, (x, wave, height - 0.1 - cloth + (2.5 - stripe) * cloth / 3), shade))
    return merge(parts)


@kind("whiteboard", "wall")
def whiteboard(rng: np.random.Generator) -> Mesh:
    width, height = rng.uniform(1.1, 1.7), rng.uniform(0.8, 1.05)
    frame = tint(rng, METAL)
    rows, columns = 20, 30
    board = np.full((rows, columns, 3), rng.uniform(0.86, 0.94))
    for _ in range(int(rng.integers(3, 7))):
        ink = tint(rng, ((0.05, 0.10, 0.60), (0.70, 0.05, 0.05), (0.05, 0.40, 0.12), (0.05, 0.05, 0.05)))
        row, column, length = rng.integers(2, rows - 3), rng.integers(2, columns - 12), rng.integers(4, 11)
        if rng.random() < 0.6:
            board[row, column : column + length] = ink
        else:
            column = rng.integers(2, columns - 7)
            row = rng.integers(2, rows - 6)
            board[[row, row + 3], column : column + 5] = ink
            board[row : row + 4, [column, column + 4]] = ink
    parts = [panel(board, width, height, (0, -0.012, height / 2)), *_frame(width, height, 0.025, 0.03, frame)]
    parts.append(box((width * 0.5, 0.08, 0.02), (0, -0.06, 0.0), frame * 0.9))
    for i in range(3):
        marker = tint(rng, BRIGHT[:3], BLUE, BLACK)
        parts.append(
            cylinder(0.012, 0.12, ((i - 1) * 0.16 + rng.uniform(-0.02, 0.02), -0.07, 0.022), marker, axis="x", sides=6)
        )
    return merge(parts).moved((0, 0, 0.01))


@kind("calendar", "wall")
def calendar(rng: np.random.Generator) -> Mesh:
    width, height = rng.uniform(0.3, 0.4), rng.uniform(0.45, 0.6)
    top = picture(rng, 9, 14)
    page = np.full((13, 15, 3), 0.9)
    page[0] = tint(rng, BRIGHT[:2])
    for row in range(2, 12, 2):
        page[row, 1:-1:2] = (0.12, 0.12, 0.14)
        page[row, 13] = (0.75, 0.06, 0.06)
    page[rng.integers(1, 6) * 2, 1 + 2 * rng.integers(0, 6)] = (0.8, 0.05, 0.05)
    parts = [
        panel(top, width, height * 0.4, (0, -0.01, height * 0.8)),
        panel(page, width, height * 0.58, (0, -0.01, height * 0.29)),
    ]
    for i in range(8):
        parts.append(box((0.008, 0.015, 0.03), ((i - 3.5) * width / 9, -0.015, height * 0.59), (0.08, 0.08, 0.08)))
    parts.append(
        tube(
            [(-0.03, -0.008, height), (0, -0.008, height + 0.05), (0.03, -0.008, height)],
            0.004,
            (0.1, 0.1, 0.1),
            sides=5,
        )
    )
    return merge(parts)


@kind("clock", "wall")
def clock(rng: np.random.Generator) -> Mesh:
    radius, rim, face = rng.uniform(0.13, 0.18), tint(rng, BLACK, WOOD, METAL, RED, GOLD), tint(rng, WHITE)
    parts = [
        cylinder(radius, 0.03, (0, -0.015, 0), rim, axis="y", sides=28),
        cylinder(radius * 0.88, 0.006, (0, -0.033, 0), face, axis="y", sides=28),
    ]
    for hour in range(12):
        size = (radius * (0.07 if hour % 3 == 0 else 0.035), 0.004, radius * 0.17)
        parts.append(box(size, (0, -0.038, radius * 0.72), (0.05, 0.05, 0.05)).rotated("y", hour * np.pi / 6))
    for length, thick, colour in (
        (0.42, 0.07, (0.04, 0.04, 0.04)),
        (0.66, 0.045, (0.04, 0.04, 0.04)),
        (0.7, 0.015, (0.8, 0.06, 0.05)),
    ):
        hand = box((radius * thick, 0.004, radius * length), (0, -0.042, radius * length * 0.42), colour)
        parts.append(hand.rotated("y", rng.uniform(0, 2 * np.pi)))
    parts.append(cylinder(radius * 0.06, 0.014, (0, -0.04, 0), (0.05, 0.05, 0.05), axis="y", sides=10))
    return merge(parts).moved((0, 0, radius))


@kind("dartboard", "wall")
def dartboard(rng: np.random.Generator) -> Mesh:
    radius, parts = rng.uniform(0.2, 0.25), []
    parts.append(cylinder(radius * 1.15, 0.03, (0, -0.015, 0), (0.03, 0.03, 0.03), axis="y", sides=30))
    rings = ((0.2, 0.55, 0), (0.55, 0.63, 1), (0.63, 0.9, 0), (0.9, 1.0, 1))
    for sector in range(20):
        a, b = 2 * np.pi * sector / 20, 2 * np.pi * (sector + 1) / 20
        for low, high, bright in rings:
            pair = ((0.80, 0.05, 0.05), (0.05, 0.45, 0.12)) if bright else ((0.04, 0.04, 0.04), (0.85, 0.78, 0.58))
            outline = [
                (r * radius * np.cos(t), r * radius * np.sin(t)) for r, t in ((low, a), (high, a), (high, b), (low, b))
            ]
            parts.append(prism(outline, 0.004, (0, -0.033, 0), pair[sector % 2]))
    parts.append(cylinder(radius * 0.2, 0.006, (0, -0.033, 0), (0.05, 0.45, 0.12), axis="y"))
    parts.append(cylinder(radius * 0.1, 0.01, (0, -0.034, 0), (0.80, 0.05, 0.05), axis="y"))
    for _ in range(int(rng.integers(0, 4))):
        angle, r = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.1, 0.85)
        x, z = r * np.cos(angle), r * np.sin(angle)
        parts.append(cylinder(0.006, 0.09, (x, -0.07, z), tint(rng, BRIGHT), axis="y", sides=6))
        parts += [box(size, (x, -0.125, z), tint(rng, BRIGHT)) for size in ((0.04, 0.04, 0.004), (0.004, 0.04, 0.04))]
    return merge(parts).moved((0, 0, radius * 1.15))
