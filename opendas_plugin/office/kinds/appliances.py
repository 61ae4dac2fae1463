"""Kitchen and building machines, heating, air and light."""

from __future__ import annotations

from typing import Any

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, prism, sphere, torus, tube
from opendas_plugin.office.kinds.palette import BLACK, BLUE, BRIGHT, GOLD, GREY, METAL, RED, WHITE, WOOD, tint
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


@kind("radiator", "wall")
def radiator(rng: np.random.Generator) -> Mesh:
    columns, pitch, height = int(rng.integers(9, 16)), rng.uniform(0.06, 0.08), rng.uniform(0.5, 0.65)
    colour = tint(rng, WHITE, WHITE, ((0.75, 0.70, 0.58),))
    width = columns * pitch
    parts = [box((width, 0.03, height * 0.86), (0, -0.04, height / 2 + 0.1), colour * 0.55)]
    for column in range(columns):
        x = (column + 0.5) * pitch - width / 2
        parts.append(box((pitch * 0.62, 0.1, height * 0.9), (x, -0.08, height / 2 + 0.1), colour))
        parts += [
            cylinder(pitch * 0.31, 0.1, (x, -0.08, 0.1 + height * z), colour, axis="y", sides=8) for z in (0.05, 0.95)
        ]
    parts += [
        cylinder(0.018, width * 1.08, (0, -0.07, 0.1 + height * z), colour * 0.8, axis="x", sides=7) for z in (0.1, 0.9)
    ]
    parts.append(cylinder(0.014, 0.16, (width * 0.54, -0.07, 0.08), (0.65, 0.5, 0.3), sides=7))
    parts.append(cylinder(0.03, 0.07, (width * 0.57, -0.07, 0.1 + height * 0.1), colour * 0.95, axis="x", sides=9))
    return merge(parts)


@kind("space heater", "floor")
def space_heater(rng: np.random.Generator) -> Mesh:
    width, height, body = rng.uniform(0.36, 0.5), rng.uniform(0.36, 0.46), tint(rng, BLACK, WHITE, GREY, RED)
    parts = [
        box((width, 0.14, height), (0, 0, height / 2 + 0.04), body),
        box((width * 0.84, 0.01, height * 0.7), (0, -0.072, height * 0.56), (0.12, 0.05, 0.03)),
    ]
    for i in range(3):
        z = height * (0.38 + 0.18 * i)
        parts.append(
            cylinder(
                0.016, width * 0.8, (0, -0.082, z), ((0.95, 0.35, 0.05), (0.95, 0.22, 0.03))[i % 2], axis="x", sides=7
            )
        )
    parts += [
        box((0.006, 0.006, height * 0.7), ((i - 5) * width * 0.08, -0.1, height * 0.56), (0.7, 0.7, 0.7))
        for i in range(11)
    ]
    parts += [box((0.05, 0.26, 0.04), (i * width * 0.4, 0, 0.02), (0.06, 0.06, 0.06)) for i in (-1, 1)]
    parts.append(cylinder(0.03, 0.03, (width * 0.35, 0, height + 0.05), (0.7, 0.7, 0.7), sides=10))
    parts.append(box((width * 0.4, 0.06, 0.015), (-width * 0.1, 0.02, height + 0.07), body * 0.5))
    return merge(parts)


