"""Bottles, cups, bowls and other vessels."""

from __future__ import annotations

from typing import Any

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, sphere, torus, tube
from opendas_plugin.office.kinds.palette import (
    BLUE,
    BRIGHT,
    GOLD,
    GREEN,
    METAL,
    PASTEL,
    RED,
    TERRACOTTA,
    WHITE,
    WOOD,
    tint,
)
from opendas_plugin.office.kinds.registry import kind

GLASS = ((0.62, 0.74, 0.78), (0.70, 0.78, 0.80), (0.55, 0.70, 0.72))


@kind("bottle", "table")
def bottle(rng: np.random.Generator) -> Mesh:
    radius, height = rng.uniform(0.033, 0.04), rng.uniform(0.22, 0.29)
    glass, cap, label = (
        tint(rng, GREEN, ((0.12, 0.36, 0.70), (0.32, 0.14, 0.04))),
        tint(rng, BRIGHT, WHITE),
        tint(rng, WHITE, BRIGHT),
    )
    neck = radius * rng.uniform(0.3, 0.4)
    profile = [
        (0, 0),
        (radius, 0),
        (radius, 0.22),
        (radius, 0.48),
        (radius, 0.58),
        (neck * 1.2, 0.76),
        (neck, 0.9),
        (neck * 1.15, 0.9),
        (neck * 1.15, 1),
        (0, 1),
    ]
    colours = [glass, glass, label, glass, glass, glass * 1.2, cap, cap, cap]
    return lathe([(r, z * height) for r, z in profile], np.clip(colours, 0, 0.95), sides=16)


@kind("mug", "table")
def mug(rng: np.random.Generator) -> Mesh:
    radius, height, clay, drink = (
        rng.uniform(0.04, 0.046),
        rng.uniform(0.09, 0.11),
        tint(rng, BRIGHT, WHITE, PASTEL),
        (0.14, 0.06, 0.025),
    )
    inner = radius * 0.88
    band = tint(rng, BRIGHT, WHITE) if rng.random() < 0.4 else clay
    profile = [
        (0, 0),
        (radius * 0.95, 0),
        (radius, height * 0.35),
        (radius, height * 0.65),
        (radius, height),
        (inner, height),
        (inner, height * 0.85),
        (0, height * 0.85),
    ]
    body = lathe(profile, [clay * 0.8, clay, band, clay, clay, clay * 0.7, drink], sides=20)
    angles = np.linspace(-1.3, 1.3, 9)
    handle = [(radius * 0.95 + 0.03 * np.cos(t), 0, height * 0.5 + height * 0.32 * np.sin(t)) for t in angles]
    return merge([body, tube(handle, 0.0065, clay * 0.9, sides=7)]).turned(
        rng.choice((0, np.pi)) + rng.uniform(-0.5, 0.5)
    )


@kind("wine glass", "table")
def wine_glass(rng: np.random.Generator) -> Mesh:
    height, radius, glass = rng.uniform(0.19, 0.23), rng.uniform(0.036, 0.043), tint(rng, GLASS)
    wine = tint(rng, ((0.40, 0.02, 0.06), (0.45, 0.03, 0.05), (0.80, 0.68, 0.25)))
    profile = [
        (0, 0),
        (0.035, 0.0),
        (0.033, 0.004),
        (0.004, 0.012),
        (0.004, 0.42),
        (0.7, 0.5),
        (1.0, 0.66),
        (0.98, 0.76),
        (0.82, 1.0),
        (0.78, 1.0),
        (0.9, 0.76),
        (0, 0.755),
    ]
    points = [(r if r < 0.05 else r * radius, z * height if z > 0.02 else z) for r, z in profile]
    colours = [glass, glass, glass, glass, wine, wine, wine, glass, glass, glass * 0.8, wine * 0.8]
    return lathe(points, np.clip(colours, 0, 0.95), sides=18)


