"""Doors, windows and what closes or divides a room."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, merge, panel, prism, sphere, tube
from opendas_plugin.office.kinds.palette import BLACK, FABRIC, GOLD, GREY, METAL, PASTEL, WHITE, WOOD, tint
from opendas_plugin.office.kinds.registry import kind

SKY = ((0.45, 0.62, 0.85), (0.60, 0.74, 0.90), (0.70, 0.80, 0.88))


@kind("door", "wall")
def door(rng: np.random.Generator) -> Mesh:
    width, height = rng.uniform(0.85, 1.0), rng.uniform(2.0, 2.15)
    leaf = tint(rng, WOOD, WOOD, WHITE, ((0.12, 0.22, 0.42), (0.35, 0.08, 0.06)))
    parts = [box((width, 0.05, height), (0, -0.025, height / 2), leaf)]
    rows, columns = int(rng.integers(2, 4)), int(rng.integers(1, 3))
    for row in range(rows):
        for column in range(columns):
            wide, high = width * 0.84 / columns, height * 0.9 / rows
            x, z = (column + 0.5 - columns / 2) * wide, height * 0.05 + (row + 0.5) * high
            parts.append(box((wide * 0.8, 0.02, high * 0.82), (x, -0.055, z), leaf * 0.72))
            parts.append(box((wide * 0.64, 0.02, high * 0.70), (x, -0.065, z), leaf * 0.9))
    side, metal = rng.choice((-1, 1)) * width * 0.42, tint(rng, METAL, GOLD, BLACK)
    parts.append(box((0.05, 0.02, 0.22), (side, -0.06, 1.0), metal))
    parts.append(cylinder(0.018, 0.16, (side - np.sign(side) * 0.06, -0.11, 1.02), metal, axis="x"))
    parts.append(cylinder(0.015, 0.06, (side, -0.085, 1.02), metal, axis="y"))
    return merge(parts)


def _frame(
    width: float, height: float, bar: float, depth: float, colour: np.ndarray, *, sill: bool = True
) -> list[Mesh]:
    parts = [box((bar, depth, height), (i * (width - bar) / 2, -depth / 2, height / 2), colour) for i in (-1, 1)]
    parts.append(box((width, depth, bar), (0, -depth / 2, height - bar / 2), colour))
    if sill:
        parts.append(box((width, depth, bar), (0, -depth / 2, bar / 2), colour))
    return parts


@kind("door frame", "wall")
def door_frame(rng: np.random.Generator) -> Mesh:
    width, height, bar = rng.uniform(0.95, 1.15), rng.uniform(2.05, 2.2), rng.uniform(0.08, 0.13)
    colour = tint(rng, WOOD, WHITE, GREY)
    parts = _frame(width, height, bar, rng.uniform(0.12, 0.22), colour, sill=False)
    parts.append(box((width, 0.15, 0.02), (0, -0.075, 0.01), colour * 0.6))
    parts += [box((0.02, 0.03, 0.12), ((width / 2 - bar) * 0.98, -0.1, z), tint(rng, METAL)) for z in (0.3, 1.8)]
    return merge(parts)


@kind("window", "wall")
def window(rng: np.random.Generator) -> Mesh:
    width, height, bar = rng.uniform(0.9, 1.5), rng.uniform(1.0, 1.4), rng.uniform(0.06, 0.09)
    colour = tint(rng, WHITE, WHITE, WOOD, GREY)
    rows = 10
    glass = np.linspace(1.0, 1.25, rows)[:, None, None] * tint(rng, SKY)
    glass = np.repeat(glass, 8, axis=1)
    if rng.random() < 0.6:
        glass[-int(rng.integers(2, 4)) :] = tint(rng, ((0.16, 0.36, 0.12), (0.35, 0.36, 0.38)))
    parts = [
        panel(np.clip(glass, 0, 0.95), width, height, (0, -0.01, height / 2)),
        *_frame(width, height, bar, 0.08, colour),
    ]
    for i in range(1, int(rng.integers(2, 4))):
        parts.append(
            box(
                (bar * 0.8, 0.07, height),
                (0.0 if i == 1 else width * 0.25, -0.035, height / 2),
                colour,
            )
        )
    parts.append(box((width, 0.06, bar * 0.7), (0, -0.035, height * rng.uniform(0.5, 0.7)), colour))
    parts.append(box((width * 1.08, 0.2, 0.04), (0, -0.1, 0.0), colour))
    parts.append(box((0.02, 0.05, 0.14), (0.03, -0.09, height * 0.4), tint(rng, METAL)))
    return merge(parts).moved((0, 0, 0.02))


@kind("window blinds", "wall")
def window_blinds(rng: np.random.Generator) -> Mesh:
    width, height, slats = rng.uniform(0.9, 1.5), rng.uniform(0.9, 1.4), int(rng.integers(16, 24))
    colour = tint(rng, WHITE, PASTEL, WOOD)
    parts = [box((width, 0.07, 0.07), (0, -0.05, height), colour * 0.9)]
    pitch = (height - 0.05) / slats
    slat = box((width, 0.008, pitch * 0.82), (0, 0, 0), colour).rotated("x", rng.uniform(-0.5, 0.5))
    parts += [slat.moved((0, -0.05, (i + 0.5) * pitch)) for i in range(slats)]
    parts.append(panel((colour * 0.35)[None, None], width * 0.98, height, (0, -0.005, height / 2)))
    parts += [box((0.012, 0.01, height), (i * width * 0.35, -0.09, height / 2), colour * 0.6) for i in (-1, 1)]
    parts.append(
        tube([(width * 0.46, -0.1, height), (width * 0.46, -0.1, height * 0.35)], 0.008, colour * 0.5, sides=5)
    )
    return merge(parts)


@kind("curtain", "wall")
def curtain(rng: np.random.Generator) -> Mesh:
    width, height, folds = rng.uniform(1.2, 1.8), rng.uniform(1.6, 2.2), 22
    colour = tint(rng, FABRIC, FABRIC, ((0.70, 0.62, 0.45),))
    parts = [cylinder(0.025, width * 1.12, (0, -0.08, height), tint(rng, METAL, WOOD, GOLD), axis="x", sides=8)]
    parts += [sphere(0.05, (i * width * 0.56, -0.08, height), tint(rng, GOLD), sides=8, rings=5) for i in (-1, 1)]
    gap = rng.uniform(0.0, 0.25)
    for side in (-1, 1):
        for fold in range(folds // 2):
            x = side * (gap / 2 + (fold + 0.5) * (width - gap) / folds)
            shade = colour * (1.1 if fold % 2 else 0.62)
            strip = (width - gap) / folds * 1.1
            parts.append(
                box(
                    (strip, 0.03, height * 0.98), (x, -0.06 - 0.03 * (fold % 2), height * 0.49), np.clip(shade, 0, 0.95)
                )
            )
    return merge(parts)


@kind("elevator", "wall")
def elevator(rng: np.random.Generator) -> Mesh:
    width, height, metal = rng.uniform(1.2, 1.5), rng.uniform(2.05, 2.2), tint(rng, METAL)
    parts = [
        box((width * 0.485, 0.03, height), (i * width * 0.25, -0.015, height / 2), metal * s)
        for i, s in ((-1, 1), (1, 0.9))
    ]
    parts.append(box((0.02, 0.02, height), (0, -0.01, height / 2), (0.03, 0.03, 0.03)))
    parts += _frame(width + 0.24, height + 0.12, 0.12, 0.1, metal * 0.55, sill=False)
    parts.append(box((0.4, 0.03, 0.12), (0, -0.11, height + 0.05), (0.03, 0.03, 0.03)))
    parts.append(
        prism([(-0.05, -0.035), (0.05, -0.035), (0, 0.035)], 0.02, (0, -0.13, height + 0.05), (0.9, 0.35, 0.05))
    )
    x = width / 2 + 0.24
    parts.append(box((0.16, 0.03, 0.36), (x, -0.02, 1.05), metal * 0.4))
    parts += [cylinder(0.04, 0.02, (x, -0.04, z), (0.92, 0.75, 0.3), axis="y", sides=10) for z in (0.97, 1.13)]
    return merge(parts)


@kind("gate", "floor")
def gate(rng: np.random.Generator) -> Mesh:
    width, height, colour = rng.uniform(1.8, 2.6), rng.uniform(1.3, 1.8), tint(rng, BLACK, GREY, ((0.05, 0.18, 0.10),))
    stone = tint(rng, PASTEL, ((0.50, 0.25, 0.18),))
    parts = []
    for i in (-1, 1):
        parts.append(box((0.26, 0.26, height + 0.1), (i * (width / 2 + 0.13), 0, height / 2 + 0.05), stone))
        parts.append(sphere(0.13, (i * (width / 2 + 0.13), 0, height + 0.2), stone * 0.9, sides=8, rings=6))
    bars = 14
    for bar in range(bars):
        x = (bar + 0.5) / bars * width - width / 2
        top = height * (0.75 + 0.25 * (1 - abs(2 * x / width)))
        parts.append(cylinder(0.018, top, (x, 0, top / 2 + 0.05), colour, sides=6))
        parts.append(cylinder(0.035, 0.1, (x, 0, top + 0.1), tint(rng, GOLD), top=0, sides=6))
    parts += [box((width, 0.03, 0.05), (0, 0, z), colour) for z in (0.15, height * 0.65)]
    return merge(parts)


@kind("fence", "floor")
def fence(rng: np.random.Generator) -> Mesh:
    pickets, pitch, height = int(rng.integers(9, 13)), rng.uniform(0.16, 0.2), rng.uniform(0.8, 1.1)
    colour, width = tint(rng, WHITE, WOOD), 0.11
    outline = [(-width / 2, 0), (width / 2, 0), (width / 2, height - 0.08), (0, height), (-width / 2, height - 0.08)]
    parts = [
        prism(
            outline,
            0.025,
            ((i - (pickets - 1) / 2) * pitch, 0, 0.0),
            np.clip(colour * rng.uniform(0.92, 1.05), 0, 0.95),
        )
        for i in range(pickets)
    ]
    parts += [box((pickets * pitch, 0.04, 0.09), (0, 0.035, height * z), colour * 0.8) for z in (0.25, 0.7)]
    return merge(parts)


@kind("room divider", "floor")
def room_divider(rng: np.random.Generator) -> Mesh:
    panels, width, height = int(rng.integers(3, 5)), rng.uniform(0.5, 0.65), rng.uniform(1.5, 1.8)
    colour, frame = tint(rng, PASTEL, FABRIC), tint(rng, WOOD, BLACK)
    angle, parts, x = rng.uniform(0.4, 0.6), [], 0.0
    for i in range(panels):
        sign = 1 if i % 2 else -1
        leaf = [box((width, 0.02, height - 0.1), (width / 2, 0, height / 2 + 0.05), colour)]
        leaf += [box((0.04, 0.04, height), (e * width, 0, height / 2), frame) for e in (0, 1)]
        leaf += [box((width, 0.04, 0.04), (width / 2, 0, z), frame) for z in (0.12, height * 0.5, height - 0.02)]
        start_y = 0.0 if sign < 0 else -width * np.sin(angle)
        parts.append(merge(leaf).turned(sign * angle).moved((x, start_y, 0)))
        x += width * np.cos(angle)
    return merge(parts)


@kind("archway", "wall")
def archway(rng: np.random.Generator) -> Mesh:
    radius, height, thick = rng.uniform(0.5, 0.65), rng.uniform(1.3, 1.6), rng.uniform(0.16, 0.24)
    stone, depth = tint(rng, ((0.62, 0.55, 0.42), (0.55, 0.53, 0.50), (0.60, 0.35, 0.25))), 0.3
    parts = []
    for i in (-1, 1):
        for row in range(6):
            size = (thick, depth, height / 6 * 0.96)
            shade = np.clip(stone * rng.uniform(0.8, 1.15), 0, 0.95)
            parts.append(box(size, (i * (radius + thick / 2), -depth / 2, (row + 0.5) * height / 6), shade))
    stones = 11
    for step in range(stones):
        a, b = np.pi * step / stones + 0.02, np.pi * (step + 1) / stones - 0.02
        outline = [
            (r * np.cos(t), r * np.sin(t))
            for r, t in ((radius, a), (radius + thick, a), (radius + thick, b), (radius, b))
        ]
        shade = np.clip(stone * rng.uniform(0.8, 1.15), 0, 0.95)
        parts.append(prism(outline, depth, (0, -depth / 2, height), shade))
    return merge(parts)


@kind("skylight", "ceiling")
def skylight(rng: np.random.Generator) -> Mesh:
    width, depth, bar = rng.uniform(1.2, 1.7), rng.uniform(1.2, 1.7), 0.08
    sky, frame = tint(rng, ((0.35, 0.58, 0.92),)), tint(rng, WHITE, WOOD, GREY)
    y, x = np.mgrid[0:1:12j, 0:1:12j]
    cloud = np.zeros_like(x)
    for _ in range(3):
        cloud += np.exp(-(((x - rng.random()) / 0.22) ** 2 + ((y - rng.random()) / 0.12) ** 2))
    glass = sky + np.clip(cloud, 0, 1)[..., None] * (0.92 - sky)
    parts = [panel(np.clip(glass, 0, 0.95), width, depth, (0, 0, 0), facing="-z")]
    for i in (-1, 1):
        parts.append(box((bar, depth + bar, 0.3), (i * width / 2, 0, -0.15), frame))
        parts.append(box((width, bar, 0.3), (0, i * depth / 2, -0.15), frame))
    parts += [box((0.05, depth, 0.05), (x * width, 0, -0.05), frame) for x in (-1 / 6, 1 / 6)]
    parts.append(box((width, 0.05, 0.05), (0, 0, -0.05), frame))
    return merge(parts)


@kind("fireplace", "wall")
def fireplace(rng: np.random.Generator) -> Mesh:
    width, height = rng.uniform(1.2, 1.5), rng.uniform(1.0, 1.2)
    stone = tint(rng, WHITE, ((0.50, 0.22, 0.15), (0.45, 0.42, 0.40)))
    parts = [box((width * 0.22, 0.35, height), (i * width * 0.36, -0.175, height / 2), stone) for i in (-1, 1)]
    parts.append(box((width * 0.94, 0.35, height * 0.28), (0, -0.175, height * 0.86), stone))
    parts.append(box((width * 1.1, 0.42, 0.07), (0, -0.21, height + 0.03), tint(rng, WOOD, WHITE)))
    parts.append(box((width * 0.9, 0.02, height), (0, -0.02, height / 2), (0.03, 0.025, 0.02)))
    parts.append(box((width * 1.05, 0.6, 0.05), (0, -0.3, 0.025), stone * 0.6))
    for i in range(3):
        parts.append(
            cylinder(
                0.06,
                width * 0.36,
                ((i - 1) * 0.05, -0.2 - 0.04 * (i % 2), 0.1 + 0.07 * (i == 1)),
                tint(rng, WOOD[:2]),
                axis="x",
                sides=7,
            )
        )
    for i in range(5):
        high = height * rng.uniform(0.22, 0.42)
        at = ((i - 2) * width * 0.07, -0.22 - 0.02 * (i % 2), 0.14 + high / 2)
        parts.append(cylinder(0.07, high, at, ((0.95, 0.35, 0.03), (0.95, 0.65, 0.06))[i % 2], top=0, sides=7))
    return merge(parts)