@kind("fan", "table")
def fan(rng: np.random.Generator) -> Mesh:
    radius, stand = rng.uniform(0.17, 0.22), rng.uniform(0.14, 0.4)
    body, blade = tint(rng, WHITE, BLACK, METAL), tint(rng, BRIGHT, GREY, ((0.45, 0.65, 0.80),))
    parts = [
        cylinder(0.14, 0.03, (0, 0, 0.015), body, top=0.1),
        cylinder(0.018, stand, (0, 0.02, stand / 2), body, sides=8),
    ]
    head = [
        cylinder(0.05, 0.12, (0, 0.05, 0), body, axis="y"),
        cylinder(0.032, 0.05, (0, -0.03, 0), body * 0.8, axis="y"),
    ]
    count, phase = int(rng.integers(3, 5)), rng.uniform(0, 2)
    for i in range(count):
        outline = np.array([(0.02, -0.02), (0.5, -0.24), (0.86, -0.2), (0.9, 0.1), (0.5, 0.22), (0.02, 0.03)]) * radius
        head.append(prism(outline, 0.008, (0, -0.01, 0), blade).rotated("y", phase + 2 * np.pi * i / count))
    head += [
        torus(radius * s, 0.006 if s < 1 else 0.01, (0, y, 0), body * 0.75, axis="y", sides=20)
        for s, y in ((1.0, -0.01), (0.75, -0.05), (0.4, -0.06))
    ]
    for i in range(12):
        spoke = tube([(0.03, -0.062, 0), (radius * 0.75, -0.05, 0), (radius, -0.012, 0)], 0.0035, body * 0.75, sides=4)
        head.append(spoke.rotated("y", 2 * np.pi * i / 12))
    parts.append(merge(head).rotated("x", rng.uniform(-0.2, 0.05)).moved((0, 0, stand + radius * 0.5)))
    return merge(parts)


@kind("ceiling fan", "ceiling")
def ceiling_fan(rng: np.random.Generator) -> Mesh:
    radius, drop = rng.uniform(0.55, 0.7), rng.uniform(0.2, 0.35)
    blade, metal, count = tint(rng, WOOD, WHITE), tint(rng, GOLD, BLACK, METAL), int(rng.integers(4, 6))
    parts = [
        cylinder(0.08, 0.05, (0, 0, -0.025), metal),
        cylinder(0.015, drop, (0, 0, -drop / 2), metal, sides=7),
        cylinder(0.11, 0.1, (0, 0, -drop), metal),
    ]
    for i in range(count):
        wing = box((radius - 0.14, 0.13, 0.012), (radius / 2 + 0.1, 0, 0), blade).rotated("x", 0.2)
        arm = box((0.12, 0.03, 0.012), (0.12, 0, 0), metal)
        parts.append(merge([wing, arm]).turned(2 * np.pi * i / count + 0.3).moved((0, 0, -drop)))
    parts.append(sphere((0.1, 0.1, 0.08), (0, 0, -drop - 0.08), (0.93, 0.88, 0.70)))
    parts.append(tube([(0.06, 0, -drop - 0.05), (0.06, 0, -drop - 0.3)], 0.004, metal, sides=4))
    return merge(parts)


@kind("chandelier", "ceiling")
def chandelier(rng: np.random.Generator) -> Mesh:
    arms, radius, drop, metal = (
        int(rng.integers(5, 8)),
        rng.uniform(0.3, 0.4),
        rng.uniform(0.35, 0.5),
        tint(rng, GOLD, BLACK),
    )
    parts = [
        cylinder(0.06, 0.04, (0, 0, -0.02), metal, top=0.03),
        cylinder(0.01, drop, (0, 0, -drop / 2), metal, sides=6),
    ]
    parts += [
        sphere((0.06, 0.06, 0.08), (0, 0, -drop), metal, sides=9, rings=6),
        sphere(0.035, (0, 0, -drop - 0.18), (0.75, 0.85, 0.92), sides=8, rings=5),
    ]
    for i in range(arms):
        angle = 2 * np.pi * i / arms
        c, s = np.cos(angle), np.sin(angle)
        path = [
            (c * r * radius, s * r * radius, -drop + z) for r, z in ((0, 0), (0.35, -0.14), (0.8, -0.12), (1.0, 0.0))
        ]
        tip = (c * radius, s * radius)
        parts.append(tube(path, 0.012, metal, sides=5))
        parts.append(cylinder(0.02, 0.02, (*tip, -drop + 0.01), metal, top=0.045, sides=8))
        parts.append(cylinder(0.014, 0.08, (*tip, -drop + 0.06), (0.90, 0.88, 0.80), sides=6))
        parts.append(sphere((0.016, 0.016, 0.03), (*tip, -drop + 0.12), (0.95, 0.80, 0.25), sides=6, rings=5))
        parts.append(
            sphere(
                (0.014, 0.014, 0.03),
                (c * radius * 0.75, s * radius * 0.75, -drop - 0.16),
                (0.75, 0.85, 0.92),
                sides=5,
                rings=4,
            )
        )
    return merge(parts)


