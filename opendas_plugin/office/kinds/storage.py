"""What things are kept in."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, merge, prism, sphere, torus, tube
from opendas_plugin.office.kinds.palette import (
    BLACK,
    BLUE,
    BRIGHT,
    GOLD,
    GREEN,
    GREY,
    METAL,
    PASTEL,
    RED,
    WHITE,
    WOOD,
    tint,
)
from opendas_plugin.office.kinds.parts import carcass, fronts, legs
from opendas_plugin.office.kinds.registry import kind


@kind("dresser")
def dresser(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(1.1, 1.5), rng.uniform(0.42, 0.5), rng.uniform(0.75, 0.9)
    wood = tint(rng, WOOD, WHITE)
    parts = [
        box((width, depth, height - 0.08), (0, 0, height / 2 + 0.04), wood * 0.85),
        legs(width, depth, 0.1, 0.06, wood * 0.6),
    ]
    parts.append(box((width * 1.05, depth * 1.08, 0.035), (0, 0, height), wood))
    knob, columns, rows = tint(rng, GOLD, BLACK), int(rng.integers(2, 4)), 3
    for row in range(rows):
        for column in range(columns):
            wide, high = width * 0.96 / columns, (height - 0.14) / rows
            x, z = (column + 0.5 - columns / 2) * wide, 0.1 + (row + 0.5) * high
            parts.append(box((wide * 0.93, 0.02, high * 0.88), (x, -depth / 2 - 0.01, z), wood))
            parts += [
                sphere(0.02, (x + i * wide * 0.25, -depth / 2 - 0.04, z), knob, sides=7, rings=5) for i in (-1, 1)
            ]
    return merge(parts)


@kind("bookshelf")
def bookshelf(rng: np.random.Generator) -> Mesh:
    width, depth, height, rows = rng.uniform(0.75, 1.1), 0.3, rng.uniform(1.5, 2.0), int(rng.integers(4, 6))
    wood = tint(rng, WOOD, WOOD, WHITE)
    parts = [carcass(width, depth, height, 0.035, wood, wood * 0.5)]
    gap = height / rows
    for row in range(rows):
        if row:
            parts.append(box((width, depth, 0.03), (0, 0, row * gap), wood))
        x, end = -width / 2 + 0.05, width / 2 - rng.uniform(0.05, 0.25)
        while x < end:
            thick, high = rng.uniform(0.035, 0.075), gap * rng.uniform(0.6, 0.86)
            size = (thick * 0.94, depth * 0.7, high)
            parts.append(
                box(size, (x + thick / 2, -0.02, row * gap + 0.02 + high / 2), tint(rng, BRIGHT, BRIGHT, PASTEL, BLACK))
            )
            x += thick
    return merge(parts)


@kind("cabinet")
def cabinet(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.75, 1.0), rng.uniform(0.4, 0.5), rng.uniform(0.85, 1.25)
    wood = tint(rng, WOOD, WHITE, GREY)
    front = wood if rng.random() < 0.6 else tint(rng, PASTEL, WOOD)
    parts = [
        box((width, depth, height - 0.06), (0, 0, height / 2 + 0.03), wood * 0.8),
        box((width * 0.94, depth * 0.9, 0.06), (0, 0, 0.03), wood * 0.4),
    ]
    parts.append(
        fronts(1, 2, (-width / 2, 0.06, width / 2, height), -depth / 2, front, tint(rng, METAL, BLACK), upright=True)
    )
    for i in (-1, 1):
        size = (width * 0.33, 0.012, height * 0.66)
        parts.append(box(size, (i * width * 0.25 - i * 0.02, -depth / 2 - 0.022, height / 2 + 0.03), front * 0.82))
    return merge(parts)


@kind("filing cabinet")
def filing_cabinet(rng: np.random.Generator) -> Mesh:
    width, depth, rows = rng.uniform(0.42, 0.5), rng.uniform(0.5, 0.6), int(rng.integers(3, 5))
    height, metal = rows * rng.uniform(0.3, 0.34), tint(rng, GREY, GREY, ((0.52, 0.50, 0.42), (0.25, 0.32, 0.30)))
    parts = [box((width, depth, height), (0, 0, height / 2), metal * 0.85)]
    high = height / rows
    for row in range(rows):
        z = (row + 0.5) * high
        parts.append(box((width * 0.92, 0.02, high * 0.88), (0, -depth / 2 - 0.01, z), metal))
        parts.append(box((width * 0.3, 0.03, 0.03), (0, -depth / 2 - 0.035, z - high * 0.08), (0.75, 0.76, 0.78)))
        parts.append(box((width * 0.3, 0.012, 0.06), (0, -depth / 2 - 0.022, z + high * 0.2), (0.9, 0.9, 0.85)))
    parts.append(
        cylinder(0.015, 0.02, (width * 0.38, -depth / 2 - 0.025, height - 0.04), (0.8, 0.8, 0.8), axis="y", sides=8)
    )
    return merge(parts)


@kind("wardrobe")
def wardrobe(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(1.1, 1.4), rng.uniform(0.5, 0.6), rng.uniform(1.9, 2.1)
    wood = tint(rng, WOOD, WOOD, WHITE)
    parts = [
        box((width, depth, height - 0.14), (0, 0, height / 2 + 0.07), wood * 0.8),
        legs(width, depth, 0.14, 0.09, wood * 0.6),
    ]
    crown = [(-width * 0.54, 0), (width * 0.54, 0), (width * 0.5, 0.1), (0, 0.22), (-width * 0.5, 0.1)]
    parts.append(prism(crown, depth * 1.06, (0, 0, height), wood * 0.7))
    parts.append(fronts(1, 2, (-width / 2, 0.46, width / 2, height), -depth / 2, wood, tint(rng, GOLD), upright=True))
    parts.append(fronts(1, 2, (-width / 2, 0.14, width / 2, 0.46), -depth / 2, wood, tint(rng, GOLD)))
    if rng.random() < 0.6:
        parts.append(
            box(
                (width * 0.34, 0.01, height * 0.6),
                (-width * 0.24, -depth / 2 - 0.025, height * 0.58),
                (0.62, 0.70, 0.76),
            )
        )
    return merge(parts)


@kind("locker")
def locker(rng: np.random.Generator) -> Mesh:
    columns, wide, height, depth = int(rng.integers(3, 5)), rng.uniform(0.28, 0.34), rng.uniform(1.6, 1.85), 0.45
    metal = tint(rng, BLUE, GREEN, RED, ((0.75, 0.55, 0.08),))
    width = columns * wide
    parts = [box((width, depth, height), (0, 0, height / 2), metal * 0.6)]
    for column in range(columns):
        x = (column + 0.5) * wide - width / 2
        parts.append(box((wide * 0.92, 0.02, height * 0.94), (x, -depth / 2 - 0.01, height / 2), metal))
        for slot in range(4):
            for z in (height * 0.86, height * 0.12):
                parts.append(box((wide * 0.5, 0.01, 0.018), (x, -depth / 2 - 0.022, z + slot * 0.04), metal * 0.3))
        parts.append(box((0.03, 0.03, 0.12), (x + wide * 0.32, -depth / 2 - 0.03, height * 0.52), (0.75, 0.75, 0.75)))
        parts.append(box((wide * 0.3, 0.01, 0.05), (x, -depth / 2 - 0.022, height * 0.76), (0.9, 0.9, 0.86)))
    return merge(parts)


@kind("safe")
def safe(rng: np.random.Generator) -> Mesh:
    side, metal = rng.uniform(0.5, 0.65), tint(rng, GREY, BLACK, ((0.10, 0.22, 0.15),))
    height = side * rng.uniform(0.95, 1.2)
    front = -side * 0.45
    parts = [
        box((side, side * 0.9, height), (0, 0, height / 2 + 0.04), metal),
        legs(side * 0.9, side * 0.8, 0.05, 0.08, metal * 0.5),
    ]
    parts.append(box((side * 0.86, 0.03, height * 0.86), (0, front - 0.015, height / 2 + 0.04), metal * 0.75))
    middle = height / 2 + 0.04
    parts.append(cylinder(side * 0.11, 0.04, (side * 0.18, front - 0.05, middle + 0.08), (0.85, 0.85, 0.85), axis="y"))
    parts.append(cylinder(side * 0.05, 0.06, (side * 0.18, front - 0.07, middle + 0.08), (0.05, 0.05, 0.05), axis="y"))
    parts.append(torus(side * 0.12, 0.014, (-side * 0.12, front - 0.09, middle), (0.75, 0.72, 0.6), axis="y", sides=12))
    for k in range(3):
        spoke = box((side * 0.3, 0.02, 0.022), (0, 0, 0), (0.75, 0.72, 0.6)).rotated("y", k * np.pi / 3 + 0.3)
        parts.append(spoke.moved((-side * 0.12, front - 0.09, middle)))
    parts += [
        cylinder(0.025, 0.12, (-side * 0.46, front - 0.03, middle + i * height * 0.3), (0.7, 0.7, 0.7), sides=8)
        for i in (-1, 1)
    ]
    return merge(parts)


@kind("mailbox")
def mailbox(rng: np.random.Generator) -> Mesh:
    width, depth, post = rng.uniform(0.24, 0.3), rng.uniform(0.42, 0.52), rng.uniform(0.7, 0.95)
    metal, height = tint(rng, RED, BLUE, METAL, GREEN), 0.16
    arch = [(-width / 2, 0), (width / 2, 0)]
    arch += [(width / 2 * np.cos(t), height + width / 2 * np.sin(t)) for t in np.linspace(0, np.pi, 9)]
    body = prism(arch, depth, (0, 0, post), metal)
    lid = prism(np.asarray(arch) * 1.04, 0.03, (0, -depth / 2 - 0.01, post - 0.003), metal * 0.75)
    parts = [box((0.09, 0.09, post), (0, 0, post / 2), tint(rng, WOOD)), body, lid]
    parts.append(box((0.06, 0.03, 0.03), (0, -depth / 2 - 0.04, post + 0.22), (0.8, 0.8, 0.8)))
    parts.append(box((0.012, 0.03, 0.28), (width / 2 + 0.01, -depth * 0.1, post + 0.26), (0.85, 0.75, 0.1)))
    parts.append(box((0.012, 0.13, 0.1), (width / 2 + 0.01, -depth * 0.1 - 0.05, post + 0.37), (0.85, 0.75, 0.1)))
    parts.append(box((0.16, 0.01, 0.03), (0, -depth / 2 - 0.03, post + 0.1), (0.9, 0.9, 0.9)))
    yaw = rng.choice((-1, 1)) * rng.uniform(0.4, 0.9)
    return merge(parts).turned(yaw)


@kind("display case")
def display_case(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.8, 1.1), 0.42, rng.uniform(1.4, 1.75)
    frame, bar = tint(rng, WOOD[:2], GOLD, BLACK), 0.035
    parts = [box((width, depth, 0.4), (0, 0, 0.2), frame), box((width, depth, 0.06), (0, 0, height), frame)]
    for i in (-1, 1):
        parts += [
            box((bar, bar, height), (i * (width - bar) / 2, j * (depth - bar) / 2, height / 2), frame) for j in (-1, 1)
        ]
    parts.append(box((width, 0.01, height - 0.4), (0, depth / 2 - 0.01, height / 2 + 0.2), (0.62, 0.78, 0.82)))
    for z in (0.4, 0.4 + (height - 0.4) * 0.36, 0.4 + (height - 0.4) * 0.7):
        parts.append(box((width * 0.95, depth * 0.9, 0.015), (0, 0, z), (0.55, 0.78, 0.80)))
        for i in range(3):
            high, colour = rng.uniform(0.12, 0.24), tint(rng, GOLD, BRIGHT, WHITE)
            at = ((i - 1) * width * 0.28, -0.03, z + high / 2 + 0.01)
            parts.append(cylinder(rng.uniform(0.04, 0.07), high, at, colour, top=rng.uniform(0.02, 0.07), sides=9))
    return merge(parts)


@kind("wine rack")
def wine_rack(rng: np.random.Generator) -> Mesh:
    rows, columns, pitch, depth = int(rng.integers(3, 6)), int(rng.integers(4, 6)), 0.13, 0.28
    wood = tint(rng, WOOD)
    width, height = columns * pitch, rows * pitch
    parts = [carcass(width + 0.04, depth, height + 0.04, 0.025, wood, wood * 0.35)]
    parts += [
        box((0.012, depth * 0.9, height), ((i - columns / 2) * pitch, 0, height / 2), wood) for i in range(1, columns)
    ]
    parts += [box((width, depth * 0.9, 0.012), (0, 0, i * pitch), wood) for i in range(1, rows)]
    for row in range(rows):
        for column in range(columns):
            if rng.random() < 0.8:
                x, z = (column + 0.5 - columns / 2) * pitch, (row + 0.5) * pitch
                glass = tint(rng, ((0.04, 0.16, 0.06), (0.10, 0.03, 0.04)))
                parts.append(cylinder(0.045, 0.2, (x, 0.0, z), glass, axis="y", sides=8))
                parts.append(cylinder(0.018, 0.12, (x, -depth / 2 - 0.01, z), tint(rng, RED, GOLD), axis="y", sides=6))
    return merge(parts)


@kind("shoe rack")
def shoe_rack(rng: np.random.Generator) -> Mesh:
    rows, width, depth, gap = int(rng.integers(2, 4)), rng.uniform(0.75, 0.95), 0.3, 0.24
    frame = tint(rng, METAL, WOOD, BLACK)
    height = rows * gap + 0.06
    parts = [legs(width, depth, height, 0.03, frame)]
    for row in range(rows):
        z = row * gap + 0.07
        parts += [
            tube([(-width / 2, y, z), (width / 2, y, z)], 0.01, frame, sides=5) for y in (-0.12, -0.04, 0.04, 0.12)
        ]
        for pair in range(3):
            colour, sole = tint(rng, BRIGHT, WOOD, BLACK), tint(rng, WHITE, BLACK)
            for i in (-1, 1):
                x = (pair - 1) * width * 0.31 + i * 0.055
                parts.append(box((0.08, 0.27, 0.025), (x, -0.01, z + 0.02), sole))
                parts.append(sphere((0.04, 0.08, 0.05), (x, -0.08, z + 0.05), colour, sides=6, rings=4))
                parts.append(box((0.078, 0.12, 0.09), (x, 0.06, z + 0.075), colour))
    return merge(parts)


@kind("ladder")
def ladder(rng: np.random.Generator) -> Mesh:
    height, width, rungs = rng.uniform(1.6, 2.1), rng.uniform(0.38, 0.48), int(rng.integers(5, 8))
    metal = tint(rng, METAL, ((0.85, 0.65, 0.05),), WOOD, RED)
    spread = height * 0.24
    parts = []
    for i in (-1, 1):
        parts.append(
            tube([(i * width / 2 * 1.2, -spread, 0), (i * width / 2 * 0.85, 0, height)], 0.028, metal, sides=6)
        )
        parts.append(
            tube([(i * width / 2 * 1.2, spread, 0), (i * width / 2 * 0.85, 0.03, height)], 0.022, metal * 0.8, sides=6)
        )
    for rung in range(rungs):
        t = (rung + 0.7) / (rungs + 0.4)
        half = width / 2 * (1.2 - 0.35 * t)
        parts.append(box((2 * half, 0.09, 0.025), (0, -spread * (1 - t), height * t), metal * 0.9))
    parts.append(box((width * 0.95, 0.14, 0.04), (0, 0.01, height), tint(rng, BLACK, RED, (tuple(metal),))))
    return merge(parts)
