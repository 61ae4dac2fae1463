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
