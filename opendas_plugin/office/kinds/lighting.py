"""Lamps, candles and torches."""

from __future__ import annotations

from typing import Any

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, sphere, torus, tube
from opendas_plugin.office.kinds.palette import BLACK, BRIGHT, GOLD, METAL, WOOD, tint
from opendas_plugin.office.kinds.registry import kind


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
