"""Machines and lights outside the classes."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, panel, sphere, torus, tube
from opendas_plugin.office.kinds.palette import BLACK, BRIGHT, GOLD, GREY, METAL, RED, WHITE, WOOD, tint
from opendas_plugin.office.kinds.parts import picture
from opendas_plugin.office.kinds.registry import kind

GLOW = np.array((0.95, 0.85, 0.55))


def _grid(
    rows: int, columns: int, area: tuple[float, float, float, float], y: float, size: float, colour: np.ndarray
) -> list[Mesh]:
    """Square buttons in ``rows`` x ``columns`` over ``area`` (x0, z0, x1, z1), standing out of the plane ``y``."""
    x0, z0, x1, z1 = area
    wide, high = (x1 - x0) / columns, (z1 - z0) / rows
    places = [(x0 + (c + 0.5) * wide, y - 0.003, z0 + (r + 0.5) * high) for r in range(rows) for c in range(columns)]
    return [box((wide * size, 0.008, high * size), place, colour) for place in places]


@kind("television", "floor")
def television(rng: np.random.Generator) -> Mesh:
    width, height, legs = rng.uniform(0.7, 0.8), rng.uniform(0.5, 0.58), 0.3
    case = tint(rng, WOOD)
    parts = [box((width, 0.35, height), (0, 0, legs + height / 2), case)]
    parts.append(panel(picture(rng, 10, 14), width * 0.62, height * 0.78, (-width * 0.13, -0.185, legs + height / 2)))
    parts.append(box((width * 0.68, 0.02, height * 0.86), (-width * 0.13, -0.17, legs + height / 2), tint(rng, BLACK)))
    parts += [
        cylinder(0.035, 0.03, (width * 0.37, -0.19, legs + height * z), tint(rng, METAL), axis="y") for z in (0.6, 0.8)
    ]
    parts += [
        box((width * 0.16, 0.01, 0.012), (width * 0.37, -0.18, legs + height * z), tint(rng, BLACK))
        for z in np.linspace(0.15, 0.45, 5)
    ]
    for s in (-1, 1):
        parts.append(tube([(0, 0, legs + height), (s * 0.25, 0, legs + height + 0.35)], 0.008, tint(rng, METAL)))
        parts += [
            cylinder(0.018, legs, (s * width * 0.4, y, legs / 2), tint(rng, BLACK), sides=8) for y in (-0.12, 0.12)
        ]
    return merge(parts)


@kind("smartphone", "table")
def smartphone(rng: np.random.Generator) -> Mesh:
    width, height = 0.075, rng.uniform(0.15, 0.165)
    parts = [box((width, 0.009, height), (0, 0, height / 2), tint(rng, BLACK, WHITE, GOLD))]
    backdrop = np.linspace(0.6, 1.2, 12)[:, None, None] * np.broadcast_to(tint(rng, BRIGHT), (12, 6, 3))
    parts.append(panel(np.clip(backdrop, 0, 0.95), width * 0.9, height * 0.9, (0, -0.006, height / 2)))
    for row in range(4):
        parts += [
            box((0.012, 0.002, 0.012), (x, -0.007, height * (0.3 + 0.17 * row)), tint(rng, BRIGHT, WHITE))
            for x in (-0.023, -0.0, 0.023)
        ]
    parts.append(cylinder(0.005, 0.002, (0, -0.007, height * 0.08), tint(rng, GREY), axis="y", sides=10))
    return merge(parts).rotated("x", rng.uniform(-0.6, 0)).standing()


@kind("calculator", "table")
def calculator(rng: np.random.Generator) -> Mesh:
    width, height, case = 0.1, rng.uniform(0.15, 0.17), tint(rng, GREY, BLACK)
    parts = [box((width, 0.018, height), (0, 0, height / 2), case)]
    parts.append(box((width * 0.84, 0.004, height * 0.17), (0, -0.011, height * 0.86), np.array((0.45, 0.55, 0.40))))
    parts += [box((0.01, 0.003, 0.014), (x, -0.014, height * 0.86), tint(rng, BLACK)) for x in (0.005, 0.02, 0.035)]
    parts += _grid(5, 4, (-width * 0.44, height * 0.04, width * 0.44, height * 0.7), -0.009, 0.72, tint(rng, WHITE))
    parts += _grid(
        5, 1, (width * 0.22, height * 0.04, width * 0.44, height * 0.7), -0.0105, 0.74, np.array((0.8, 0.35, 0.05))
    )
    return merge(parts).rotated("x", rng.uniform(-0.7, -0.1)).standing()


@kind("camera", "table")
def camera(rng: np.random.Generator) -> Mesh:
    width, height, body = rng.uniform(0.13, 0.15), rng.uniform(0.085, 0.095), tint(rng, BLACK)
    parts = [
        box((width, 0.05, height), (0, 0, height / 2), body),
        box((width * 1.005, 0.051, height * 0.25), (0, 0, height * 0.88), tint(rng, METAL)),
    ]
    parts.append(box((0.045, 0.045, 0.025), (0, 0, height + 0.012), tint(rng, METAL)))
    for radius, y, colour in ((0.036, -0.045, body * 1.4), (0.032, -0.065, tint(rng, METAL)), (0.028, -0.08, body)):
        parts.append(cylinder(radius, 0.04, (0.01, y, height * 0.46), colour, axis="y", sides=18))
    parts.append(cylinder(0.022, 0.004, (0.01, -0.101, height * 0.46), np.array((0.12, 0.2, 0.42)), axis="y"))
    parts += [
        cylinder(0.009, 0.012, (width * 0.38, 0, height + 0.005), tint(rng, RED)),
        cylinder(0.012, 0.012, (-width * 0.36, 0, height + 0.005), tint(rng, METAL)),
    ]
    parts.append(
        tube(
            [(-width / 2, 0, height * 0.8), (-width * 0.75, 0, height * 0.3), (-width * 0.55, -0.03, 0.005)],
            0.004,
            tint(rng, BLACK, RED),
        )
    )
    return merge(parts).standing()


@kind("speaker", "floor")
def speaker(rng: np.random.Generator) -> Mesh:
    width, height, case = rng.uniform(0.24, 0.3), rng.uniform(0.45, 0.6), tint(rng, WOOD, BLACK)
    parts, cone = [box((width, 0.25, height), (0, 0, height / 2), case)], tint(rng, GREY)
    for z, radius in ((0.32, 0.4), (0.76, 0.24)):
        for scale, y, colour in ((1.0, -0.128, cone * 1.2), (0.86, -0.131, tint(rng, BLACK)), (0.35, -0.135, cone)):
            parts.append(cylinder(width * radius * scale, 0.012, (0, y, height * z), colour, axis="y", sides=22))
    return merge(parts)


@kind("game controller", "table")
def game_controller(rng: np.random.Generator) -> Mesh:
    colour = tint(rng, BLACK, WHITE, BRIGHT)
    parts = [box((0.12, 0.035, 0.065), (0, 0, 0.075), colour)]
    for s in (-1, 1):
        parts += [
            sphere((0.04, 0.026, 0.042), (s * 0.06, 0, 0.075), colour),
            sphere((0.024, 0.024, 0.05), (s * 0.082, 0, 0.035), colour),
        ]
        parts.append(cylinder(0.014, 0.03, (s * 0.03, -0.025, 0.055), tint(rng, GREY, BLACK), axis="y"))
    parts += [
        box((0.03, 0.012, 0.01), (-0.062, -0.024, 0.09), tint(rng, GREY)),
        box((0.01, 0.012, 0.03), (-0.062, -0.024, 0.09), tint(rng, GREY)),
    ]
    dots = zip(((0.062, 0.106), (0.062, 0.074), (0.046, 0.09), (0.078, 0.09)), BRIGHT[:4], strict=True)
    parts += [cylinder(0.007, 0.014, (x, -0.026, z), dot, axis="y", sides=10) for (x, z), dot in dots]
    return merge(parts).rotated("x", rng.uniform(-0.7, 0)).standing()


@kind("remote control", "table")
def remote_control(rng: np.random.Generator) -> Mesh:
    width, height, case = 0.05, rng.uniform(0.19, 0.22), tint(rng, BLACK)
    parts = [
        box((width, 0.02, height), (0, 0, height / 2), case),
        cylinder(0.007, 0.012, (width * 0.25, -0.012, height * 0.93), tint(rng, RED), axis="y"),
    ]
    parts += _grid(
        4, 3, (-width * 0.45, height * 0.45, width * 0.45, height * 0.88), -0.011, 0.6, tint(rng, WHITE, GREY)
    )
    parts += [
        cylinder(0.017, 0.006, (0, -0.012, height * 0.33), tint(rng, GREY), axis="y"),
        *_grid(2, 2, (-width * 0.4, height * 0.05, width * 0.4, height * 0.2), -0.011, 0.5, tint(rng, BRIGHT)),
    ]
    return merge(parts).rotated("x", rng.uniform(-0.5, 0)).rotated("y", rng.uniform(-0.6, 0.6)).standing()


@kind("scanner", "table")
def scanner(rng: np.random.Generator) -> Mesh:
    width, depth, case = rng.uniform(0.4, 0.46), rng.uniform(0.28, 0.32), tint(rng, GREY, WHITE)
    base = box((width, depth, 0.06), (0, 0, 0.03), case)
    glass = box((width * 0.84, depth * 0.8, 0.004), (0, 0, 0.062), np.array((0.15, 0.45, 0.50)))
    light = box((0.03, depth * 0.8, 0.006), (rng.uniform(-0.12, 0.12), 0, 0.064), np.array((0.6, 0.95, 0.75)))
    lid = merge(
        [
            box((width, depth, 0.025), (0, -depth / 2, 0), case * 0.85),
            box((width * 0.85, depth * 0.8, 0.004), (0, -depth / 2, -0.015), tint(rng, WHITE)),
        ]
    )
    keys = [
        cylinder(0.009, 0.008, (x, -depth / 2, 0.035), tint(rng, BRIGHT), axis="y", sides=10)
        for x in (-0.06, -0.02, 0.02, 0.06)
    ]
    return merge(
        [base, glass, light, lid.rotated("x", -rng.uniform(1.0, 1.35)).moved((0, depth / 2, 0.07)), *keys]
    ).standing()


@kind("radio", "table")
def radio(rng: np.random.Generator) -> Mesh:
    width, height, case = rng.uniform(0.3, 0.36), rng.uniform(0.17, 0.2), tint(rng, BRIGHT, WOOD)
    parts = [box((width, 0.1, height), (0, 0, height / 2), case)]
    for s in (-1, 1):
        parts.append(
            cylinder(
                height * 0.32, 0.012, (s * width * 0.3, -0.054, height * 0.42), tint(rng, BLACK), axis="y", sides=18
            )
        )
        parts.append(
            cylinder(
                height * 0.2, 0.014, (s * width * 0.3, -0.057, height * 0.42), tint(rng, METAL), axis="y", sides=18
            )
        )
    parts += [
        box((width * 0.8, 0.006, height * 0.14), (0, -0.052, height * 0.88), tint(rng, WHITE)),
        box((0.006, 0.01, height * 0.14), (width * rng.uniform(-0.3, 0.3), -0.055, height * 0.88), tint(rng, RED)),
    ]
    parts += [
        box((width * 0.16, 0.012, height * 0.35), (0, -0.052, height * 0.4), tint(rng, GREY)),
        tube([(width * 0.42, 0.03, height), (width * 0.7, 0.03, height + 0.25)], 0.005, tint(rng, METAL)),
    ]
    handle = np.array([(-0.4, 0, 0), (-0.4, 0, 0.05), (0.4, 0, 0.05), (0.4, 0, 0)]) * (width, 1, 1) + (0, 0, height)
    return merge([*parts, tube(handle, 0.009, tint(rng, METAL, BLACK))])


@kind("microphone", "table")
def microphone(rng: np.random.Generator) -> Mesh:
    height, steel = rng.uniform(0.22, 0.3), tint(rng, METAL)
    parts = [
        cylinder(0.07, 0.015, (0, 0, 0.008), tint(rng, BLACK), sides=18),
        cylinder(0.007, height, (0, 0, height / 2), steel, sides=8),
    ]
    body = merge(
        [
            cylinder(0.018, 0.12, (0, 0, 0), tint(rng, BLACK), top=0.024),
            sphere(0.036, (0, 0, 0.085), steel * 0.7),
            torus(0.034, 0.007, (0, 0, 0.075), steel),
        ]
    )
    return merge([*parts, body.rotated("x", rng.uniform(0.5, 0.9)).moved((0, 0, height + 0.02))])


@kind("typewriter", "table")
def typewriter(rng: np.random.Generator) -> Mesh:
    width, case = rng.uniform(0.34, 0.4), tint(rng, BLACK, ((0.10, 0.30, 0.28),), RED)
    parts = [box((width, 0.3, 0.05), (0, 0, 0.025), case), box((width, 0.15, 0.1), (0, 0.07, 0.1), case)]
    for row in range(4):
        y, z = -0.13 + 0.032 * row, 0.055 + 0.012 * row
        parts += [
            cylinder(0.012, 0.012, (x + 0.008 * row, y, z), tint(rng, WHITE), sides=8)
            for x in np.linspace(-0.4, 0.36, 9) * width
        ]
    parts += [
        cylinder(0.026, width * 1.15, (0, 0.08, 0.17), tint(rng, BLACK), axis="x"),
        box((width * 0.6, 0.003, 0.2), (0, 0.09, 0.27), tint(rng, WHITE)),
    ]
    parts += [cylinder(0.03, 0.025, (s * width * 0.6, 0.08, 0.17), tint(rng, METAL), axis="x") for s in (-1, 1)]
    return merge(parts)


@kind("server rack", "floor")
def server_rack(rng: np.random.Generator) -> Mesh:
    width, height, case = 0.6, rng.uniform(1.5, 1.9), tint(rng, BLACK)
    parts, rows = [box((width, 0.6, height), (0, 0, height / 2), case)], int(rng.integers(9, 13))
    for row in range(rows):
        z = (row + 0.5) * height * 0.94 / rows + height * 0.03
        parts.append(box((width * 0.86, 0.02, height / rows * 0.72), (0, -0.305, z), tint(rng, GREY[:1], BLACK)))
        parts += [
            box((0.022, 0.01, 0.022), (x, -0.318, z), np.array(lamp))
            for x, lamp in zip((-0.2, -0.15, -0.1), ((0.1, 0.9, 0.2), (0.1, 0.9, 0.2), (0.1, 0.5, 0.95)), strict=True)
        ]
        parts.append(box((0.16, 0.01, height / rows * 0.3), (0.14, -0.318, z), tint(rng, METAL)))
    return merge(parts)


@kind("toaster", "table")
def toaster(rng: np.random.Generator) -> Mesh:
    width, height, case = rng.uniform(0.26, 0.3), rng.uniform(0.17, 0.2), tint(rng, METAL, RED)
    parts = [
        box((width, 0.15, height), (0, 0, height / 2), case),
        box((width * 1.01, 0.152, 0.025), (0, 0, 0.012), tint(rng, BLACK)),
    ]
    for y in (-0.035, 0.035):
        parts += [
            box((width * 0.75, 0.03, 0.004), (0, y, height), tint(rng, BLACK)),
            box((width * 0.6, 0.022, 0.09), (0, y, height + 0.03), np.array((0.62, 0.36, 0.12))),
        ]
    parts += [
        box((0.03, 0.04, 0.02), (width / 2 + 0.01, 0, height * 0.7), tint(rng, BLACK)),
        cylinder(0.02, 0.01, (width * 0.3, -0.078, height * 0.35), tint(rng, BLACK), axis="y"),
    ]
    return merge(parts)


@kind("refrigerator", "floor")
def refrigerator(rng: np.random.Generator) -> Mesh:
    width, height, case = rng.uniform(0.6, 0.7), rng.uniform(1.6, 1.85), tint(rng, WHITE, METAL)
    split = height * rng.uniform(0.62, 0.72)
    parts = [box((width, 0.6, height), (0, 0, height / 2), case * 0.8)]
    parts += [
        box((width * 0.98, 0.05, split - 0.05), (0, -0.32, split / 2), case),
        box((width * 0.98, 0.05, height - split - 0.02), (0, -0.32, (height + split) / 2), case),
    ]
    parts += [
        cylinder(0.015, 0.35, (-width * 0.4, -0.38, z), tint(rng, METAL) * 0.6) for z in (split - 0.25, split + 0.26)
    ]
    return merge([*parts, box((width * 0.9, 0.5, 0.04), (0, 0, 0.02), tint(rng, BLACK))])


@kind("washing machine", "floor")
def washing_machine(rng: np.random.Generator) -> Mesh:
    width, height, case = 0.6, rng.uniform(0.82, 0.9), tint(rng, WHITE)
    parts = [
        box((width, 0.55, height), (0, 0, height / 2), case),
        box((width * 0.96, 0.02, 0.1), (0, -0.28, height - 0.07), tint(rng, GREY)),
    ]
    rings = (
        (0.21, -0.285, tint(rng, METAL)),
        (0.165, -0.3, tint(rng, BLACK)),
        (0.13, -0.31, np.array((0.25, 0.45, 0.6))),
    )
    parts += [cylinder(radius, 0.03, (0, y, height * 0.45), colour, axis="y", sides=24) for radius, y, colour in rings]
    parts += [
        cylinder(0.03, 0.03, (0.15, -0.3, height - 0.07), tint(rng, METAL), axis="y"),
        box((0.16, 0.02, 0.06), (-0.18, -0.29, height - 0.07), case),
    ]
    return merge(parts)


@kind("coffee machine", "table")
def coffee_machine(rng: np.random.Generator) -> Mesh:
    width, height, case = rng.uniform(0.22, 0.26), rng.uniform(0.34, 0.4), tint(rng, BLACK, RED, METAL)
    parts = [
        box((width, 0.28, 0.04), (0, 0, 0.02), case),
        box((width, 0.1, height), (0, 0.09, height / 2), case),
        box((width, 0.28, height * 0.28), (0, 0, height * 0.86), case),
    ]
    pot = lathe(
        [(0, 0), (0.07, 0), (0.08, 0.05), (0.075, 0.08), (0.05, 0.13), (0, 0.13)],
        [tint(rng, BLACK), *[np.array((0.12, 0.05, 0.02))] * 2, np.array((0.6, 0.68, 0.7)), tint(rng, BLACK)],
        sides=16,
    )
    handle = torus(0.045, 0.009, (0, 0, 0), tint(rng, BLACK), axis="x").moved((0, -0.13, 0.11))
    lamp = cylinder(0.012, 0.01, (width * 0.3, -0.143, height * 0.86), tint(rng, RED), axis="y")
    return merge([*parts, pot.moved((0, -0.04, 0.04)), handle, lamp])


@kind("vending machine", "floor")
def vending_machine(rng: np.random.Generator) -> Mesh:
    width, height, case = rng.uniform(0.85, 0.95), rng.uniform(1.75, 1.9), tint(rng, RED, BRIGHT[1:2])
    parts = [
        box((width, 0.6, height), (0, 0, height / 2), case),
        box((width * 0.64, 0.02, height * 0.66), (-width * 0.12, -0.305, height * 0.6), tint(rng, BLACK)),
    ]
    for row in range(5):
        z = height * (0.32 + 0.125 * row)
        parts.append(box((width * 0.62, 0.015, 0.012), (-width * 0.12, -0.318, z - 0.07), tint(rng, METAL)))
        parts += [
            cylinder(0.035, 0.12, (x * width, -0.32, z), tint(rng, BRIGHT), sides=8)
            for x in (-0.37, -0.25, -0.12, 0.0, 0.12)
        ]
    parts += [
        box((width * 0.16, 0.02, height * 0.2), (width * 0.35, -0.308, height * 0.62), tint(rng, GREY)),
        box((width * 0.5, 0.02, height * 0.12), (-width * 0.12, -0.308, height * 0.14), tint(rng, BLACK)),
    ]
    return merge(parts)


@kind("space heater", "floor")
def space_heater(rng: np.random.Generator) -> Mesh:
    width, height, case = rng.uniform(0.4, 0.48), rng.uniform(0.42, 0.5), tint(rng, GREY, BLACK)
    hot = np.array((0.95, 0.30, 0.03))
    parts = [box((width, 0.05, height), (0, 0.06, height / 2 + 0.03), tint(rng, METAL) * 1.2)]
    parts += [box((0.03, 0.14, height), (s * width / 2, 0, height / 2 + 0.03), case) for s in (-1, 1)]
    parts += [box((width, 0.14, 0.03), (0, 0, z), case) for z in (0.04, height + 0.03)]
    parts += [cylinder(0.016, width * 0.95, (0, 0, height * z), hot, axis="x", sides=8) for z in (0.3, 0.55, 0.8)]
    parts += [
        cylinder(0.004, height * 0.95, (x, -0.065, height / 2 + 0.03), tint(rng, METAL), sides=5)
        for x in np.linspace(-0.45, 0.45, 10) * width
    ]
    return merge([*parts, *[box((0.05, 0.22, 0.03), (s * width * 0.4, 0, 0.015), tint(rng, BLACK)) for s in (-1, 1)]])


@kind("power strip", "table")
def power_strip(rng: np.random.Generator) -> Mesh:
    count, case = int(rng.integers(4, 7)), tint(rng, WHITE, BLACK)
    length, hole = 0.065 * count + 0.06, tint(rng, GREY) * 0.4 if case.mean() > 0.4 else tint(rng, GREY)
    parts = [
        box((length, 0.06, 0.04), (0, 0, 0.02), case),
        box((0.02, 0.025, 0.015), (length / 2 - 0.03, 0, 0.042), tint(rng, RED)),
    ]
    for i in range(count):
        x = -length / 2 + 0.04 + 0.065 * i
        parts.append(cylinder(0.023, 0.004, (x, 0, 0.041), hole, sides=14))
        parts += [cylinder(0.004, 0.006, (x + dx, 0, 0.042), tint(rng, METAL), sides=6) for dx in (-0.009, 0.009)]
    cord = tube(
        [
            (-length / 2, 0, 0.015),
            (-length / 2 - 0.1, 0.03, 0.01),
            (-length / 2 - 0.13, 0.12, 0.01),
            (-length / 2, 0.18, 0.01),
        ],
        0.007,
        case * 0.9,
    )
    return merge([*parts, cord]).rotated("x", rng.uniform(0.5, 0.9)).standing()


@kind("light bulb", "table")
def light_bulb(rng: np.random.Generator) -> Mesh:
    glow, steel = GLOW * rng.uniform(0.85, 1.05), tint(rng, METAL)
    profile = [
        (0, 0),
        (0.008, 0),
        (0.013, 0.008),
        (0.011, 0.013),
        (0.014, 0.018),
        (0.012, 0.024),
        (0.014, 0.03),
        (0.016, 0.04),
        (0.03, 0.07),
        (0.031, 0.085),
        (0.022, 0.105),
        (0, 0.112),
    ]
    shades = [tint(rng, BLACK), steel, steel * 0.6, steel, steel * 0.6, steel, steel, glow * 0.85, glow, glow, glow]
    return lathe(profile, shades, sides=18)


@kind("floor lamp", "floor")
def floor_lamp(rng: np.random.Generator) -> Mesh:
    height, radius, steel = rng.uniform(1.4, 1.65), rng.uniform(0.2, 0.26), tint(rng, BLACK, GOLD, METAL)
    shade = tint(rng, ((0.90, 0.80, 0.55), (0.90, 0.86, 0.74)))
    parts = [
        cylinder(0.15, 0.03, (0, 0, 0.015), steel, sides=18),
        cylinder(0.015, height, (0, 0, height / 2), steel, sides=8),
    ]
    parts.append(lathe([(radius, height - 0.3), (radius * 0.65, height), (0, height)], shade, sides=18))
    return merge(
        [*parts, lathe([(0, height - 0.27), (radius * 0.97, height - 0.29), (radius, height - 0.3)], GLOW, sides=18)]
    )


@kind("candle", "table")
def candle(rng: np.random.Generator) -> Mesh:
    height, radius, wax = rng.uniform(0.12, 0.2), rng.uniform(0.02, 0.03), tint(rng, WHITE, RED, ((0.85, 0.78, 0.55),))
    dish = lathe([(0, 0), (0.06, 0), (0.075, 0.02), (0.06, 0.012), (0, 0.012)], tint(rng, GOLD), sides=16)
    stick = cylinder(radius, height, (0, 0, 0.012 + height / 2), wax, top=radius * 0.92)
    wick = cylinder(0.003, 0.02, (0, 0, height + 0.02), tint(rng, BLACK), sides=5)
    flame = lathe(
        [(0, 0), (0.012, 0.014), (0.008, 0.03), (0, 0.05)],
        [np.array((0.95, 0.45, 0.05)), np.array((0.95, 0.75, 0.15)), np.array((0.95, 0.9, 0.5))],
        sides=8,
    )
    return merge(
        [
            dish,
            stick,
            wick,
            flame.moved((0, 0, height + 0.022)),
            torus(0.025, 0.006, (0.085, 0, 0.018), tint(rng, GOLD), axis="y"),
        ]
    ).standing()


@kind("flashlight", "table")
def flashlight(rng: np.random.Generator) -> Mesh:
    length, colour = rng.uniform(0.16, 0.22), tint(rng, BLACK, ((0.85, 0.65, 0.05),), RED)
    profile = [
        (0, 0),
        (0.018, 0),
        (0.018, length * 0.7),
        (0.034, length * 0.82),
        (0.036, length),
        (0.031, length),
        (0.02, length * 0.93),
        (0, length * 0.92),
    ]
    body = lathe(profile, [colour, colour, colour, tint(rng, METAL), colour, GLOW, GLOW], sides=16)
    ribs = [torus(0.018, 0.003, (0, 0, length * z), colour * 0.6) for z in (0.15, 0.25, 0.35)]
    switch = box((0.012, 0.01, 0.025), (0, -0.018, length * 0.55), tint(rng, RED, BLACK))
    return merge([body, *ribs, switch]).rotated("x", rng.uniform(0.9, 1.4)).turned(rng.uniform(-1.2, 1.2)).standing()
