"""Bags, tools, plants, instruments and sports things: none is a class, all are names that the tower knows."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, prism, sphere, torus, tube
from opendas_plugin.office.kinds.palette import (
    BLACK,
    BLUE,
    BRIGHT,
    GOLD,
    GREEN,
    GREY,
    LEATHER,
    METAL,
    RED,
    TERRACOTTA,
    WHITE,
    WOOD,
    tint,
)
from opendas_plugin.office.kinds.registry import kind


def _arc(radius: float, height: float, centre: tuple[float, float, float], count: int = 9) -> np.ndarray:
    """An upright half ellipse of points in the x-z plane."""
    angles = np.linspace(np.pi, 0, count)
    return np.stack([radius * np.cos(angles), np.zeros(count), height * np.sin(angles)], axis=1) + np.asarray(centre)


@kind("handbag", "table")
def handbag(rng: np.random.Generator) -> Mesh:
    width, height, colour = rng.uniform(0.28, 0.36), rng.uniform(0.2, 0.26), tint(rng, LEATHER, RED)
    bottom, top = width / 2, width / 2 * rng.uniform(0.7, 0.85)
    body = prism([(-bottom, 0), (bottom, 0), (top, height), (-top, height)], 0.12, (0, 0, 0), colour)
    flap = prism(
        [(-top, height), (top, height), (top * 0.6, height * 0.45), (-top * 0.6, height * 0.45)],
        0.015,
        (0, -0.068, 0),
        colour * 0.7,
    )
    clasp = box((0.04, 0.02, 0.03), (0, -0.08, height * 0.5), tint(rng, GOLD))
    handle = tube(_arc(top * 0.6, height * 0.6, (0, 0, height)), 0.011, colour * 0.6)
    return merge([body, flap, clasp, handle])


@kind("shopping bag", "floor")
def shopping_bag(rng: np.random.Generator) -> Mesh:
    width, height, colour = rng.uniform(0.28, 0.36), rng.uniform(0.36, 0.46), tint(rng, BRIGHT, WHITE)
    body = box((width, 0.14, height), (0, 0, height / 2), colour)
    mark = tint(rng, WHITE) if colour.mean() < 0.6 else tint(rng, BRIGHT)
    label = cylinder(width * 0.25, 0.01, (0, -0.073, height * 0.5), mark, axis="y")
    handles = [tube(_arc(width * 0.22, 0.13, (0, y, height)), 0.006, mark * 0.8) for y in (-0.06, 0.06)]
    return merge([body, label, *handles])


@kind("wooden crate", "floor")
def wooden_crate(rng: np.random.Generator) -> Mesh:
    width, depth, height, colour = (
        rng.uniform(0.45, 0.6),
        rng.uniform(0.35, 0.45),
        rng.uniform(0.35, 0.45),
        tint(rng, WOOD),
    )
    parts = [box((width * 0.96, depth * 0.96, 0.02), (0, 0, 0.02), colour * 0.8)]
    for row in range(4):
        z, shade = (row + 0.5) * height / 4, colour * rng.uniform(0.85, 1.1)
        parts += [box((width, 0.02, height / 4 * 0.8), (0, s * depth / 2, z), shade) for s in (-1, 1)]
        parts += [box((0.02, depth, height / 4 * 0.8), (s * width / 2, 0, z), shade) for s in (-1, 1)]
    for x in (-1, 1):
        parts += [
            box((0.06, 0.05, height), (x * width * 0.45, y * depth / 2, height / 2), colour * 0.7) for y in (-1, 1)
        ]
    return merge(parts)


@kind("basket", "floor")
def basket(rng: np.random.Generator) -> Mesh:
    radius, height, straw = rng.uniform(0.17, 0.23), rng.uniform(0.2, 0.28), tint(rng, GOLD, WOOD)
    rows = 9
    outside = [(radius * (0.78 + 0.22 * i / rows), height * i / rows) for i in range(rows + 1)]
    shades = [straw * (1.05 if i % 2 else 0.6) for i in range(rows)]
    body = lathe(
        [(0, 0), *outside, (radius * 0.9, height), (radius * 0.7, 0.02), (0, 0.02)],
        [straw, *shades, straw, straw * 0.5, straw * 0.5],
    )
    handle = tube(_arc(radius * 0.95, height * 0.95, (0, 0, height)), 0.013, straw * 0.7)
    return merge([body, handle])


@kind("toolbox", "floor")
def toolbox(rng: np.random.Generator) -> Mesh:
    width, height, colour = rng.uniform(0.42, 0.52), rng.uniform(0.17, 0.22), tint(rng, RED, BLUE)
    body = box((width, 0.2, height), (0, 0, height / 2), colour)
    lid = prism(
        [(-0.1, height), (0.1, height), (0.05, height + 0.07), (-0.05, height + 0.07)],
        width,
        (0, 0, 0),
        colour * 0.8,
        axis="x",
    )
    seam = box((width * 1.01, 0.205, 0.012), (0, 0, height), tint(rng, BLACK))
    clasps = [box((0.05, 0.02, 0.07), (s * width * 0.28, -0.105, height), tint(rng, METAL)) for s in (-1, 1)]
    top = height + 0.07
    handle = [box((width * 0.45, 0.03, 0.025), (0, 0, top + 0.06), tint(rng, BLACK))]
    handle += [box((0.025, 0.03, 0.07), (s * width * 0.21, 0, top + 0.03), tint(rng, BLACK)) for s in (-1, 1)]
    return merge([body, lid, seam, *clasps, *handle])


@kind("bucket", "floor")
def bucket(rng: np.random.Generator) -> Mesh:
    radius, height, colour = (
        rng.uniform(0.14, 0.17),
        rng.uniform(0.27, 0.32),
        tint(rng, BLUE, METAL, ((0.75, 0.6, 0.05),)),
    )
    profile = [
        (0, 0),
        (radius * 0.7, 0),
        (radius, height),
        (radius * 1.06, height),
        (radius * 0.95, height - 0.02),
        (radius * 0.68, 0.02),
        (0, 0.02),
    ]
    body = lathe(profile, [colour, colour, colour * 1.1, colour * 0.8, colour * 0.5, colour * 0.4], sides=18)
    handle = tube(_arc(radius * 1.02, radius * 1.1, (0, -0.05, height)), 0.006, tint(rng, METAL))
    grip = cylinder(0.014, 0.1, (0, -0.05, height + radius * 1.1), tint(rng, BLACK), axis="x")
    return merge([body, handle, grip])


@kind("watering can", "floor")
def watering_can(rng: np.random.Generator) -> Mesh:
    radius, height, colour = rng.uniform(0.11, 0.14), rng.uniform(0.2, 0.25), tint(rng, GREEN, METAL, BLUE)
    body = lathe(
        [(0, 0), (radius, 0), (radius * 0.92, height), (radius * 0.5, height + 0.02), (0, height + 0.02)],
        colour,
        sides=18,
    )
    spout = tube(
        [(-radius * 0.8, 0, 0.05), (-radius * 1.7, 0, height * 0.65), (-radius * 2.5, 0, height * 1.2)],
        0.018,
        colour * 0.85,
    )
    rose = (
        cylinder(0.02, 0.04, (0, 0, 0), colour * 0.7, top=0.055)
        .rotated("y", -0.9)
        .moved((-radius * 2.6, 0, height * 1.27))
    )
    angles = np.linspace(-1.2, 1.9, 10)
    loop = np.stack(
        [radius * 0.75 + 0.12 * np.cos(angles), np.zeros(10), height * 0.62 + 0.13 * np.sin(angles)], axis=1
    )
    return merge([body, spout, rose, tube(loop, 0.013, colour * 0.75)])


@kind("broom", "floor")
def broom(rng: np.random.Generator) -> Mesh:
    length, bristle = rng.uniform(1.1, 1.3), tint(rng, GOLD, GREEN, BLUE)
    stick = cylinder(0.016, length, (0, 0, 0.2 + length / 2), tint(rng, WOOD, RED), sides=8)
    head = prism([(-0.18, 0), (0.18, 0), (0.1, 0.2), (-0.1, 0.2)], 0.07, (0, 0, 0), bristle)
    strokes = [box((0.006, 0.074, 0.17), (x, 0, 0.085), bristle * 0.6) for x in np.linspace(-0.12, 0.12, 6)]
    band = box((0.22, 0.08, 0.05), (0, 0, 0.2), tint(rng, BLACK, RED))
    return merge([stick, head, *strokes, band]).rotated("y", rng.uniform(-0.25, 0.25))


@kind("traffic cone", "floor")
def traffic_cone(rng: np.random.Generator) -> Mesh:
    height, orange, white = (
        rng.uniform(0.45, 0.7),
        np.array((0.85, 0.22, 0.03)) * rng.uniform(0.85, 1.1),
        tint(rng, WHITE),
    )
    cuts = np.array([0, 0.3, 0.5, 0.65, 0.8, 1.0])
    profile = [(0.13 - 0.105 * c, 0.03 + height * c) for c in cuts]
    cone = lathe(
        [(0, 0.03), *profile, (0, 0.03 + height)],
        [orange, orange, white, orange, white, orange, orange * 0.6],
        sides=16,
    )
    return merge([box((0.36, 0.36, 0.03), (0, 0, 0.015), orange * 0.7), cone])


@kind("tripod", "floor")
def tripod(rng: np.random.Generator) -> Mesh:
    height, reach, colour = rng.uniform(1.1, 1.4), rng.uniform(0.4, 0.5), tint(rng, BLACK, METAL)
    start, parts = rng.uniform(0, 2), []
    for angle in start + np.arange(3) * 2 * np.pi / 3:
        foot = np.array((np.cos(angle) * reach, np.sin(angle) * reach, 0.0))
        knee = np.array((0, 0, height * 0.75)) * 0.5 + foot * 0.5
        parts += [tube([(0, 0, height * 0.75), knee], 0.024, colour), tube([knee, foot], 0.016, tint(rng, METAL))]
    parts += [
        cylinder(0.022, height * 0.4, (0, 0, height * 0.8), tint(rng, METAL)),
        cylinder(0.045, 0.05, (0, 0, height * 0.75), colour),
    ]
    parts += [
        box((0.13, 0.1, 0.035), (0, 0, height + 0.01), colour),
        tube([(0, 0, height), (0.2, 0.1, height - 0.12)], 0.012, colour),
    ]
    return merge(parts)


@kind("dartboard", "wall")
def dartboard(rng: np.random.Generator) -> Mesh:
    radius, parts, thick = rng.uniform(0.2, 0.24), [], 0.03
    parts.append(cylinder(radius, thick, (0, -thick / 2, radius), tint(rng, BLACK), axis="y", sides=40))
    dark, light, red, green = tint(rng, BLACK), np.array((0.8, 0.7, 0.5)), tint(rng, RED), tint(rng, GREEN)
    edges = np.linspace(0, 2 * np.pi, 21)
    for i in range(20):
        corners = lambda r, i=i: [(r * np.cos(edges[i + k]), r * np.sin(edges[i + k])) for k in (0, 1)]  # noqa: E731
        for low, high, colour in (
            (0.1, 0.78, light if i % 2 else dark),
            (0.78, 0.86, green if i % 2 else red),
            (0.45, 0.52, green if i % 2 else red),
        ):
            inner, outer = corners(low * radius), corners(high * radius)
            y = -thick - (0.003 if colour is light or colour is dark else 0.005)
            parts.append(prism([inner[0], outer[0], outer[1], inner[1]], 0.003, (0, y, radius), colour))
    parts.append(cylinder(radius * 0.1, 0.012, (0, -thick - 0.004, radius), red, axis="y"))
    return merge(parts)


@kind("hat", "table")
def hat(rng: np.random.Generator) -> Mesh:
    brim, crown, height, colour = (
        rng.uniform(0.17, 0.22),
        rng.uniform(0.09, 0.11),
        rng.uniform(0.11, 0.15),
        tint(rng, WOOD, LEATHER, GREY),
    )
    band = tint(rng, BLACK, RED)
    profile = [
        (0, 0),
        (brim, 0.015),
        (brim, 0.02),
        (crown, 0.022),
        (crown * 0.98, 0.06),
        (crown * 0.85, height),
        (crown * 0.4, height - 0.02),
        (0, height - 0.02),
    ]
    return lathe(profile, [colour, colour, colour, band, colour, colour, colour * 0.9], sides=22)


@kind("helmet", "table")
def helmet(rng: np.random.Generator) -> Mesh:
    radius, colour = rng.uniform(0.13, 0.15), tint(rng, BRIGHT)
    angles = np.linspace(0, np.pi / 2, 7)
    shell = lathe(
        [
            (0, 0.0),
            *[(radius * np.cos(a), 0.06 + radius * np.sin(a) * 0.95) for a in angles[:-1]],
            (0, 0.06 + radius * 0.95),
        ],
        colour,
        sides=20,
    )
    visor = prism(
        [
            (-radius, -radius * 0.4),
            (-radius * 0.75, -radius * 1.5),
            (radius * 0.75, -radius * 1.5),
            (radius, -radius * 0.4),
        ],
        0.012,
        (0, 0, 0.06),
        colour * 0.85,
        axis="z",
    )
    vents = [
        box((0.018, radius * 1.2, 0.03), (x, -radius * 0.25, 0.06 + radius * 0.85), tint(rng, BLACK))
        for x in (-0.05, 0, 0.05)
    ]
    straps = [
        tube([(s * radius * 0.95, 0, 0.07), (s * radius * 0.6, -0.02, 0)], 0.006, tint(rng, BLACK)) for s in (-1, 1)
    ]
    return merge([shell, visor, *vents, *straps])


@kind("football", "floor")
def football(rng: np.random.Generator) -> Mesh:
    radius, white, black = 0.11, tint(rng, WHITE), tint(rng, BLACK)
    ball = sphere(radius, (0, 0, radius), white, sides=20, rings=14)
    golden = (1 + 5**0.5) / 2
    spots = [(0, s, t * golden) for s in (-1, 1) for t in (-1, 1)]
    spots = [p[k:] + p[:k] for p in spots for k in range(3)]
    pentagons = []
    for spot in np.asarray(spots) / np.hypot(1, golden):
        a = np.cross(spot, (0.3, 0.8, 0.52))
        a /= np.linalg.norm(a)
        b = np.cross(spot, a)
        ring = [
            radius * 0.37 * (np.cos(t) * a + np.sin(t) * b) + radius * 0.96 * spot for t in np.arange(5) * 2 * np.pi / 5
        ]
        vertices = np.asarray([radius * 1.02 * spot, *ring], dtype=np.float32) + np.asarray(
            (0, 0, radius), dtype=np.float32
        )
        faces = np.asarray([(0, 1 + i, 1 + (i + 1) % 5) for i in range(5)], dtype=np.int32)
        pentagons.append(Mesh(vertices, faces, np.tile(black.astype(np.float32), (5, 1))))
    return (
        merge([ball, *pentagons])
        .moved((0, 0, -radius))
        .rotated("x", rng.uniform(0, 3))
        .turned(rng.uniform(0, 3))
        .standing()
    )


@kind("skateboard", "floor")
def skateboard(rng: np.random.Generator) -> Mesh:
    length, width, colour = rng.uniform(0.72, 0.82), rng.uniform(0.19, 0.22), tint(rng, BRIGHT)
    deck = box((length * 0.7, width, 0.018), (0, 0, 0.1), colour)
    ends = [
        box((length * 0.17, width * 0.9, 0.018), (0, 0, 0), colour * 0.9)
        .rotated("y", -s * 0.4)
        .moved((s * length * 0.42, 0, 0.13))
        for s in (-1, 1)
    ]
    grip = box((length * 0.66, width * 0.9, 0.004), (0, 0, 0.111), tint(rng, BLACK))
    wheels = [
        cylinder(0.032, 0.035, (x * length * 0.26, y * width * 0.42, 0.032), tint(rng, WHITE, BRIGHT), axis="y")
        for x in (-1, 1)
        for y in (-1, 1)
    ]
    axles = [box((0.05, width * 0.8, 0.03), (x * length * 0.26, 0, 0.06), tint(rng, METAL)) for x in (-1, 1)]
    return merge([deck, *ends, grip, *wheels, *axles])


@kind("cactus", "table")
def cactus(rng: np.random.Generator) -> Mesh:
    height, thick, green, pot = (
        rng.uniform(0.25, 0.4),
        rng.uniform(0.035, 0.05),
        tint(rng, GREEN),
        tint(rng, TERRACOTTA, WHITE),
    )
    parts = [
        cylinder(0.06, 0.1, (0, 0, 0.05), pot, top=0.08),
        cylinder(0.075, 0.01, (0, 0, 0.1), np.array((0.2, 0.12, 0.07))),
    ]
    ribs = np.tile(np.stack([green, green * 0.55]), (4, 1))[:7]
    parts += [
        cylinder(thick * 0.95, height, (0, 0, 0.1 + height / 2), green, sides=10),
        sphere(thick, (0, 0, 0.1 + height), green),
    ]
    parts += [box((0.006, thick * 2.02, height), (x * thick * 0.6, 0, 0.1 + height / 2), ribs[1]) for x in (-1, 0, 1)]
    for side in (-1, 1)[: rng.integers(1, 3)]:
        z = 0.1 + height * rng.uniform(0.4, 0.6)
        path = [
            (0, 0, z),
            (side * thick * 1.9, 0, z),
            (side * thick * 2.4, 0, z + 0.03),
            (side * thick * 2.4, 0, z + height * 0.35),
        ]
        parts += [tube(path, thick * 0.6, green), sphere(thick * 0.6, path[-1], green)]
    return merge(parts)


@kind("flower", "table")
def flower(rng: np.random.Generator) -> Mesh:
    height, petal, count = rng.uniform(0.3, 0.42), tint(rng, BRIGHT[:1], BRIGHT[5:], WHITE), int(rng.integers(6, 9))
    stem = tube([(0, 0, 0), (rng.uniform(-0.03, 0.03), 0, height / 2), (0, 0, height)], 0.008, tint(rng, GREEN))
    leaves = [
        sphere((0.06, 0.012, 0.022), (s * 0.06, 0, height * z), tint(rng, GREEN), sides=8, rings=5)
        for s, z in ((-1, 0.3), (1, 0.45))
    ]
    head = [sphere(0.035, (0, -0.012, height), np.array((0.85, 0.6, 0.05)))]
    for angle in np.arange(count) * 2 * np.pi / count:
        leaf = sphere((0.045, 0.008, 0.026), (0.065, 0, 0), petal, sides=8, rings=5)
        head.append(leaf.rotated("y", angle).moved((0, 0, height)))
    return merge([stem, *leaves, *head])


@kind("tree", "floor")
def tree(rng: np.random.Generator) -> Mesh:
    height, green = rng.uniform(1.6, 2.2), tint(rng, GREEN)
    parts = [cylinder(0.09, height * 0.5, (0, 0, height * 0.25), tint(rng, WOOD[:2]), top=0.06, sides=9)]
    if rng.random() < 0.5:
        tiers = np.linspace(0.3, 0.75, 4)
        parts += [
            cylinder(
                0.62 * (1.1 - t), height * 0.33, (0, 0, height * (t + 0.12)), green * (0.8 + 0.3 * t), top=0.0, sides=12
            )
            for t in tiers
        ]
    else:
        for _ in range(7):
            at = rng.normal(0, 0.17, 3) * (1.2, 1.2, 0.8) + (0, 0, height * 0.72)
            parts.append(sphere(rng.uniform(0.25, 0.36), at, green * rng.uniform(0.75, 1.25), sides=9, rings=6))
    return merge(parts)


@kind("piano", "floor")
def piano(rng: np.random.Generator) -> Mesh:
    width, height, colour = rng.uniform(1.35, 1.5), rng.uniform(1.1, 1.25), tint(rng, BLACK, LEATHER)
    parts = [
        box((width, 0.3, height), (0, 0.15, height / 2), colour),
        box((width, 0.32, 0.12), (0, -0.14, 0.64), colour),
    ]
    parts += [box((0.08, 0.3, 0.6), (s * (width / 2 - 0.04), -0.14, 0.3), colour) for s in (-1, 1)]
    parts.append(box((width * 0.9, 0.18, 0.02), (0, -0.19, 0.715), tint(rng, WHITE)))
    keys = np.linspace(-0.43, 0.43, 30) * width
    parts += [
        box((0.02, 0.1, 0.03), (x, -0.15, 0.73), tint(rng, BLACK)) for i, x in enumerate(keys) if i % 7 not in (2, 6)
    ]
    parts += [
        box((width * 0.4, 0.03, 0.22), (0, -0.03, 0.92), colour * 1.4),
        box((0.2, 0.005, 0.18), (0, -0.05, 0.93), tint(rng, WHITE)),
    ]
    parts += [box((0.03, 0.1, 0.02), (x, -0.03, 0.03), tint(rng, GOLD)) for x in (-0.08, 0, 0.08)]
    return merge(parts)


@kind("drum", "floor")
def drum(rng: np.random.Generator) -> Mesh:
    radius, height, colour, steel = (
        rng.uniform(0.2, 0.27),
        rng.uniform(0.25, 0.38),
        tint(rng, RED, BLUE),
        tint(rng, GOLD, METAL),
    )
    profile = [
        (0, 0),
        (radius, 0),
        (radius, 0.03),
        (radius * 0.97, 0.03),
        (radius * 0.97, height - 0.03),
        (radius, height - 0.03),
        (radius, height),
        (0, height),
    ]
    body = lathe(profile, [steel, steel, steel, colour, steel, steel, tint(rng, WHITE)], sides=24)
    rods = []
    for angle in np.arange(8) * np.pi / 4:
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        rods.append(cylinder(0.008, height, (x, y, height / 2), steel, sides=6))
    sticks = [
        tube([(-0.15, s * 0.05, height + 0.01), (0.25, -s * 0.1, height + 0.05)], 0.009, tint(rng, WOOD))
        for s in (-1, 1)
    ]
    return merge([body, *rods, *sticks])


@kind("violin", "floor")
def violin(rng: np.random.Generator) -> Mesh:
    wood = np.array((0.55, 0.20, 0.06)) * rng.uniform(0.7, 1.2)
    parts = [
        sphere((0.105, 0.025, 0.11), (0, 0, 0.12), wood, sides=16),
        sphere((0.085, 0.025, 0.09), (0, 0, 0.3), wood, sides=16),
    ]
    parts.append(box((0.12, 0.045, 0.14), (0, 0, 0.21), wood * 0.9))
    parts.append(box((0.028, 0.03, 0.3), (0, -0.02, 0.46), tint(rng, BLACK)))
    parts.append(torus(0.018, 0.012, (0, -0.01, 0.63), wood * 0.7, axis="x"))
    parts += [box((0.012, 0.008, 0.07), (s * 0.055, -0.028, 0.2), tint(rng, BLACK)) for s in (-1, 1)]
    parts += [
        box((0.05, 0.02, 0.008), (0, -0.03, 0.17), tint(rng, WOOD[3:])),
        box((0.03, 0.012, 0.1), (0, -0.028, 0.09), tint(rng, BLACK)),
    ]
    parts += [box((0.05, 0.012, 0.01), (s * 0.03, -0.01, 0.6 - 0.03 * (s + 1)), tint(rng, BLACK)) for s in (-1, 1)]
    bow = tube([(0.15, -0.01, 0.0), (0.2, -0.01, 0.62)], 0.006, wood * 0.6)
    return merge([*parts, bow]).scaled(rng.uniform(1.0, 1.15))