@kind("smoke detector", "ceiling")
def smoke_detector(rng: np.random.Generator) -> Mesh:
    radius, body = rng.uniform(0.06, 0.075), tint(rng, WHITE)
    parts = [
        cylinder(radius, 0.015, (0, 0, -0.0075), body, sides=22),
        cylinder(radius * 0.6, 0.02, (0, 0, -0.025), body * 0.55, sides=18),
    ]
    parts.append(cylinder(radius * 0.62, 0.018, (0, 0, -0.045), body, top=radius * 0.86, sides=22))
    for i in range(14):
        fin = box((0.006, 0.004, 0.02), (radius * 0.68, 0, -0.026), body * 0.3).turned(2 * np.pi * i / 14)
        parts.append(fin)
    parts.append(cylinder(0.006, 0.004, (radius * 0.38, -radius * 0.2, -0.055), (0.95, 0.08, 0.05), sides=8))
    parts.append(cylinder(radius * 0.2, 0.006, (0, 0, -0.055), body * 0.75, sides=12))
    return merge(parts)


@kind("air vent", "wall")
def air_vent(rng: np.random.Generator) -> Mesh:
    width, height, count = rng.uniform(0.35, 0.55), rng.uniform(0.22, 0.32), int(rng.integers(6, 10))
    metal = tint(rng, METAL, WHITE, GREY)
    parts = [
        box((width, 0.01, height), (0, -0.005, height / 2), metal),
        box((width * 0.86, 0.006, height * 0.8), (0, -0.012, height / 2), (0.02, 0.02, 0.02)),
    ]
    louvre = box((width * 0.86, 0.004, height * 0.8 / count * 0.9), (0, 0, 0), metal * 0.9).rotated("x", 0.75)
    parts += [louvre.moved((0, -0.022, height * (0.1 + 0.8 * (i + 0.5) / count))) for i in range(count)]
    parts += [
        cylinder(0.009, 0.006, (i * width * 0.465, -0.012, height * z), (0.2, 0.2, 0.2), axis="y", sides=7)
        for i in (-1, 1)
        for z in (0.12, 0.88)
    ]
    return merge(parts)


@kind("thermostat", "wall")
def thermostat(rng: np.random.Generator) -> Mesh:
    radius, ring = rng.uniform(0.045, 0.055), tint(rng, METAL, GOLD)
    parts = [
        box((radius * 2.9, 0.008, radius * 2.9), (0, -0.004, 0), tint(rng, WHITE)),
        cylinder(radius, 0.03, (0, -0.02, 0), ring, axis="y", sides=24),
    ]
    parts.append(
        cylinder(
            radius * 0.84,
            0.004,
            (0, -0.037, 0),
            tint(rng, ((0.80, 0.30, 0.05), (0.05, 0.25, 0.55))),
            axis="y",
            sides=24,
        )
    )
    for i in range(11):
        tick = box((0.003, 0.002, radius * 0.16), (0, -0.04, radius * 0.7), (0.9, 0.9, 0.9)).rotated("y", (i - 5) * 0.4)
        parts.append(tick)
    digits = ((0, 0, 1, 1), (1, 0, 1, 1))
    for offset, _ in enumerate(digits):
        x = (offset - 0.5) * radius * 0.42
        parts += [
            box((radius * 0.26, 0.002, radius * 0.07), (x, -0.041, z * radius), (0.95, 0.95, 0.95))
            for z in (-0.26, 0.0, 0.26)
        ]
        parts.append(box((radius * 0.07, 0.002, radius * 0.56), (x + radius * 0.1, -0.041, 0), (0.95, 0.95, 0.95)))
    return merge(parts).moved((0, 0, radius * 1.45))