@kind("bowl", "table")
def bowl(rng: np.random.Generator) -> Mesh:
    radius, height, clay = rng.uniform(0.09, 0.13), rng.uniform(0.06, 0.08), tint(rng, WHITE, PASTEL, BLUE, TERRACOTTA)
    stripe = tint(rng, BRIGHT, WHITE)
    profile = [
        (0, 0),
        (0.42, 0),
        (0.44, 0.08),
        (0.78, 0.5),
        (0.86, 0.62),
        (1, 1),
        (0.95, 1),
        (0.8, 0.6),
        (0.4, 0.18),
        (0, 0.15),
    ]
    colours = [clay, clay, clay, stripe, clay, clay, clay * 0.85, clay * 0.75, clay * 0.7]
    parts = [lathe([(r * radius, z * height) for r, z in profile], np.clip(colours, 0, 0.95), sides=22)]
    if rng.random() < 0.6:
        for i in range(4):
            angle = i * 1.7 + rng.uniform(0, 1)
            parts.append(
                sphere(
                    radius * 0.3,
                    (0.35 * radius * np.cos(angle), 0.35 * radius * np.sin(angle), height * 0.85),
                    tint(rng, RED, GREEN, ((0.90, 0.55, 0.05),)),
                    sides=9,
                    rings=6,
                )
            )
    return merge(parts)


@kind("plate", "table")
def plate(rng: np.random.Generator) -> Mesh:
    radius, clay, rim = rng.uniform(0.12, 0.15), tint(rng, WHITE), tint(rng, BRIGHT, GOLD, PASTEL)
    profile = [
        (0, 0.003),
        (0.98, 0.12),
        (1.0, 0.14),
        (0.93, 0.125),
        (0.86, 0.115),
        (0.66, 0.05),
        (0.63, 0.04),
        (0, 0.04),
    ]
    colours = [clay * 0.8, rim, rim, clay, clay * 0.95, clay * 0.75, np.clip(clay * 1.03, 0, 0.95)]
    dish = lathe([(r * radius, z * radius) for r, z in profile], colours, sides=28)
    return dish.rotated("x", rng.uniform(0.9, 1.35))


@kind("teapot", "table")
def teapot(rng: np.random.Generator) -> Mesh:
    radius, clay, side = rng.uniform(0.075, 0.095), tint(rng, WHITE, BRIGHT, PASTEL, METAL), rng.choice((-1, 1))
    knob = tint(rng, GOLD, WOOD)
    parts = [sphere((radius, radius, radius * 0.82), (0, 0, radius * 0.8), clay, sides=18, rings=10)]
    parts.append(cylinder(radius * 0.5, 0.014, (0, 0, radius * 1.56), clay * 0.8, top=radius * 0.36, sides=14))
    parts.append(sphere(radius * 0.13, (0, 0, radius * 1.75), knob, sides=8, rings=6))
    spout = [
        (radius * 0.8, 0, radius * 0.55),
        (radius * 1.25, 0, radius * 0.8),
        (radius * 1.45, 0, radius * 1.25),
        (radius * 1.65, 0, radius * 1.4),
    ]
    parts.append(tube(np.asarray(spout) * (side, 1, 1), radius * 0.14, clay, sides=8))
    angles = np.linspace(-1.4, 1.4, 9)
    handle = [(-side * radius * (0.85 + 0.6 * np.cos(t)), 0, radius * (0.85 + 0.5 * np.sin(t))) for t in angles]
    parts.append(tube(handle, radius * 0.09, clay * 0.85, sides=7))
    parts.append(torus(radius * 0.985, radius * 0.03, (0, 0, radius * 0.8), knob, sides=20))
    return merge(parts)


@kind("jar", "table")
def jar(rng: np.random.Generator) -> Mesh:
    radius, height, glass = rng.uniform(0.045, 0.055), rng.uniform(0.11, 0.15), tint(rng, GLASS)
    lid, inside = (
        tint(rng, RED, GOLD, WOOD, GREEN),
        tint(rng, ((0.65, 0.08, 0.06), (0.80, 0.45, 0.06), (0.45, 0.25, 0.08), (0.50, 0.10, 0.30))),
    )
    profile = [
        (0, 0),
        (0.94, 0),
        (1, 0.06),
        (1, 0.25),
        (1, 0.62),
        (1, 0.72),
        (0.8, 0.82),
        (0.88, 0.83),
        (0.88, 0.99),
        (0.84, 1),
        (0, 1),
    ]
    colours: list[Any] = [glass, inside, inside, (0.9, 0.88, 0.78), inside, glass, glass, lid, lid, lid * 0.9]
    return lathe([(r * radius, z * height) for r, z in profile], np.clip(colours, 0, 0.95), sides=18)


