"""Bags, boxes with handles, tools and what is worn."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, prism, sphere, torus, tube
from opendas_plugin.office.kinds.palette import (
    BLACK,
    BLUE,
    BRIGHT,
    FABRIC,
    GOLD,
    GREY,
    LEATHER,
    METAL,
    PASTEL,
    RED,
    WHITE,
    WOOD,
    tint,
)
from opendas_plugin.office.kinds.registry import kind


def _handle(width: float, height: float, at: tuple[float, float, float], thick: float, colour: np.ndarray) -> Mesh:
    angles = np.linspace(0, np.pi, 10)
    path = np.stack([width / 2 * np.cos(angles), np.zeros(10), height * np.sin(angles)], axis=1)
    return tube(path + np.asarray(at), thick, colour, sides=6)


@kind("backpack", "floor")
def backpack(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.29, 0.35), rng.uniform(0.16, 0.2), rng.uniform(0.42, 0.5)
    cloth, strap = tint(rng, FABRIC, BRIGHT), tint(rng, BLACK)
    outline = np.array(
        [
            (-0.5, 0),
            (0.5, 0),
            (0.52, 0.55),
            (0.46, 0.82),
            (0.3, 0.96),
            (0.1, 1),
            (-0.1, 1),
            (-0.3, 0.96),
            (-0.46, 0.82),
            (-0.52, 0.55),
        ]
    )
    parts = [
        prism(outline * (width, height), depth, (0, 0, 0), cloth),
        prism(outline * (width * 0.9, height * 0.94), depth * 1.25, (0, 0, 0.01), cloth * 0.85),
    ]
    pocket = prism(
        outline * (width * 0.74, height * 0.46), 0.08, (0, -depth * 0.72, 0.03), np.clip(cloth * 1.15, 0, 0.95)
    )
    parts += [pocket, box((width * 0.56, 0.012, 0.012), (0, -depth * 0.72 - 0.044, height * 0.36), strap)]
    arch = [
        (width * 0.4 * np.cos(t), -depth * 0.64, height * 0.58 + height * 0.3 * np.sin(t))
        for t in np.linspace(0, np.pi, 10)
    ]
    parts += [tube(arch, 0.007, strap, sides=5), _handle(0.1, 0.05, (0, depth * 0.3, height * 0.98), 0.01, strap)]
    for i in (-1, 1):
        belt = [
            (i * width * 0.25, depth * 0.5, height * 0.92),
            (i * width * 0.36, depth * 0.95, height * 0.6),
            (i * width * 0.42, depth * 0.55, height * 0.12),
        ]
        parts.append(tube(belt, 0.018, strap, sides=6))
        parts.append(box((0.05, depth * 0.6, height * 0.3), (i * width * 0.53, 0, height * 0.18), cloth * 0.65))
    return merge(parts)


@kind("suitcase", "floor")
def suitcase(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.38, 0.46), rng.uniform(0.22, 0.27), rng.uniform(0.55, 0.68)
    shell, dark = tint(rng, BRIGHT, METAL, PASTEL), tint(rng, BLACK)
    parts = [box((width, depth, height), (0, 0, height / 2 + 0.05), shell)]
    parts += [
        box((width * 0.06, depth * 1.05, height * 0.94), ((i - 2.5) * width * 0.16, 0, height / 2 + 0.05), shell * 0.72)
        for i in range(6)
    ]
    parts.append(box((width * 1.01, 0.012, height * 1.01), (0, 0, height / 2 + 0.05), dark))
    for i in (-1, 1):
        for j in (-1, 1):
            parts.append(cylinder(0.025, 0.02, (i * width * 0.42, j * depth * 0.36, 0.025), dark, axis="x", sides=10))
            parts.append(
                sphere(
                    (0.05, 0.05, 0.05),
                    (i * width * 0.47, j * depth * 0.44, height * (0.05 if j else 0.9) + 0.05),
                    shell * 0.6,
                    sides=7,
                    rings=5,
                )
            )
        parts.append(box((0.016, 0.016, 0.36), (i * width * 0.24, depth * 0.3, height + 0.2), (0.6, 0.61, 0.63)))
    parts.append(box((width * 0.56, 0.03, 0.035), (0, depth * 0.3, height + 0.39), dark))
    parts.append(_handle(0.14, 0.035, (0, -depth * 0.1, height + 0.05), 0.01, dark))
    return merge(parts).turned(rng.uniform(-0.5, 0.5))


@kind("handbag", "table")
def handbag(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.28, 0.36), rng.uniform(0.1, 0.14), rng.uniform(0.2, 0.26)
    leather = tint(rng, LEATHER, RED, BRIGHT)
    outline = np.array([(-0.5, 0), (0.5, 0), (0.54, 0.2), (0.42, 1), (-0.42, 1), (-0.54, 0.2)])
    parts = [prism(outline * (width, height), depth, (0, 0, 0), leather)]
    flap = np.array([(-0.43, 1.01), (0.43, 1.01), (0.47, 0.62), (0.2, 0.46), (-0.2, 0.46), (-0.47, 0.62)])
    parts.append(prism(flap[::-1] * (width, height), 0.012, (0, -depth / 2 - 0.006, 0), leather * 0.75))
    parts.append(box((0.045, 0.012, 0.035), (0, -depth / 2 - 0.016, height * 0.48), tint(rng, GOLD)))
    for y in (-0.3, 0.3):
        parts.append(_handle(width * 0.5, height * 0.62, (0, y * depth, height), 0.009, leather * 0.65))
        parts += [
            torus(0.014, 0.004, (i * width * 0.25, y * depth, height + 0.004), tint(rng, GOLD), axis="y", sides=9)
            for i in (-1, 1)
        ]
    return merge(parts).turned(rng.uniform(-0.3, 0.3))


@kind("shopping bag", "floor")
def shopping_bag(rng: np.random.Generator) -> Mesh:
    width, depth, height, paper = (
        rng.uniform(0.26, 0.32),
        rng.uniform(0.12, 0.16),
        rng.uniform(0.34, 0.42),
        tint(rng, ((0.66, 0.48, 0.29),), WHITE, BRIGHT),
    )
    parts = [
        box((width, depth, height), (0, 0, height / 2), paper),
        box((width * 0.98, depth * 0.96, 0.004), (0, 0, height), paper * 0.3),
    ]
    fold = [(-depth / 2, 0), (depth / 2, 0), (0.0, depth * 0.9)]
    parts += [prism(fold, 0.004, (i * width / 2, 0, 0), paper * 0.7, axis="x") for i in (-1, 1)]
    parts += [box((0.004, 0.006, height), (i * width / 2, 0, height / 2), paper * 0.6) for i in (-1, 1)]
    logo = tint(rng, BRIGHT)
    if rng.random() < 0.5:
        parts.append(cylinder(width * 0.22, 0.004, (0, -depth / 2 - 0.002, height * 0.5), logo, axis="y", sides=18))
    else:
        parts.append(box((width, 0.004, height * 0.18), (0, -depth / 2 - 0.002, height * 0.45), logo))
    parts += [
        _handle(width * 0.4, 0.12, (0, y * depth, height), 0.006, tint(rng, WHITE, BLACK, WOOD)) for y in (-0.47, 0.47)
    ]
    return merge(parts).turned(rng.uniform(-0.3, 0.3))


@kind("wooden crate", "floor")
def wooden_crate(rng: np.random.Generator) -> Mesh:
    width, depth, height, wood = (
        rng.uniform(0.45, 0.6),
        rng.uniform(0.35, 0.45),
        rng.uniform(0.28, 0.4),
        tint(rng, WOOD[2:], WOOD[:1]),
    )
    slats, parts = 4, [box((width * 0.96, depth * 0.96, 0.015), (0, 0, 0.008), wood * 0.6)]
    for row in range(slats):
        z, high = (row + 0.5) * height / slats, height / slats * 0.78
        for i in (-1, 1):
            parts.append(
                box((width, 0.018, high), (0, i * depth / 2, z), np.clip(wood * rng.uniform(0.85, 1.15), 0, 0.95))
            )
            parts.append(
                box((0.018, depth, high), (i * width / 2, 0, z), np.clip(wood * rng.uniform(0.7, 1.0), 0, 0.95))
            )
    for i in (-1, 1):
        parts += [
            box((0.06, 0.02, height), (i * width * 0.45, j * (depth / 2 + 0.018), height / 2), wood * 0.75)
            for j in (-1, 1)
        ]
    brace = box((width * 0.86, 0.016, 0.055), (0, 0, 0), wood * 0.7).rotated("y", np.arctan2(height, width))
    parts.append(brace.moved((0, -depth / 2 - 0.018, height / 2)))
    parts.append(box((width * 0.92, depth * 0.92, height * 0.1), (0, 0, height * 0.3), (0.10, 0.07, 0.04)))
    return merge(parts).turned(rng.uniform(-0.5, 0.5))


@kind("basket", "floor")
def basket(rng: np.random.Generator) -> Mesh:
    radius, height, straw = (
        rng.uniform(0.17, 0.22),
        rng.uniform(0.16, 0.22),
        tint(rng, ((0.66, 0.46, 0.20), (0.55, 0.34, 0.14), (0.74, 0.58, 0.32))),
    )
    parts, rows, sides = [], 5, 16
    for row in range(rows):
        r = radius * (0.82 + 0.18 * row / rows)
        for side in range(sides):
            angle = 2 * np.pi * (side + 0.5) / sides
            shade = straw * (1.12 if (row + side) % 2 else 0.62)
            size = (2 * np.pi * r / sides * 1.02, 0.014, height / rows)
            out = r + (0.006 if (row + side) % 2 else 0)
            piece = box(size, (0, -out, (row + 0.5) * height / rows), np.clip(shade, 0, 0.95))
            parts.append(piece.turned(angle))
    parts += [
        torus(radius * 1.01, 0.016, (0, 0, height), straw * 0.8, sides=20),
        cylinder(radius * 0.84, 0.01, (0, 0, height * 0.2), straw * 0.4, sides=16),
    ]
    parts.append(_handle(radius * 1.95, radius * 1.25, (0, 0, height), 0.015, straw * 0.85))
    return merge(parts).turned(rng.uniform(-0.6, 0.6))


@kind("toolbox", "floor")
def toolbox(rng: np.random.Generator) -> Mesh:
    width, depth, height, paint = (
        rng.uniform(0.42, 0.52),
        rng.uniform(0.2, 0.24),
        rng.uniform(0.2, 0.25),
        tint(rng, RED, BLUE, ((0.90, 0.65, 0.05),)),
    )
    lid = tint(rng, BLACK) if rng.random() < 0.5 else paint * 0.8
    parts = [box((width, depth, height * 0.68), (0, 0, height * 0.34), paint)]
    roof = [
        (-depth / 2, 0),
        (depth / 2, 0),
        (depth / 2, height * 0.16),
        (depth * 0.22, height * 0.34),
        (-depth * 0.22, height * 0.34),
        (-depth / 2, height * 0.16),
    ]
    parts.append(prism(roof, width * 1.02, (0, 0, height * 0.7), lid, axis="x"))
    for i in (-1, 1):
        parts.append(
            box((0.045, 0.014, 0.075), (i * width * 0.32, -depth / 2 - 0.007, height * 0.7), (0.75, 0.75, 0.77))
        )
        parts.append(box((0.02, 0.03, 0.07), (i * width * 0.24, 0, height * 1.08), (0.06, 0.06, 0.06)))
    parts.append(box((width * 0.52, 0.035, 0.03), (0, 0, height * 1.08 + 0.045), (0.06, 0.06, 0.06)))
    parts.append(box((width * 0.25, 0.006, height * 0.16), (0, -depth / 2 - 0.003, height * 0.34), (0.88, 0.85, 0.75)))
    return merge(parts).turned(rng.uniform(-0.4, 0.4))


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
