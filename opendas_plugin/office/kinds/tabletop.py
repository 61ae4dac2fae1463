"""Tableware and paper things outside the classes."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, panel, prism, sphere, tube
from opendas_plugin.office.kinds.palette import (
    BLACK,
    BLUE,
    BRIGHT,
    GOLD,
    GREEN,
    GREY,
    METAL,
    RED,
    TERRACOTTA,
    WHITE,
    WOOD,
    tint,
)
from opendas_plugin.office.kinds.parts import picture, text_lines
from opendas_plugin.office.kinds.registry import kind


@kind("bowl", "table")
def bowl(rng: np.random.Generator) -> Mesh:
    radius, height, outside, inside = (
        rng.uniform(0.09, 0.12),
        rng.uniform(0.06, 0.08),
        tint(rng, BLUE, TERRACOTTA, GREEN),
        tint(rng, WHITE),
    )
    profile = [(0, 0), (radius * 0.45, 0), (radius * 0.45, 0.012), (radius * 0.8, height * 0.5), (radius, height)]
    profile += [(radius * 0.93, height), (radius * 0.7, height * 0.5), (0, 0.02)]
    return lathe(profile, [outside, outside, outside, outside, inside, inside * 0.9, inside * 0.8], sides=20)


@kind("wine glass", "table")
def wine_glass(rng: np.random.Generator) -> Mesh:
    height, radius, glass = (
        rng.uniform(0.19, 0.23),
        rng.uniform(0.038, 0.046),
        np.array((0.72, 0.80, 0.84)) * rng.uniform(0.9, 1.05),
    )
    wine = np.array((0.35, 0.02, 0.06)) if rng.random() < 0.6 else np.array((0.80, 0.68, 0.30))
    low = height * 0.5
    profile = [
        (0, 0),
        (0.036, 0.003),
        (0.006, 0.012),
        (0.005, low),
        (radius * 0.8, low + 0.02),
        (radius, low + height * 0.2),
        (radius * 0.8, height),
        (0, height * 0.97),
    ]
    return lathe(profile, [glass, glass, glass * 0.95, wine, wine, glass, glass * 0.8], sides=16)


@kind("plate", "table")
def plate(rng: np.random.Generator) -> Mesh:
    radius, white, rim = rng.uniform(0.12, 0.15), tint(rng, WHITE), tint(rng, BLUE, GOLD, RED)
    profile = [
        (0, 0),
        (radius * 0.6, 0),
        (radius, 0.02),
        (radius * 0.92, 0.021),
        (radius * 0.85, 0.019),
        (radius * 0.62, 0.008),
        (0, 0.008),
    ]
    lying = lathe(profile, [white * 0.9, white, rim, rim, white, white * 0.95], sides=26)
    return lying.rotated("x", rng.uniform(0.7, 1.25))


@kind("teapot", "table")
def teapot(rng: np.random.Generator) -> Mesh:
    radius, colour = rng.uniform(0.075, 0.09), tint(rng, BRIGHT, WHITE, TERRACOTTA)
    parts = [sphere((radius, radius, radius * 0.85), (0, 0, radius * 0.83), colour, sides=16)]
    parts += [
        cylinder(radius * 0.5, 0.02, (0, 0, radius * 1.6), colour * 0.75),
        sphere(0.014, (0, 0, radius * 1.78), colour * 0.6),
    ]
    parts.append(
        tube(
            [(-radius * 0.8, 0, radius * 0.6), (-radius * 1.4, 0, radius * 0.9), (-radius * 1.75, 0, radius * 1.5)],
            0.014,
            colour * 0.9,
        )
    )
    angles = np.linspace(-1.5, 1.5, 9)
    loop = np.stack(
        [radius * (0.9 + 0.55 * np.cos(angles)), np.zeros(9), radius * (0.9 + 0.5 * np.sin(angles))], axis=1
    )
    return merge(
        [*parts, tube(loop, 0.01, colour * 0.85), cylinder(radius * 0.5, 0.01, (0, 0, 0.005), colour * 0.8)]
    ).standing()


@kind("jar", "table")
def jar(rng: np.random.Generator) -> Mesh:
    radius, height, lid = rng.uniform(0.045, 0.055), rng.uniform(0.1, 0.14), tint(rng, GOLD, RED, METAL)
    filling, glass = (
        tint(rng, ((0.45, 0.05, 0.08), (0.80, 0.45, 0.05), (0.30, 0.40, 0.08))),
        np.array((0.75, 0.82, 0.82)),
    )
    profile = [(0, 0), (radius, 0.004), (radius, height * 0.7), (radius, height * 0.8), (radius * 0.85, height * 0.9)]
    profile += [(radius * 0.95, height * 0.9), (radius * 0.95, height * 1.05), (0, height * 1.05)]
    body = lathe(profile, [filling, filling, glass, glass, lid, lid, lid * 1.1], sides=18)
    label = box((radius * 0.9, 0.01, height * 0.35), (0, -radius * 0.92, height * 0.42), tint(rng, WHITE))
    return merge([body, label])


@kind("soda can", "table")
def soda_can(rng: np.random.Generator) -> Mesh:
    radius, height, colour, steel = 0.033, 0.12, tint(rng, RED, BLUE, GREEN, BRIGHT), tint(rng, METAL)
    profile = [
        (0, 0),
        (0.026, 0),
        (radius, 0.01),
        (radius, 0.045),
        (radius, 0.075),
        (radius, 0.105),
        (0.027, 0.116),
        (0.027, height),
        (0.024, height),
        (0.022, 0.113),
        (0, 0.113),
    ]
    band = tint(rng, WHITE)
    body = lathe(
        profile, [steel * 0.8, steel, colour, band, colour, steel, steel, steel, steel * 0.6, steel * 0.8], sides=18
    )
    return merge([body, box((0.012, 0.02, 0.003), (0, -0.005, 0.116), steel * 1.2)])


@kind("stapler", "table")
def stapler(rng: np.random.Generator) -> Mesh:
    length, colour = rng.uniform(0.14, 0.17), tint(rng, BLACK, RED, BLUE)
    base = box((length, 0.036, 0.012), (0, 0, 0.006), colour * 0.8)
    rail = box((length * 0.92, 0.022, 0.014), (0, 0, 0), tint(rng, METAL)).rotated("y", -0.16).moved((0, 0, 0.036))
    arm = prism(
        [(-length / 2, -0.012), (length / 2, -0.01), (length / 2, 0.008), (-length * 0.3, 0.024), (-length / 2, 0.014)],
        0.034,
        (0, 0, 0),
        colour,
    )
    hinge = box((0.03, 0.04, 0.045), (-length * 0.42, 0, 0.022), colour)
    return merge([base, rail, arm.rotated("y", -0.2).moved((0.004, 0, 0.062)), hinge])


@kind("binder", "table")
def binder(rng: np.random.Generator) -> Mesh:
    height, thick, depth, parts = 0.32, rng.uniform(0.06, 0.08), 0.28, []
    for i in range(int(rng.integers(2, 4))):
        colour, x = tint(rng, BRIGHT, BLACK, GREY), i * (thick + 0.006)
        parts += [box((0.006, depth, height), (x + s * thick / 2, 0, height / 2), colour) for s in (-1, 1)]
        parts.append(box((thick, 0.006, height), (x, -depth / 2, height / 2), colour))
        parts.append(box((thick * 0.8, depth * 0.92, height * 0.9), (x, 0.01, height * 0.46), tint(rng, WHITE)))
        parts.append(box((thick * 0.7, 0.002, height * 0.4), (x, -depth / 2 - 0.004, height * 0.68), tint(rng, WHITE)))
        parts.append(
            cylinder(thick * 0.22, 0.003, (x, -depth / 2 - 0.004, height * 0.2), tint(rng, METAL), axis="y", sides=12)
        )
    return merge(parts)


@kind("envelope", "table")
def envelope(rng: np.random.Generator) -> Mesh:
    width, height, paper = rng.uniform(0.22, 0.26), rng.uniform(0.14, 0.17), tint(rng, WHITE, ((0.75, 0.62, 0.42),))
    parts = [box((width, 0.004, height), (0, 0, height / 2), paper)]
    flap = [(-width / 2, height), (0, height * 0.42), (width / 2, height)]
    parts.append(prism(flap, 0.003, (0, -0.005, 0), paper * 0.72))
    for s in (-1, 1):
        parts.append(
            prism(
                [(s * width / 2, 0), (s * width / 2, 0.006), (s * 0.02, height * 0.5), (0, height * 0.47)],
                0.003,
                (0, -0.004, 0),
                paper * 0.6,
            )
        )
    parts.append(cylinder(0.016, 0.004, (0, -0.008, height * 0.44), tint(rng, RED), axis="y"))
    return merge(parts).rotated("x", rng.uniform(-0.5, -0.1))


@kind("newspaper", "table")
def newspaper(rng: np.random.Generator) -> Mesh:
    width, height, ink, paper = (
        0.34,
        rng.uniform(0.42, 0.5),
        np.array((0.22, 0.22, 0.23)),
        np.array((0.66, 0.64, 0.58)) * rng.uniform(0.9, 1.1),
    )
    page = np.broadcast_to(paper, (30, 23, 3)).copy()
    page[1:4, 1:22] = ink * 0.5
    for column in (0, 1, 2):
        page[6:29, 1 + column * 7 : 8 + column * 7] = text_lines(rng, 23, 7, paper, ink, margin=1)
    page[8:16, 8:22] = ink + (paper - ink) * picture(rng, 8, 14).mean(axis=-1, keepdims=True)
    sheet = panel(page, width, height, (0, 0, height / 2))
    folds = [box((width, 0.008, height), (0, 0.006 + 0.01 * i, height / 2), paper * (0.9 - 0.08 * i)) for i in range(2)]
    return merge([sheet, *folds]).rotated("x", rng.uniform(-0.9, -0.2))


@kind("notebook", "table")
def notebook(rng: np.random.Generator) -> Mesh:
    width, height, colour = rng.uniform(0.15, 0.18), rng.uniform(0.2, 0.25), tint(rng, BRIGHT)
    parts = [
        box((width, 0.004, height), (0, 0, height / 2), colour),
        box((width * 0.97, 0.012, height * 0.97), (0, 0.008, height / 2), tint(rng, WHITE)),
    ]
    parts.append(box((width * 0.5, 0.002, height * 0.2), (width * 0.06, -0.003, height * 0.7), tint(rng, WHITE)))
    for z in np.linspace(0.08, 0.92, 12) * height:
        parts.append(cylinder(0.008, 0.004, (-width / 2 + 0.002, 0.003, z), tint(rng, METAL, BLACK), sides=8))
        parts.append(box((0.012, 0.003, 0.006), (-width / 2 + 0.012, -0.003, z), tint(rng, BLACK)))
    return merge(parts).rotated("x", rng.uniform(-0.7, -0.1))


@kind("hourglass", "table")
def hourglass(rng: np.random.Generator) -> Mesh:
    height, radius, wood = rng.uniform(0.18, 0.24), rng.uniform(0.045, 0.055), tint(rng, WOOD)
    sand, glass = np.array((0.82, 0.62, 0.30)) * rng.uniform(0.85, 1.1), np.array((0.72, 0.82, 0.86))
    half, rim = height / 2, 0.016
    profile = [
        (0, rim),
        (radius, rim),
        (radius * 0.9, half * 0.5),
        (0.006, half),
        (radius * 0.5, half * 1.3),
        (radius * 0.95, half * 1.6),
        (radius, height - rim),
        (0, height - rim),
    ]
    body = lathe(profile, [sand, sand, glass, sand, glass, glass, glass], sides=18)
    discs = [cylinder(radius * 1.35, rim, (0, 0, z), wood) for z in (rim / 2, height - rim / 2)]
    posts = [
        cylinder(0.006, height, (radius * 1.2 * np.cos(a), radius * 1.2 * np.sin(a), half), wood * 0.8, sides=6)
        for a in np.arange(3) * 2.1 + 0.4
    ]
    return merge([body, *discs, *posts])


@kind("trophy", "table")
def trophy(rng: np.random.Generator) -> Mesh:
    height, gold = rng.uniform(0.28, 0.36), tint(rng, GOLD, GOLD, METAL)
    radius = height * rng.uniform(0.22, 0.26)
    parts = [box((radius * 1.5, radius * 1.5, height * 0.2), (0, 0, height * 0.1), tint(rng, BLACK, WOOD[1:2]))]
    parts.append(box((radius, 0.004, height * 0.08), (0, -radius * 0.77, height * 0.1), gold))
    profile = [
        (0, 0.2),
        (0.5, 0.2),
        (0.12, 0.3),
        (0.12, 0.45),
        (0.6, 0.58),
        (0.9, 0.75),
        (1.0, 1.0),
        (0.9, 1.0),
        (0.6, 0.7),
        (0, 0.6),
    ]
    parts.append(lathe([(r * radius, z * height) for r, z in profile], gold, sides=18))
    angles = np.linspace(-1.4, 1.5, 8)
    for s in (-1, 1):
        loop = np.stack(
            [s * radius * (0.85 + 0.55 * np.cos(angles)), np.zeros(8), height * (0.8 + 0.13 * np.sin(angles))], axis=1
        )
        parts.append(tube(loop, 0.009, gold * 0.85))
    return merge(parts)