@kind("soda can", "table")
def soda_can(rng: np.random.Generator) -> Mesh:
    radius, height, paint, metal = (
        0.033,
        rng.uniform(0.115, 0.16),
        tint(rng, RED, BLUE, GREEN, BRIGHT),
        (0.75, 0.76, 0.78),
    )
    stripe = tint(rng, WHITE, BRIGHT)
    profile = [
        (0, 0),
        (0.72, 0),
        (1, 0.06),
        (1, 0.4),
        (1, 0.58),
        (1, 0.9),
        (0.82, 0.97),
        (0.82, 1),
        (0.76, 1),
        (0.74, 0.97),
        (0, 0.97),
    ]
    colours = [metal, metal, paint, stripe, paint, metal, metal, metal, metal, (0.6, 0.6, 0.62)]
    tab = [
        box((0.012, 0.02, 0.002), (0, -0.004, height * 0.98), (0.85, 0.85, 0.86)),
        cylinder(0.007, 0.002, (0, -0.016, height * 0.972), (0.1, 0.1, 0.1), sides=8),
    ]
    return merge([lathe([(r * radius, z * height) for r, z in profile], colours, sides=18), *tab])


@kind("vase", "table")
def vase(rng: np.random.Generator) -> Mesh:
    height, clay = (
        rng.uniform(0.24, 0.34),
        tint(rng, BLUE, PASTEL, TERRACOTTA, ((0.15, 0.45, 0.45), (0.50, 0.12, 0.15))),
    )
    belly, neck, mouth = rng.uniform(0.08, 0.105), rng.uniform(0.025, 0.04), rng.uniform(0.045, 0.06)
    band = tint(rng, WHITE, GOLD)
    profile = [
        (0, 0),
        (0.5 * belly, 0),
        (0.8 * belly, 0.16),
        (belly, 0.34),
        (0.97 * belly, 0.44),
        (0.7 * belly, 0.6),
        (neck, 0.74),
        (neck, 0.85),
        (mouth, 1),
        (mouth * 0.85, 1),
        (neck * 0.7, 0.86),
        (0, 0.8),
    ]
    dark = clay * 0.25
    colours = [clay, clay, clay, band, clay, clay, clay, clay, band, dark, dark]
    return lathe([(r, z * height) for r, z in profile], np.clip(colours, 0, 0.95), sides=20)


@kind("hourglass", "table")
def hourglass(rng: np.random.Generator) -> Mesh:
    height, radius, wood = rng.uniform(0.16, 0.22), rng.uniform(0.04, 0.05), tint(rng, WOOD, GOLD)
    sand, glass, level = (
        tint(rng, ((0.85, 0.65, 0.25), (0.80, 0.35, 0.25), (0.25, 0.45, 0.75))),
        tint(rng, GLASS),
        rng.uniform(0.2, 0.35),
    )
    r = radius * 0.8
    profile = [
        (0, 0.06),
        (r, 0.07),
        (r * 0.95, level),
        (r * 0.85, 0.36),
        (0.006, 0.5),
        (r * 0.75, 0.62),
        (r * 0.92, 0.72),
        (r, 0.93),
        (0, 0.94),
    ]
    colours = [sand, sand, glass, glass, sand, sand, glass, glass]
    parts = [lathe([(p, z * height) for p, z in profile], colours, sides=14)]
    parts += [cylinder(radius * 1.15, height * 0.06, (0, 0, z * height), wood, sides=18) for z in (0.03, 0.97)]
    for i in range(3):
        angle = 2 * np.pi * i / 3 + 0.5
        parts.append(
            cylinder(0.005, height, (radius * np.cos(angle), radius * np.sin(angle), height / 2), wood * 0.8, sides=6)
        )
    return merge(parts)


