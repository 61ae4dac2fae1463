"""Bags, cases and boxes."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, prism, sphere, torus, tube
from opendas_plugin.office.kinds.palette import (
    BLACK,
    BLUE,
    BRIGHT,
    CARTON,
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


@kind("cardboard box", "floor")
def cardboard_box(rng: np.random.Generator) -> Mesh:
    width, depth, height, carton = (
        rng.uniform(0.35, 0.55),
        rng.uniform(0.3, 0.45),
        rng.uniform(0.25, 0.42),
        tint(rng, CARTON),
    )
    parts = [box((width, depth, height), (0, 0, height / 2), carton)]
    if rng.random() < 0.5:
        parts.append(box((width * 0.94, depth * 0.94, 0.004), (0, 0, height + 0.002), carton * 0.4))
        for i in (-1, 1):
            flap = box((width * 0.45, depth, 0.006), (width * 0.225, 0, 0), carton * 1.1).rotated(
                "y", -rng.uniform(-0.5, 0.7)
            )
            parts.append((flap if i > 0 else flap.turned(np.pi)).moved((i * width / 2, 0, height)))
            lid = box((width, depth * 0.4, 0.006), (0, i * depth * 0.2, 0), carton * 0.95).rotated(
                "x", i * rng.uniform(-0.6, 0.4)
            )
            parts.append(lid.moved((0, i * depth / 2, height)))
    else:
        tape = np.array((0.78, 0.66, 0.42))
        parts.append(box((width * 1.002, 0.05, 0.004), (0, 0, height + 0.001), tape))
        parts += [box((0.004, 0.05, height * 0.35), (i * width / 2, 0, height * 0.83), tape) for i in (-1, 1)]
        parts.append(box((width, 0.004, 0.004), (0, 0, height + 0.003), carton * 0.5))
        parts.append(
            box((width * 0.3, 0.004, height * 0.3), (width * 0.2, -depth / 2 - 0.001, height * 0.6), (0.9, 0.9, 0.88))
        )
    parts.append(
        box((width * 0.12, 0.004, height * 0.2), (-width * 0.3, -depth / 2 - 0.001, height * 0.3), carton * 0.4)
    )
    return merge(parts).turned(rng.uniform(-0.5, 0.5))


@kind("trash can", "floor")
def trash_can(rng: np.random.Generator) -> Mesh:
    radius, height, colour = rng.uniform(0.14, 0.18), rng.uniform(0.32, 0.5), tint(rng, BLACK, GREY, METAL)
    low = radius * 0.8
    parts = [cylinder(low, 0.01, (0, 0, 0.005), colour, sides=18)]
    if rng.random() < 0.5:
        for i in range(16):
            a, b = 2 * np.pi * i / 16, 2 * np.pi * (i + 1) / 16
            for first, second in ((a, b), (b, a)):
                parts.append(
                    tube(
                        [
                            (low * np.cos(first), low * np.sin(first), 0),
                            (radius * np.cos(second), radius * np.sin(second), height),
                        ],
                        0.004,
                        colour,
                        sides=4,
                    )
                )
        parts += [torus(radius * s, 0.009, (0, 0, height * z), colour, sides=18) for s, z in ((1, 1), (0.9, 0.5))]
        papers = tint(rng, WHITE)
        parts += [
            sphere(
                radius * 0.42,
                (radius * 0.35 * np.cos(t), radius * 0.35 * np.sin(t), height * rng.uniform(0.55, 0.9)),
                papers,
                sides=6,
                rings=4,
            )
            for t in (0.5, 2.5, 4.5)
        ]
    else:
        parts.append(cylinder(low, height, (0, 0, height / 2), colour, top=radius, sides=18))
        parts.append(cylinder(radius * 1.06, 0.05, (0, 0, height + 0.025), colour * 0.6, sides=18))
        parts.append(sphere((radius, radius, radius * 0.4), (0, 0, height + 0.05), colour * 0.8, sides=18, rings=6))
        parts.append(box((radius * 0.8, 0.02, 0.06), (0, -radius * 0.86, height + 0.1), (0.02, 0.02, 0.02)))
        parts.append(box((0.1, 0.1, 0.02), (0, -radius * 0.95, 0.03), (0.03, 0.03, 0.03)))
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
