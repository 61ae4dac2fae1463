"""Heating, air, and what is fixed to walls and ceilings."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, merge, prism, sphere, torus, tube
from opendas_plugin.office.kinds.palette import BLACK, BRIGHT, GOLD, GREY, METAL, RED, WHITE, WOOD, tint
from opendas_plugin.office.kinds.registry import kind


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