@kind("wall outlet", "wall")
def wall_outlet(rng: np.random.Generator) -> Mesh:
    plate, dark = tint(rng, WHITE), (0.03, 0.03, 0.035)
    width, height = rng.uniform(0.075, 0.085), rng.uniform(0.12, 0.14)
    parts = [box((width, 0.008, height), (0, -0.004, height / 2), plate)]
    for z in (0.28, 0.72):
        at = (0, -0.01, height * z)
        if rng.random() < 0.5:
            parts.append(cylinder(width * 0.3, 0.005, at, plate * 0.55, axis="y", sides=18))
            parts += [
                cylinder(0.0045, 0.004, (i * 0.009, -0.0135, height * z), dark, axis="y", sides=7) for i in (-1, 1)
            ]
        else:
            parts.append(box((width * 0.56, 0.005, height * 0.3), at, plate * 0.7))
            parts += [box((0.0055, 0.004, 0.016), (i * 0.011, -0.0135, height * z + 0.004), dark) for i in (-1, 1)]
            parts.append(cylinder(0.0045, 0.004, (0, -0.0135, height * z - 0.011), dark, axis="y", sides=7))
    parts.append(cylinder(0.004, 0.003, (0, -0.0085, height / 2), (0.45, 0.45, 0.45), axis="y", sides=7))
    return merge(parts)


@kind("light switch", "wall")
def light_switch(rng: np.random.Generator) -> Mesh:
    plate, count = tint(rng, WHITE, ((0.80, 0.76, 0.64),), METAL), int(rng.integers(1, 3))
    width, height = 0.05 + 0.04 * count, rng.uniform(0.115, 0.13)
    parts = [box((width, 0.008, height), (0, -0.004, height / 2), plate)]
    for i in range(count):
        x = (i - (count - 1) / 2) * 0.045
        parts.append(box((0.034, 0.006, height * 0.56), (x, -0.009, height / 2), plate * 0.55))
        rocker = prism(
            [(-0.012, -0.032), (0.0, -0.032), (0.0, 0.032), (-0.003, 0.032), (-0.004, 0)],
            0.028,
            (0, 0, 0),
            np.clip(plate * 1.1, 0, 0.95),
            axis="x",
        )
        parts.append(rocker.rotated("y", np.pi * float(rng.random() < 0.5)).moved((x, -0.011, height / 2)))
        parts.append(box((0.008, 0.004, 0.004), (x, -0.016, height / 2 + 0.022), (0.95, 0.45, 0.05)))
    return merge(parts)


@kind("desk lamp", "table")
def desk_lamp(rng: np.random.Generator) -> Mesh:
    colour, joint = tint(rng, BRIGHT, BLACK, METAL), tint(rng, METAL, BLACK)
    side = rng.choice((-1, 1))
    low, high = (
        (side * rng.uniform(-0.14, -0.08), 0, rng.uniform(0.22, 0.28)),
        (side * rng.uniform(0.04, 0.1), 0, rng.uniform(0.4, 0.48)),
    )
    parts = [
        cylinder(0.085, 0.022, (0, 0, 0.011), colour),
        tube([(0, 0, 0.02), low], 0.009, joint, sides=6),
        tube([low, high], 0.009, joint, sides=6),
    ]
    parts += [sphere(0.017, at, colour * 0.8, sides=7, rings=5) for at in (low, high)]
    shade = [
        cylinder(0.075, 0.1, (0, 0, -0.05), colour, top=0.028, sides=16),
        sphere(0.04, (0, 0, -0.1), (0.95, 0.88, 0.55), sides=9, rings=6),
    ]
    parts.append(merge(shade).rotated("y", -side * rng.uniform(0.4, 0.8)).moved(high))
    return merge(parts).turned(rng.uniform(-0.5, 0.5))


@kind("floor lamp", "floor")
def floor_lamp(rng: np.random.Generator) -> Mesh:
    height, metal = rng.uniform(1.4, 1.7), tint(rng, BLACK, GOLD, METAL, WOOD)
    shade = tint(rng, ((0.92, 0.85, 0.65), (0.88, 0.86, 0.80), (0.75, 0.35, 0.20)))
    radius, tall = rng.uniform(0.18, 0.24), rng.uniform(0.24, 0.32)
    parts = [cylinder(0.15, 0.03, (0, 0, 0.015), metal), cylinder(0.013, height, (0, 0, height / 2), metal, sides=7)]
    top = radius * rng.uniform(0.55, 0.85)
    body = lathe(
        [(radius * 0.92, 0), (radius, 0), (top, tall), (top * 0.92, tall), (radius * 0.92, 0)],
        [shade * 0.6, shade, shade * 0.6, shade * 0.9],
        sides=18,
    )
    parts.append(body.moved((0, 0, height - tall * 0.4)))
    parts.append(sphere(0.05, (0, 0, height), (0.95, 0.92, 0.7), sides=8, rings=6))
    parts.append(tube([(0.04, 0, height), (0.04, 0, height - tall)], 0.004, metal, sides=4))
    return merge(parts)


