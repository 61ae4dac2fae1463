"""Plants, instruments and sports."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, prism, sphere, torus, tube
from opendas_plugin.office.kinds.palette import BLACK, BLUE, BRIGHT, GOLD, GREEN, METAL, TERRACOTTA, WHITE, WOOD, tint
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


@kind("drum", "floor")
def drum(rng: np.random.Generator) -> Mesh:
    radius, height, shell = rng.uniform(0.18, 0.25), rng.uniform(0.2, 0.32), tint(rng, BRIGHT, WOOD)
    rim, skin = tint(rng, METAL, GOLD), (0.88, 0.86, 0.80)
    parts = [
        cylinder(radius, height, (0, 0, height / 2), shell, sides=22),
        cylinder(radius * 0.98, 0.01, (0, 0, height + 0.005), skin, sides=22),
    ]
    parts += [torus(radius * 1.01, 0.013, (0, 0, z), rim, sides=22) for z in (0.02, height)]
    for i in range(10):
        angle = 2 * np.pi * i / 10
        for step in (-1, 1):
            other = angle + step * np.pi / 10
            path = [
                (radius * 1.02 * np.cos(angle), radius * 1.02 * np.sin(angle), height - 0.01),
                (radius * 1.02 * np.cos(other), radius * 1.02 * np.sin(other), 0.03),
            ]
            parts.append(tube(path, 0.005, (0.88, 0.86, 0.8), sides=4))
    for side in (-1, 1):
        stick = [
            cylinder(0.009, 0.36, (0, 0, 0), tint(rng, WOOD[2:]), axis="x", sides=6),
            sphere((0.018, 0.014, 0.014), (0.18, 0, 0), tint(rng, WOOD[2:]), sides=7, rings=5),
        ]
        parts.append(merge(stick).turned(side * 0.5 + 1.2).moved((side * 0.06, -0.03, height + 0.022)))
    return merge(parts)


def _strings(body: Mesh, shape: tuple[float, float, float, float], neck: np.ndarray, count: int) -> list[Mesh]:
    """The body with neck, head, pegs and strings; ``shape``: z of bridge, body top and neck end, and y."""
    bridge, top, end, y = shape
    wide = 0.05 if count > 4 else 0.03
    parts = [body, box((wide, 0.022, end - top + 0.06), (0, y - 0.008, (end + top) / 2 - 0.03), neck)]
    parts.append(box((wide * 1.35, 0.022, 0.13), (0, y, end + 0.05), neck * 0.8))
    for i in range(count):
        side = -1 if i % 2 else 1
        parts.append(
            cylinder(
                0.007, 0.03, (side * wide * 0.85, y, end + 0.02 + 0.035 * (i // 2)), (0.8, 0.78, 0.7), axis="x", sides=6
            )
        )
        x = (i - (count - 1) / 2) * wide * 0.75 / count
        parts.append(box((0.002, 0.002, end - bridge), (x, y - 0.028, (end + bridge) / 2), (0.85, 0.85, 0.8)))
    parts.append(box((wide * 2.0, 0.02, 0.02), (0, y - 0.014, bridge), (0.06, 0.04, 0.03)))
    return parts


@kind("guitar", "floor")
def guitar(rng: np.random.Generator) -> Mesh:
    wood, neck = tint(rng, ((0.72, 0.42, 0.14), (0.80, 0.55, 0.22), (0.55, 0.18, 0.06)), WOOD), tint(rng, WOOD[:2])
    low, high, depth = rng.uniform(0.19, 0.21), rng.uniform(0.14, 0.155), 0.1
    parts = []
    for r, z in ((low, 0.2), (high, 0.44)):
        parts.append(cylinder(r, depth, (0, 0, z), wood, axis="y", sides=24))
        parts.append(
            cylinder(r * 0.965, 0.004, (0, -depth / 2 - 0.001, z), np.clip(wood * 1.2, 0, 0.95), axis="y", sides=24)
        )
    parts.append(box((high * 1.5, depth, 0.2), (0, 0, 0.34), wood))
    parts.append(box((high * 1.45, 0.004, 0.2), (0, -depth / 2 - 0.001, 0.34), np.clip(wood * 1.2, 0, 0.95)))
    parts.append(cylinder(0.062, 0.004, (0, -depth / 2 - 0.004, 0.38), tint(rng, GOLD, WHITE), axis="y", sides=18))
    parts.append(cylinder(0.05, 0.005, (0, -depth / 2 - 0.006, 0.38), (0.03, 0.02, 0.015), axis="y", sides=18))
    whole = _strings(merge(parts), (0.17, 0.57, 0.98, -depth / 2), neck, 6)
    whole += [
        box((0.05, 0.002, 0.004), (0, -depth / 2 - 0.02, z), (0.75, 0.75, 0.7)) for z in np.linspace(0.6, 0.94, 8)
    ]
    return merge(whole).rotated("y", rng.uniform(-0.35, 0.35))


@kind("violin", "floor")
def violin(rng: np.random.Generator) -> Mesh:
    wood, ebony, depth = (
        tint(rng, ((0.45, 0.12, 0.03), (0.55, 0.20, 0.05), (0.35, 0.10, 0.04))),
        (0.03, 0.025, 0.02),
        0.04,
    )
    outline = [
        (0.06, 0.0),
        (0.1, 0.04),
        (0.105, 0.09),
        (0.075, 0.14),
        (0.065, 0.185),
        (0.08, 0.24),
        (0.085, 0.29),
        (0.06, 0.34),
    ]
    parts = []
    for (x0, z0), (x1, z1) in pairwise(outline):
        strip = [(-x0, z0), (x0, z0), (x1, z1), (-x1, z1)]
        parts.append(prism(strip, depth, (0, 0, 0), wood))
    for i in (-1, 1):
        parts.append(
            prism(
                [
                    (i * 0.034 - 0.004, 0.12),
                    (i * 0.034 + 0.004, 0.12),
                    (i * 0.028 + 0.004, 0.2),
                    (i * 0.028 - 0.004, 0.2),
                ],
                0.003,
                (0, -depth / 2 - 0.001, 0),
                ebony,
            )
        )
    parts.append(sphere((0.035, 0.015, 0.022), (-0.045, -depth / 2, 0.02), ebony, sides=9, rings=5))
    parts.append(
        prism([(-0.01, 0.02), (0.01, 0.02), (0.016, 0.11), (-0.016, 0.11)], 0.01, (0, -depth / 2 - 0.008, 0), ebony)
    )
    whole = _strings(merge(parts), (0.15, 0.34, 0.54, -depth / 2), np.array(ebony), 4)
    whole.append(box((0.028, 0.012, 0.26), (0, -depth / 2 - 0.014, 0.36), ebony))
    bow = [
        cylinder(0.005, 0.62, (0, 0, 0.31), (0.40, 0.18, 0.06), sides=6),
        box((0.004, 0.003, 0.58), (-0.022, 0, 0.31), (0.9, 0.88, 0.8)),
        box((0.022, 0.012, 0.03), (-0.012, 0, 0.04), ebony),
    ]
    whole.append(merge(bow).rotated("y", rng.uniform(0.05, 0.3)).moved((rng.uniform(0.15, 0.19), -0.03, 0.0)))
    return merge(whole).rotated("y", rng.uniform(-0.3, 0.3))


@kind("football", "floor")
def football(rng: np.random.Generator) -> Mesh:
    radius, patch = rng.uniform(0.1, 0.12), tint(rng, BLACK, BLACK, BLUE)
    ball = sphere(radius, (0, 0, radius), (0.88, 0.88, 0.86), sides=26, rings=16)
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array([p for a in (-1, 1) for b in (-golden, golden) for p in ((0, a, b), (a, b, 0), (b, 0, a))])
    corners = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    tilt = rng.normal(size=(3, 3))
    corners = corners @ np.linalg.qr(tilt)[0]
    centres = ball.vertices[ball.faces].mean(axis=1) / radius - (0, 0, 1)
    near = np.linalg.norm(centres[:, None] - corners[None], axis=2).min(axis=1)
    colours = ball.colours.copy()
    colours[near < 0.36] = patch
    return Mesh(ball.vertices, ball.faces, colours.astype(np.float32))


@kind("skateboard", "floor")
def skateboard(rng: np.random.Generator) -> Mesh:
    length, width, deck, wheel = (
        rng.uniform(0.74, 0.84),
        rng.uniform(0.19, 0.22),
        tint(rng, BRIGHT),
        tint(rng, WHITE, BRIGHT),
    )
    parts = [
        box((length * 0.68, width, 0.012), (0, 0, 0.1), deck),
        box((length * 0.68, width * 0.98, 0.003), (0, 0, 0.1075), (0.05, 0.05, 0.055)),
    ]
    for i in (-1, 1):
        outline = [
            (0, -width / 2),
            (length * 0.1, -width / 2),
            (length * 0.15, -width * 0.25),
            (length * 0.165, 0),
            (length * 0.15, width * 0.25),
            (length * 0.1, width / 2),
            (0, width / 2),
        ]
        tip = merge(
            [
                prism(outline, 0.012, (0, 0, 0), deck, axis="z"),
                prism(outline, 0.003, (0, 0, 0.0075), (0.05, 0.05, 0.055), axis="z"),
            ]
        ).rotated("y", -0.4)
        parts.append((tip if i > 0 else tip.turned(np.pi)).moved((i * length * 0.34, 0, 0.1)))
        parts.append(cylinder(0.012, width * 0.9, (i * length * 0.24, 0, 0.045), (0.6, 0.61, 0.63), axis="y", sides=7))
        parts.append(box((0.06, 0.06, 0.04), (i * length * 0.24, 0, 0.075), (0.55, 0.56, 0.58)))
        parts += [
            cylinder(0.036, 0.035, (i * length * 0.24, j * width * 0.42, 0.036), wheel, axis="y", sides=12)
            for j in (-1, 1)
        ]
    return merge(parts).turned(rng.uniform(-0.5, 0.5)).rotated("x", rng.choice((-0.6, 0.7)))
