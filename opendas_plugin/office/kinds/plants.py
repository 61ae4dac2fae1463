"""Plants, from the pot to the tree."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, sphere, tube
from opendas_plugin.office.kinds.palette import BLACK, BRIGHT, GREEN, TERRACOTTA, WHITE, WOOD, tint
from opendas_plugin.office.kinds.registry import kind


def _leaf(length: float, width: float, colour: np.ndarray) -> Mesh:
    """A pointed leaf with two sides that grows along +x from the origin and bends down at its tip."""
    x = np.array((0, 0.3, 0.7, 1.0)) * length
    half = np.array((0.15, 1.0, 0.8, 0.0)) * width / 2
    z = np.array((0.0, 0.08, 0.06, -0.06)) * length
    vertices = np.concatenate([np.stack([x, half, z], axis=1), np.stack([x, -half, z], axis=1)])
    faces = []
    for i in range(3):
        faces += [(i, 4 + i, 5 + i), (i, 5 + i, 1 + i)]
    both = np.array(faces + [face[::-1] for face in faces], dtype=np.int32)
    shade = np.concatenate([np.ones(6), np.full(6, 0.7)])[:, None] * np.clip(colour, 0.01, 0.95)
    return Mesh(vertices.astype(np.float32), both, shade.astype(np.float32))


def _pot(radius: float, height: float, clay: np.ndarray) -> Mesh:
    profile = [
        (0, 0),
        (radius * 0.7, 0),
        (radius * 0.92, height * 0.8),
        (radius, height * 0.8),
        (radius, height),
        (radius * 0.88, height),
        (0, height * 0.92),
    ]
    colours = [clay, clay, clay, clay * 0.9, clay * 0.8, (0.10, 0.06, 0.03)]
    return lathe(profile, colours, sides=16)


@kind("potted plant", "floor")
def potted_plant(rng: np.random.Generator) -> Mesh:
    radius, height, clay = (
        rng.uniform(0.11, 0.16),
        rng.uniform(0.16, 0.26),
        tint(rng, TERRACOTTA, WHITE, TERRACOTTA, BLACK),
    )
    parts, count, long = [_pot(radius, height, clay)], int(rng.integers(14, 24)), rng.uniform(0.28, 0.42)
    for i in range(count):
        green = tint(rng, GREEN)
        leaf = _leaf(long * rng.uniform(0.7, 1.1), long * rng.uniform(0.22, 0.34), green).rotated(
            "y", -rng.uniform(0.1, 1.3)
        )
        stem = rng.uniform(0, 0.25)
        parts.append(leaf.turned(i * 2.4 + rng.uniform(-0.3, 0.3)).moved((0, 0, height + stem)))
    parts.append(cylinder(0.014, 0.3, (0, 0, height + 0.12), (0.20, 0.30, 0.08), sides=6))
    return merge(parts)


@kind("cactus", "table")
def cactus(rng: np.random.Generator) -> Mesh:
    radius, pot, green = rng.uniform(0.05, 0.07), rng.uniform(0.08, 0.1), tint(rng, GREEN)
    tall = rng.uniform(0.2, 0.32)
    parts = [
        _pot(radius * 1.35, pot, tint(rng, TERRACOTTA, BRIGHT, WHITE)),
        sphere((radius * 0.8, radius * 0.8, tall / 2), (0, 0, pot + tall * 0.45), green, sides=12, rings=8),
    ]
    for i in range(8):
        angle = 2 * np.pi * i / 8
        parts.append(
            sphere(
                (0.006, 0.006, tall * 0.46),
                (radius * 0.78 * np.cos(angle), radius * 0.78 * np.sin(angle), pot + tall * 0.45),
                np.clip(green * 1.6, 0, 0.9),
                sides=4,
                rings=6,
            )
        )
    for side in (-1, 1):
        if side < 0 or rng.random() < 0.7:
            z, out = pot + tall * rng.uniform(0.35, 0.55), side * radius * 1.7
            parts.append(
                tube(
                    [(0, 0, z), (out * 0.8, 0, z), (out, 0, z + 0.03), (out, 0, z + tall * 0.34)],
                    radius * 0.34,
                    green,
                    sides=8,
                )
            )
            parts.append(sphere(radius * 0.34, (out, 0, z + tall * 0.34), green, sides=8, rings=6))
    if rng.random() < 0.6:
        parts.append(sphere((0.02, 0.02, 0.015), (0, 0, pot + tall * 0.95), (0.88, 0.25, 0.45), sides=7, rings=5))
    for _ in range(26):
        angle, z = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.8)
        r = radius * 0.8 * np.sqrt(max(0.05, 1 - ((z - 0.45) / 0.5) ** 2))
        parts.append(
            box((0.004, 0.004, 0.012), (r * np.cos(angle), r * np.sin(angle), pot + tall * z), (0.88, 0.86, 0.70))
        )
    return merge(parts)


@kind("flower", "table")
def flower(rng: np.random.Generator) -> Mesh:
    height, petal, heart = (
        rng.uniform(0.3, 0.45),
        tint(rng, BRIGHT, WHITE, ((0.88, 0.40, 0.60),)),
        tint(rng, ((0.85, 0.60, 0.05), (0.25, 0.12, 0.04))),
    )
    stem, green = [(0, 0, 0), (rng.uniform(-0.03, 0.03), 0, height * 0.5), (0, 0, height)], tint(rng, GREEN)
    parts, radius, count = [tube(stem, 0.006, green, sides=6)], rng.uniform(0.09, 0.13), int(rng.integers(6, 12))
    head = []
    for i in range(count):
        leaf = sphere(
            (radius * 0.5, radius * 2.2 / count, 0.012),
            (radius * 0.72, 0, 0),
            np.clip(petal * (1 if i % 2 else 0.88), 0, 0.95),
            sides=9,
            rings=5,
        )
        head.append(leaf.turned(2 * np.pi * i / count))
    head.append(sphere((radius * 0.36, radius * 0.36, 0.025), (0, 0, 0.01), heart, sides=12, rings=6))
    parts.append(merge(head).rotated("x", rng.uniform(0.7, 1.3)).moved((0, -0.01, height)))
    parts += [
        _leaf(0.13, 0.05, green).rotated("y", -0.6).turned(side).moved((0, 0, height * z))
        for side, z in ((0.3, 0.2), (2.8, 0.32))
    ]
    return merge(parts)


@kind("tree", "floor")
def tree(rng: np.random.Generator) -> Mesh:
    height, bark = rng.uniform(2.2, 3.0), tint(rng, WOOD[:2])
    if rng.random() < 0.35:
        parts, green = [cylinder(0.08, height * 0.3, (0, 0, height * 0.15), bark, sides=8)], tint(rng, GREEN) * 0.8
        for i in range(4):
            parts.append(
                cylinder(
                    height * (0.26 - 0.05 * i),
                    height * 0.3,
                    (0, 0, height * (0.3 + 0.19 * i)),
                    green * (0.85 + 0.12 * i),
                    top=0,
                    sides=12,
                )
            )
        return merge(parts)
    parts = [cylinder(0.1, height * 0.5, (0, 0, height * 0.25), bark, top=0.06, sides=8)]
    for i in range(9):
        angle, r = i * 2.4, height * 0.17 * np.sqrt(i / 8)
        size = height * rng.uniform(0.13, 0.18)
        at = (r * np.cos(angle), r * np.sin(angle), height * rng.uniform(0.58, 0.82))
        parts.append(sphere(size, at, tint(rng, GREEN), sides=8, rings=6))
    for i in (-1, 1):
        parts.append(tube([(0, 0, height * 0.4), (i * height * 0.1, 0, height * 0.56)], 0.035, bark, sides=6))
    return merge(parts)