@kind("trophy", "table")
def trophy(rng: np.random.Generator) -> Mesh:
    height, gold, stone = (
        rng.uniform(0.26, 0.36),
        tint(rng, GOLD, GOLD, METAL),
        tint(rng, ((0.05, 0.05, 0.06), (0.25, 0.12, 0.06))),
    )
    profile = [
        (0, 0.22),
        (0.2, 0.22),
        (0.05, 0.32),
        (0.04, 0.46),
        (0.09, 0.48),
        (0.05, 0.5),
        (0.18, 0.58),
        (0.25, 0.75),
        (0.27, 0.98),
        (0.29, 1.0),
        (0.26, 1.0),
        (0.22, 0.76),
        (0, 0.7),
    ]
    colours = [gold] * 10 + [gold * 0.5, gold * 0.4]
    parts = [lathe([(r * height, z * height) for r, z in profile], colours, sides=16)]
    parts += [
        box((height * s, height * s, height * t), (0, 0, height * z), stone)
        for s, t, z in ((0.42, 0.13, 0.065), (0.34, 0.09, 0.175))
    ]
    parts.append(box((height * 0.26, 0.006, height * 0.07), (0, -height * 0.212, height * 0.065), gold))
    for i in (-1, 1):
        angles = np.linspace(-1.3, 1.5, 8)
        parts.append(
            tube(
                [(i * height * (0.22 + 0.17 * np.cos(t)), 0, height * (0.8 + 0.14 * np.sin(t))) for t in angles],
                height * 0.018,
                gold,
                sides=6,
            )
        )
    return merge(parts)


@kind("watering can", "floor")
def watering_can(rng: np.random.Generator) -> Mesh:
    radius, height, metal, side = (
        rng.uniform(0.1, 0.13),
        rng.uniform(0.2, 0.26),
        tint(rng, GREEN, METAL, BLUE, ((0.75, 0.55, 0.10),)),
        rng.choice((-1, 1)),
    )
    parts = [
        lathe(
            [(0, 0), (radius, 0), (radius * 0.85, height), (radius * 0.7, height), (0, height * 0.9)],
            [metal, metal, metal * 0.7, metal * 0.2],
            sides=16,
        )
    ]
    spout = np.array(
        [(radius * 0.9, 0, height * 0.2), (radius * 1.7, 0, height * 0.6), (radius * 2.5, 0, height * 1.15)]
    ) * (side, 1, 1)
    parts.append(tube(spout, 0.018, metal * 0.9, sides=8))
    rose = lathe([(0, 0), (0.018, 0), (0.055, 0.05), (0, 0.055)], [metal, metal * 0.9, metal * 0.4], sides=12).rotated(
        "y", side * 0.95
    )
    parts.append(rose.moved(spout[2]))
    angles = np.linspace(-0.6, 2.3, 10)
    handle = [
        (-side * (radius * 0.55 + radius * 0.8 * np.cos(t)), 0, height * (0.72 + 0.5 * np.sin(t))) for t in angles
    ]
    parts.append(tube(handle, 0.012, metal * 0.8, sides=7))
    parts += [
        torus(radius * s, 0.006, (0, 0, height * z), metal * 0.7, sides=18) for s, z in ((0.99, 0.05), (0.86, 0.97))
    ]
    return merge(parts)


@kind("bucket", "floor")
def bucket(rng: np.random.Generator) -> Mesh:
    radius, height, paint = rng.uniform(0.12, 0.15), rng.uniform(0.24, 0.3), tint(rng, BRIGHT, METAL)
    low = radius * 0.74
    body = lathe(
        [
            (0, 0),
            (low, 0),
            (radius, height),
            (radius * 1.06, height),
            (radius * 0.95, height),
            (low * 0.95, 0.02),
            (0, 0.02),
        ],
        np.clip([paint, paint, paint * 0.7, paint * 0.8, paint * 0.45, paint * 0.35], 0, 0.95),
        sides=20,
    )
    lift = rng.uniform(0.2, 1.2)
    angles = np.linspace(0, np.pi, 12)
    bow = [
        (
            radius * 1.05 * np.cos(t),
            -radius * np.sin(t) * np.cos(lift),
            height * 0.95 + radius * 1.2 * np.sin(t) * np.sin(lift),
        )
        for t in angles
    ]
    parts = [
        body,
        tube(bow, 0.005, (0.55, 0.56, 0.58), sides=5),
        torus(radius * 0.9, 0.006, (0, 0, height * 0.62), np.clip(paint * 0.8, 0, 0.95), sides=20),
    ]
    parts.append(cylinder(0.012, 0.07, bow[6], tint(rng, WOOD, WHITE), axis="x", sides=7))
    return merge(parts)
