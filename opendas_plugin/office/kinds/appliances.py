"""Kitchen and vending machines."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, prism, sphere, torus, tube
from opendas_plugin.office.kinds.palette import BLACK, BLUE, BRIGHT, GREY, METAL, RED, WHITE, tint
from opendas_plugin.office.kinds.registry import kind


@kind("microwave", "table")
def microwave(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.46, 0.54), rng.uniform(0.33, 0.4), rng.uniform(0.26, 0.31)
    body, y = tint(rng, WHITE, METAL, BLACK), -depth / 2
    parts = [box((width, depth, height), (0, 0, height / 2 + 0.01), body)]
    x = -width * 0.13
    parts.append(
        box((width * 0.7, 0.015, height * 0.9), (x, y - 0.007, height / 2 + 0.01), np.clip(body * 0.85 + 0.03, 0, 0.9))
    )
    parts.append(box((width * 0.5, 0.01, height * 0.56), (x - 0.02, y - 0.016, height / 2 + 0.01), (0.03, 0.03, 0.035)))
    parts.append(box((0.018, 0.03, height * 0.7), (x + width * 0.31, y - 0.03, height / 2), (0.6, 0.6, 0.62)))
    panel_x = width * 0.36
    parts.append(box((width * 0.21, 0.012, height * 0.16), (panel_x, y - 0.008, height * 0.85), (0.03, 0.05, 0.04)))
    parts.append(box((width * 0.14, 0.004, height * 0.07), (panel_x, y - 0.016, height * 0.85), (0.1, 0.9, 0.35)))
    key = (0.3, 0.3, 0.32) if body.mean() > 0.3 else (0.6, 0.6, 0.62)
    for row in range(4):
        for column in range(3):
            at = (panel_x + (column - 1) * width * 0.065, y - 0.006, height * (0.65 - row * 0.12))
            parts.append(box((width * 0.045, 0.012, height * 0.075), at, key))
    return merge(parts)


@kind("toaster", "table")
def toaster(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.26, 0.32), rng.uniform(0.15, 0.18), rng.uniform(0.17, 0.2)
    body = tint(rng, METAL, RED, WHITE, ((0.15, 0.45, 0.45),))
    outline = [(-0.5, 0), (0.5, 0), (0.5, 0.7), (0.44, 0.9), (0.34, 1), (-0.34, 1), (-0.44, 0.9), (-0.5, 0.7)]
    parts = [
        prism(np.asarray(outline) * (width, height), depth, (0, 0, 0.015), body),
        box((width, depth * 1.02, 0.03), (0, 0, 0.015), (0.05, 0.05, 0.05)),
    ]
    for i in (-1, 1):
        y = i * depth * 0.22
        parts.append(box((width * 0.66, 0.03, 0.004), (0, y, height + 0.016), (0.03, 0.03, 0.03)))
        parts.append(box((width * 0.5, 0.02, 0.1), (0, y, height + 0.02), (0.72, 0.45, 0.18)))
        parts.append(box((width * 0.42, 0.022, 0.075), (0, y, height + 0.02), (0.85, 0.66, 0.36)))
    parts.append(box((0.03, 0.04, 0.022), (width / 2 + 0.012, 0, height * 0.6), (0.05, 0.05, 0.05)))
    parts.append(
        cylinder(0.018, 0.015, (width * 0.3, -depth / 2 - 0.006, height * 0.25), (0.05, 0.05, 0.05), axis="y", sides=10)
    )
    return merge(parts)


@kind("refrigerator", "floor")
def refrigerator(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.6, 0.72), 0.62, rng.uniform(1.55, 1.85)
    body, y, split = tint(rng, WHITE, METAL, ((0.45, 0.68, 0.66), (0.70, 0.15, 0.12))), -0.31, rng.uniform(0.62, 0.7)
    parts = [box((width, depth, height), (0, 0, height / 2 + 0.03), body * 0.85)]
    for low, high in ((0.05, split - 0.01), (split + 0.01, 1.0)):
        z, tall = (low + high) / 2 * height + 0.02, (high - low) * height
        parts.append(box((width * 0.98, 0.06, tall), (0, y - 0.03, z), body))
        parts.append(
            box(
                (0.03, 0.05, tall * 0.4),
                (-width * 0.4, y - 0.085, z + tall * (0.12 if low < 0.3 else -0.1)),
                (0.5, 0.5, 0.52),
            )
        )
    parts.append(box((width * 0.9, 0.5, 0.08), (0, 0, 0.04), (0.06, 0.06, 0.06)))
    for _ in range(int(rng.integers(1, 5))):
        at = (rng.uniform(-0.2, 0.35) * width, y - 0.064, height * rng.uniform(0.4, 0.9))
        parts.append(box((rng.uniform(0.04, 0.12), 0.006, rng.uniform(0.04, 0.12)), at, tint(rng, BRIGHT)))
    return merge(parts)


@kind("washing machine", "floor")
def washing_machine(rng: np.random.Generator) -> Mesh:
    width, depth, height = 0.6, 0.58, rng.uniform(0.82, 0.9)
    body, y, middle = tint(rng, WHITE, WHITE, GREY), -0.29, height * 0.44
    parts = [box((width, depth, height), (0, 0, height / 2), body)]
    parts.append(box((width * 0.98, 0.015, height * 0.14), (0, y - 0.007, height * 0.91), body * 0.7))
    parts.append(
        box(
            (width * 0.28, 0.02, height * 0.09),
            (-width * 0.32, y - 0.008, height * 0.91),
            np.clip(body * 0.95, 0, 0.95),
        )
    )
    parts.append(cylinder(0.035, 0.04, (width * 0.06, y - 0.02, height * 0.91), (0.75, 0.75, 0.77), axis="y"))
    parts.append(box((width * 0.2, 0.01, 0.04), (width * 0.32, y - 0.015, height * 0.91), (0.03, 0.1, 0.2)))
    parts.append(torus(0.2, 0.028, (0, y - 0.02, middle), tint(rng, METAL, BLACK), axis="y", sides=22))
    parts.append(cylinder(0.185, 0.03, (0, y - 0.01, middle), (0.10, 0.16, 0.24), axis="y", sides=20))
    parts.append(sphere((0.11, 0.02, 0.06), (0.02, y - 0.02, middle - 0.06), tint(rng, BRIGHT), sides=10, rings=5))
    parts.append(box((0.03, 0.03, 0.08), (0.21, y - 0.04, middle), (0.4, 0.4, 0.42)))
    return merge(parts)


@kind("coffee machine", "table")
def coffee_machine(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.22, 0.27), 0.26, rng.uniform(0.33, 0.4)
    body = tint(rng, BLACK, RED, METAL)
    parts = [
        box((width, depth, 0.04), (0, 0, 0.02), body),
        box((width, depth * 0.42, height), (0, depth * 0.29, height / 2), body),
    ]
    parts.append(box((width, depth, height * 0.28), (0, 0, height * 0.86), body))
    parts.append(cylinder(0.045, 0.03, (0, -depth * 0.12, height * 0.7), (0.1, 0.1, 0.1), top=0.05))
    glass, coffee, steel = (0.55, 0.62, 0.65), (0.10, 0.045, 0.02), (0.08, 0.08, 0.08)
    pot = lathe(
        [(0, 0), (0.065, 0), (0.078, 0.05), (0.076, 0.08), (0.055, 0.13), (0.05, 0.14), (0, 0.14)],
        [coffee, coffee, coffee, glass, steel, steel],
    )
    parts.append(pot.moved((0, -depth * 0.12, 0.045)))
    handle = [(0.07, 0, 0.14), (0.125, 0, 0.13), (0.125, 0, 0.07), (0.078, 0, 0.06)]
    parts.append(tube(np.add(handle, (0, -depth * 0.12, 0.03)), 0.009, steel, sides=6))
    parts.append(box((0.03, 0.01, 0.02), (width * 0.3, -depth / 2 - 0.004, height * 0.86), (0.95, 0.2, 0.05)))
    parts.append(box((width * 0.4, 0.01, 0.05), (-width * 0.15, -depth / 2 - 0.003, height * 0.86), (0.7, 0.72, 0.74)))
    return merge(parts)


@kind("vending machine", "floor")
def vending_machine(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.85, 1.0), 0.7, rng.uniform(1.75, 1.95)
    body, y = tint(rng, RED, BLUE, BLACK), -0.35
    x = -width * 0.1
    parts = [
        box((width, depth, height), (0, 0, height / 2), body),
        box((width * 0.68, 0.012, height * 0.68), (x, y - 0.006, height * 0.6), (0.75, 0.82, 0.86)),
    ]
    for row in range(5):
        z = height * (0.31 + row * 0.13)
        parts.append(box((width * 0.66, 0.03, 0.02), (x, y - 0.015, z), (0.3, 0.3, 0.32)))
        for column in range(6):
            colour = tint(rng, BRIGHT)
            parts.append(
                box(
                    (width * 0.075, 0.03, height * 0.085),
                    (x + (column - 2.5) * width * 0.105, y - 0.02, z + height * 0.055),
                    colour,
                )
            )
    parts.append(box((width * 0.6, 0.02, height * 0.1), (x, y - 0.008, height * 0.14), (0.03, 0.03, 0.03)))
    side = width * 0.37
    parts.append(box((width * 0.16, 0.012, height * 0.3), (side, y - 0.006, height * 0.62), (0.15, 0.15, 0.16)))
    parts.append(box((width * 0.12, 0.01, 0.06), (side, y - 0.014, height * 0.72), (0.1, 0.8, 0.4)))
    parts += [
        box((0.03, 0.01, 0.03), (side + (i - 1) * 0.045, y - 0.014, height * (0.64 - j * 0.035)), (0.8, 0.8, 0.8))
        for i in range(3)
        for j in range(3)
    ]
    parts.append(box((0.012, 0.02, 0.09), (side, y - 0.014, height * 0.5), (0.75, 0.75, 0.77)))
    return merge(parts)


@kind("water cooler", "floor")
def water_cooler(rng: np.random.Generator) -> Mesh:
    width, height, body = rng.uniform(0.3, 0.35), rng.uniform(0.85, 1.0), tint(rng, WHITE, WHITE, GREY)
    parts = [box((width, width, height), (0, 0, height / 2), body)]
    water = np.array((0.20, 0.50, 0.85)) * rng.uniform(0.8, 1.1)
    pale = np.clip(water * 1.5 + 0.1, 0, 0.92)
    r = width * 0.4
    profile = [
        (0, 0),
        (0.05, 0),
        (0.05, 0.05),
        (r, 0.1),
        (r, 0.18),
        (r * 0.94, 0.19),
        (r * 0.94, 0.21),
        (r, 0.22),
        (r, 0.38),
        (r * 0.8, 0.42),
        (0, 0.43),
    ]
    colours = [water, water, water, water, water * 0.8, water * 0.8, water * 0.8, pale, pale, pale]
    parts.append(lathe(profile, np.clip(colours, 0, 0.95), sides=18).moved((0, 0, height)))
    y = -width / 2
    parts.append(box((width * 0.72, 0.01, height * 0.26), (0, y - 0.002, height * 0.74), (0.12, 0.12, 0.13)))
    for i, colour in ((-1, (0.1, 0.3, 0.9)), (1, (0.9, 0.1, 0.08))):
        parts.append(box((0.035, 0.06, 0.03), (i * width * 0.18, y - 0.03, height * 0.8), colour))
        parts.append(cylinder(0.012, 0.04, (i * width * 0.18, y - 0.05, height * 0.77), (0.85, 0.85, 0.85), sides=7))
    parts.append(box((width * 0.7, 0.07, 0.02), (0, y - 0.035, height * 0.61), (0.25, 0.25, 0.27)))
    return merge(parts)
