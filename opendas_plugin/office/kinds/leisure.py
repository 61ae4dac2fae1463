"""Instruments and sports things."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, merge, panel, prism, sphere, torus, tube
from opendas_plugin.office.kinds.palette import BLACK, BLUE, BRIGHT, GOLD, METAL, WHITE, WOOD, tint
from opendas_plugin.office.kinds.registry import kind


@kind("piano")
def piano(rng: np.random.Generator) -> Mesh:
    width, height, depth = rng.uniform(1.35, 1.5), rng.uniform(1.05, 1.25), 0.36
    body = tint(rng, BLACK, ((0.28, 0.12, 0.06),), WOOD[:1])
    parts = [
        box((width, depth, height), (0, 0.1, height / 2), body),
        box((width * 1.04, depth * 1.15, 0.04), (0, 0.08, height), body * 0.8),
    ]
    parts.append(box((width, 0.34, 0.1), (0, -0.22, 0.62), body))
    parts += [box((0.07, 0.3, 0.6), (i * width * 0.46, -0.2, 0.3), body) for i in (-1, 1)]
    keys = 28
    ivory = np.full((1, keys, 3), 0.9)
    ivory[:, ::2] *= 0.86
    parts.append(panel(ivory, width * 0.9, 0.2, (0, -0.28, 0.675), facing="+z"))
    for key in range(keys - 1):
        if key % 7 not in (2, 6):
            parts.append(
                box((0.022, 0.12, 0.03), ((key + 1 - keys / 2) * width * 0.9 / keys, -0.24, 0.69), (0.03, 0.03, 0.03))
            )
    parts.append(box((width * 0.45, 0.03, 0.2), (0, -0.1, 0.9), body * 1.4))
    parts.append(box((width * 0.2, 0.01, 0.17), (0.08, -0.125, 0.91), (0.88, 0.88, 0.84)))
    parts += [box((0.05, 0.08, 0.02), (x, -0.14, 0.06), (0.75, 0.55, 0.15)) for x in (-0.08, 0.0, 0.08)]
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
