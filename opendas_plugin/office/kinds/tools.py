"""Tools, what is worn, and what stands in a corridor."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, prism, sphere, torus, tube
from opendas_plugin.office.kinds.palette import (
    BLACK,
    BLUE,
    BRIGHT,
    FABRIC,
    GREEN,
    GREY,
    LEATHER,
    METAL,
    RED,
    WHITE,
    WOOD,
    tint,
)
from opendas_plugin.office.kinds.registry import kind


@kind("hat", "table")
def hat(rng: np.random.Generator) -> Mesh:
    radius, height, felt = (
        rng.uniform(0.085, 0.095),
        rng.uniform(0.1, 0.15),
        tint(rng, ((0.74, 0.60, 0.34),), LEATHER, BLACK, FABRIC),
    )
    band, brim = tint(rng, BRIGHT, BLACK), radius * rng.uniform(1.7, 2.1)
    profile = [
        (0, 0.006),
        (brim * 0.9, 0.0),
        (brim, 0.014),
        (brim * 0.98, 0.02),
        (radius * 1.04, 0.012),
        (radius * 1.02, height * 0.34),
        (radius * 0.94, height * 0.85),
        (radius * 0.7, height),
        (0, height * 0.9),
    ]
    shades = [felt * 0.6, felt * 0.8, felt, felt, band, felt, felt, felt * 0.8]
    return lathe(profile, np.clip(shades, 0, 0.95), sides=22).scaled((1, 1.12, 1))


@kind("helmet", "table")
def helmet(rng: np.random.Generator) -> Mesh:
    radius, shell = rng.uniform(0.12, 0.14), tint(rng, BRIGHT, WHITE, BLACK)
    dome = sphere((radius, radius * 1.15, radius * 1.05), (0, 0, radius * 0.8), shell, sides=20, rings=12)
    low = Mesh(np.maximum(dome.vertices, np.array((-9, -9, 0.02), np.float32)), dome.faces, dome.colours)
    visor = sphere(
        (radius * 0.93, radius * 0.5, radius * 0.42),
        (0, -radius * 0.72, radius * 0.82),
        (0.04, 0.05, 0.09),
        sides=16,
        rings=8,
    )
    stripe = (
        torus(radius, 0.012, (0, 0, 0), tint(rng, WHITE, BRIGHT), axis="x", sides=24)
        .scaled((1.6, 1.16, 1.06))
        .moved((0, 0, radius * 0.8))
    )
    glint = box((radius * 0.9, 0.004, 0.012), (-radius * 0.1, -radius * 1.215, radius * 0.95), (0.6, 0.7, 0.85))
    parts = [
        low,
        visor,
        stripe,
        glint,
        box((radius * 1.3, 0.03, 0.06), (0, -radius, radius * 0.28), shell * 0.75),
    ]
    parts += [
        cylinder(0.022, 0.02, (i * radius * 0.98, -radius * 0.25, radius * 0.85), tint(rng, METAL), axis="x", sides=10)
        for i in (-1, 1)
    ]
    return merge(parts).turned(rng.uniform(-0.3, 0.3))


@kind("umbrella", "floor")
def umbrella(rng: np.random.Generator) -> Mesh:
    radius, length, ribs = rng.uniform(0.45, 0.55), rng.uniform(0.75, 0.9), 8
    first, second = tint(rng, BRIGHT, BLACK), tint(rng, BRIGHT, WHITE)
    if rng.random() < 0.5:
        second = first * 0.8
    parts, steps = [], ((0.0, 0.0), (0.42, -0.05), (0.78, -0.17), (1.0, -0.32))
    top = np.array((0, 0, length))
    for rib in range(ribs):
        a, b = 2 * np.pi * rib / ribs, 2 * np.pi * (rib + 1) / ribs
        corners = [
            [np.array((r * np.cos(t) * radius, r * np.sin(t) * radius, z * radius * 2)) + top for r, z in steps]
            for t in (a, b)
        ]
        vertices = np.concatenate(corners)
        faces = []
        for i in range(3):
            faces += [(i, i + 1, 5 + i), (i, 5 + i, 4 + i)]
        both = np.array(faces + [face[::-1] for face in faces], dtype=np.int32)
        colour = np.clip((first, second)[rib % 2], 0.01, 0.95)
        shade = np.concatenate([np.ones(6), np.full(6, 0.6)])[:, None] * colour
        parts.append(Mesh(vertices.astype(np.float32), both, shade.astype(np.float32)))
    metal = tint(rng, METAL, BLACK)
    parts += [
        cylinder(0.009, length, (0, 0, length / 2), metal, sides=6),
        cylinder(0.01, 0.08, (0, 0, length + 0.03), metal, top=0.003, sides=6),
    ]
    hook = [(0, 0, 0.06), (0, 0, 0.0)] + [
        (0.05 - 0.05 * np.cos(t), 0, -0.05 * np.sin(t)) for t in np.linspace(0.3, np.pi, 8)
    ]
    parts.append(tube(hook, 0.015, tint(rng, WOOD, BLACK), sides=7))
    lean = rng.uniform(0.15, 0.9) * rng.choice((-1, 1))
    return merge(parts).rotated("y", lean)


@kind("broom", "floor")
def broom(rng: np.random.Generator) -> Mesh:
    length, wood, bristle = (
        rng.uniform(1.0, 1.2),
        tint(rng, WOOD, BRIGHT),
        tint(rng, ((0.75, 0.58, 0.22), (0.80, 0.66, 0.35))),
    )
    width = rng.uniform(0.3, 0.38)
    parts = [
        cylinder(0.014, length, (0, 0, length / 2 + 0.34), wood, sides=8),
        box((width * 0.55, 0.06, 0.07), (0, 0, 0.34), tint(rng, RED, BLUE, WOOD)),
    ]
    count = 11
    for i in range(count):
        t = (i - (count - 1) / 2) / ((count - 1) / 2)
        outline = [
            (t * width * 0.26 - 0.016, 0.32),
            (t * width * 0.26 + 0.016, 0.32),
            (t * width * 0.52 + 0.02, rng.uniform(0, 0.02)),
            (t * width * 0.52 - 0.02, 0.0),
        ]
        parts.append(prism(outline, 0.05, (0, 0, 0), np.clip(bristle * (1.1 if i % 2 else 0.75), 0, 0.95)))
    parts += [box((width * s, 0.058, 0.012), (0, 0, z), tint(rng, RED)) for s, z in ((0.66, 0.25), (0.76, 0.19))]
    return merge(parts).rotated("y", rng.uniform(-0.3, 0.3))


@kind("fire extinguisher", "floor")
def fire_extinguisher(rng: np.random.Generator) -> Mesh:
    radius, height, red, black = rng.uniform(0.065, 0.08), rng.uniform(0.36, 0.46), tint(rng, RED), tint(rng, BLACK)
    label = tint(rng, WHITE)
    profile = [
        (0, 0),
        (radius, 0),
        (radius, 0.04),
        (radius, 0.35),
        (radius, 0.65),
        (radius, 0.85),
        (radius * 0.75, 0.94),
        (radius * 0.32, 1),
        (0, 1),
    ]
    colours = [black, black, red, red, red, red, red, black]
    parts = [lathe([(r, z * height) for r, z in profile], colours, sides=18)]
    parts.append(box((radius * 1.2, 0.02, height * 0.28), (0, -radius * 0.92, height * 0.5), label))
    parts += [
        box((radius * 0.9, 0.004, 0.014), (0, -radius * 0.92 - 0.012, height * z), red) for z in (0.58, 0.5, 0.43)
    ]
    parts.append(cylinder(0.018, 0.05, (0, 0, height + 0.02), (0.65, 0.6, 0.4), sides=9))
    side = rng.choice((-1, 1))
    for slope, z in ((0.12, 0.05), (0.35, 0.075)):
        lever = box((0.15, 0.022, 0.012), (0.05, 0, 0), black).rotated("y", -slope)
        parts.append((lever if side > 0 else lever.turned(np.pi)).moved((0, 0, height + z)))
    hose = [
        (-side * 0.02, 0, height + 0.03),
        (-side * radius * 1.1, 0, height + 0.02),
        (-side * radius * 1.5, -0.01, height * 0.75),
        (-side * radius * 1.15, -0.02, height * 0.4),
    ]
    parts.append(tube(hose, 0.012, black, sides=7))
    parts.append(cylinder(0.03, 0.09, (-side * radius * 1.15, -0.02, height * 0.32), black, top=0.014, sides=9))
    parts.append(cylinder(0.016, 0.012, (0, -0.022, height + 0.03), (0.9, 0.9, 0.88), axis="y", sides=10))
    return merge(parts)


@kind("traffic cone", "floor")
def traffic_cone(rng: np.random.Generator) -> Mesh:
    height, orange, white = (
        rng.uniform(0.5, 0.75),
        tint(rng, ((0.92, 0.32, 0.03), (0.88, 0.25, 0.04))),
        (0.92, 0.92, 0.9),
    )
    base = height * 0.28
    levels = (0.05, 0.35, 0.52, 0.66, 0.8, 1.0)
    radii = [base * 0.82 * (1.06 - z) for z in levels]
    profile = [(0, 0.05), *zip(radii, levels, strict=True), (0, 1.0)]
    colours = [orange, orange, white, orange, white if rng.random() < 0.6 else orange, orange, (0.1, 0.1, 0.1)]
    body = lathe([(r, z * height) for r, z in profile], colours, sides=18)
    foot = tint(rng, BLACK) if rng.random() < 0.4 else orange * 0.9
    return merge([body, box((base * 2.2, base * 2.2, height * 0.05), (0, 0, height * 0.025), foot)])


@kind("tripod", "floor")
def tripod(rng: np.random.Generator) -> Mesh:
    height, spread, metal = rng.uniform(1.1, 1.4), rng.uniform(0.36, 0.48), tint(rng, BLACK, METAL)
    parts = [
        cylinder(0.02, height * 0.5, (0, 0, height * 0.8), metal, sides=8),
        cylinder(0.045, 0.07, (0, 0, height * 0.82), metal * 0.8, sides=10),
    ]
    for i in range(3):
        angle = 2 * np.pi * i / 3 + 0.4
        direction = np.array((np.cos(angle), np.sin(angle), 0))
        foot, knee, hip = (
            direction * spread,
            direction * spread * 0.5 + (0, 0, height * 0.42),
            direction * 0.04 + (0, 0, height * 0.82),
        )
        parts += [tube([knee, hip], 0.02, metal, sides=6), tube([foot, knee], 0.013, metal * 1.4, sides=6)]
        parts += [
            sphere(0.025, knee, (0.06, 0.06, 0.06), sides=7, rings=5),
            sphere(0.02, np.add(foot, (0, 0, 0.012)), (0.05, 0.05, 0.05), sides=7, rings=5),
        ]
        parts.append(
            tube([(0, 0, height * 0.58), direction * spread * 0.42 + (0, 0, height * 0.5)], 0.007, metal, sides=5)
        )
    top = height * 1.06
    parts += [
        box((0.09, 0.09, 0.02), (0, 0, top + 0.04), metal),
        sphere(0.035, (0, 0, top), metal * 1.3, sides=8, rings=6),
    ]
    parts.append(tube([(0, 0, top), (0.22, -0.16, top - 0.1)], 0.011, metal, sides=6))
    parts.append(cylinder(0.01, 0.03, (0, 0, top + 0.06), tint(rng, GREY), sides=7))
    return merge(parts).turned(rng.uniform(0, 2))


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


@kind("coat rack", "floor")
def coat_rack(rng: np.random.Generator) -> Mesh:
    height, wood = rng.uniform(1.6, 1.85), tint(rng, WOOD, BLACK, METAL)
    parts = [
        cylinder(0.024, height, (0, 0, height / 2), wood, sides=9),
        sphere(0.04, (0, 0, height), wood, sides=9, rings=6),
    ]
    for i in range(4):
        angle = i * np.pi / 2 + 0.5
        c, s = np.cos(angle), np.sin(angle)
        parts.append(tube([(0, 0, 0.22), (0.16 * c, 0.16 * s, 0.12), (0.28 * c, 0.28 * s, 0.02)], 0.02, wood, sides=6))
        for z in (0.0, -0.22):
            parts.append(
                tube(
                    [
                        (0, 0, height - 0.12 + z),
                        (0.13 * c, 0.13 * s, height - 0.1 + z),
                        (0.2 * c, 0.2 * s, height + 0.02 + z),
                    ],
                    0.012,
                    wood,
                    sides=6,
                )
            )
    for i in range(int(rng.integers(0, 3))):
        angle, cloth = rng.uniform(-2.6, -0.5) + i, tint(rng, FABRIC, BRIGHT)
        long = rng.uniform(0.55, 0.85)
        coat = prism(
            [(-0.06, 0), (0.06, 0), (0.2, -long * 0.25), (0.24, -long), (-0.24, -long), (-0.2, -long * 0.25)],
            0.1,
            (0, 0, 0),
            cloth,
        )
        parts.append(coat.turned(angle + np.pi / 2).moved((0.17 * np.cos(angle), 0.17 * np.sin(angle), height - 0.06)))
    return merge(parts)