@kind("light bulb", "table")
def light_bulb(rng: np.random.Generator) -> Mesh:
    glass, brass = tint(rng, ((0.92, 0.85, 0.45), (0.90, 0.90, 0.82))), tint(rng, METAL, GOLD)
    bulb = [
        (0, 0.0),
        (0.008, 0),
        (0.014, 0.006),
        (0.0145, 0.034),
        (0.017, 0.045),
        (0.03, 0.075),
        (0.033, 0.092),
        (0.027, 0.112),
        (0.014, 0.123),
        (0, 0.126),
    ]
    colours: list[Any] = [
        (0.05, 0.05, 0.05),
        (0.05, 0.05, 0.05),
        brass,
        brass * 0.9,
        glass * 0.9,
        glass,
        glass,
        np.clip(glass * 1.05, 0, 0.95),
        glass,
    ]
    parts = [lathe(bulb, np.clip(colours, 0, 0.95), sides=18)]
    parts += [torus(0.0148, 0.0018, (0, 0, z), brass * 0.55, sides=14) for z in (0.012, 0.019, 0.026)]
    return merge(parts).rotated("y", rng.uniform(-0.6, 0.6) + np.pi * float(rng.random() < 0.4))


@kind("candle", "table")
def candle(rng: np.random.Generator) -> Mesh:
    radius, height = rng.uniform(0.02, 0.04), rng.uniform(0.1, 0.2)
    wax, brass = tint(rng, ((0.88, 0.84, 0.70), (0.70, 0.10, 0.10), (0.90, 0.88, 0.84))), tint(rng, GOLD, METAL)
    parts = [
        cylinder(0.07, 0.012, (0, 0, 0.006), brass, top=0.08, sides=18),
        torus(0.078, 0.005, (0, 0, 0.014), brass, sides=18),
    ]
    parts.append(torus(0.018, 0.005, (0.098, 0, 0.014), brass, axis="y", sides=12))
    parts.append(cylinder(radius, height, (0, 0, height / 2 + 0.01), wax))
    parts += [
        sphere(
            (0.007, 0.007, height * 0.12),
            (radius * np.cos(a), radius * np.sin(a), height * 0.88),
            wax,
            sides=5,
            rings=4,
        )
        for a in (-1.2, -2.4)
    ]
    parts.append(cylinder(0.002, 0.02, (0, 0, height + 0.018), (0.05, 0.05, 0.05), sides=4))
    flame = [(0, 0), (0.010, 0.012), (0.008, 0.026), (0, 0.05)]
    parts.append(
        lathe(flame, [(0.95, 0.45, 0.05), (0.95, 0.75, 0.1), (0.95, 0.9, 0.4)], sides=8)
        .scaled(1.25)
        .moved((0, 0, height + 0.018))
    )
    return merge(parts)


@kind("flashlight", "table")
def flashlight(rng: np.random.Generator) -> Mesh:
    body, lens = tint(rng, BLACK, BRIGHT, METAL), (0.95, 0.92, 0.65)
    parts = [
        cylinder(0.016, 0.13, (0, 0, 0), body, axis="x"),
    ]
    head = lathe(
        [(0, 0), (0.016, 0), (0.03, 0.03), (0.03, 0.05), (0.025, 0.052), (0.0, 0.045)],
        np.clip([body, body, body * 0.8, body * 0.5, lens], 0, 0.95),
        sides=16,
    )
    parts.append(head.rotated("y", np.pi / 2).moved((0.06, 0, 0)))
    parts += [torus(0.0165, 0.002, (x, 0, 0), body * 0.4, axis="x", sides=12) for x in (-0.05, -0.035, -0.02, -0.005)]
    parts.append(box((0.022, 0.01, 0.008), (0.03, 0, 0.017), (0.85, 0.1, 0.08)))
    return merge(parts).turned(-rng.uniform(0.3, 1.1))
