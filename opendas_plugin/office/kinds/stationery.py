"""Paper, books and desk things."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, panel, prism, sphere, torus, tube
from opendas_plugin.office.kinds.palette import (
    BLACK,
    BRIGHT,
    CARTON,
    GOLD,
    GREEN,
    GREY,
    LEATHER,
    METAL,
    RED,
    WHITE,
    WOOD,
    grain,
    tint,
)
from opendas_plugin.office.kinds.parts import text_lines
from opendas_plugin.office.kinds.registry import kind

PAPER = (0.90, 0.89, 0.85)
GLASS = ((0.62, 0.74, 0.78), (0.70, 0.78, 0.80), (0.55, 0.70, 0.72))


def _open_book(rng: np.random.Generator) -> Mesh:
    width, depth, cover = rng.uniform(0.15, 0.19), rng.uniform(0.2, 0.26), tint(rng, BRIGHT, LEATHER)
    parts = []
    for i in (-1, 1):
        half = [
            box((width, depth, 0.004), (width / 2, 0, 0), cover),
            box((width * 0.96, depth * 0.95, 0.02), (width / 2, 0, 0.012), PAPER),
        ]
        page = text_lines(rng, 17, 8, PAPER, (0.35, 0.35, 0.36))
        half.append(panel(page, width * 0.92, depth * 0.93, (width / 2, 0, 0.0235), facing="+z"))
        mesh = merge(half).rotated("y", -0.14)
        parts.append(mesh if i > 0 else mesh.turned(np.pi))
    return merge(parts).turned(rng.uniform(-0.4, 0.4))


@kind("book", "table")
def book(rng: np.random.Generator) -> Mesh:
    if rng.random() < 0.35:
        return _open_book(rng)
    parts, z = [], 0.0
    for _ in range(1 if rng.random() < 0.5 else int(rng.integers(2, 4))):
        width, depth, thick, cover = (
            rng.uniform(0.15, 0.2),
            rng.uniform(0.21, 0.27),
            rng.uniform(0.025, 0.055),
            tint(rng, BRIGHT, LEATHER, GREEN),
        )
        one = [box((width, depth, 0.004), (0, 0, h), cover) for h in (0.002, thick)]
        one.append(box((width * 0.97, depth * 0.96, thick - 0.004), (width * 0.01, 0, thick / 2), PAPER))
        one.append(box((0.006, depth, thick), (-width / 2, 0, thick / 2), cover * 0.85))
        one.append(box((width * 0.6, depth * 0.12, 0.002), (0.01, depth * 0.2, thick + 0.002), (0.88, 0.75, 0.35)))
        one.append(box((width * 0.4, depth * 0.05, 0.002), (0.01, -depth * 0.25, thick + 0.002), (0.88, 0.75, 0.35)))
        parts.append(merge(one).turned(rng.uniform(-0.3, 0.3)).moved((0, 0, z)))
        z += thick + 0.003
    return merge(parts).turned(rng.uniform(-0.5, 1.2))


@kind("notebook", "table")
def notebook(rng: np.random.Generator) -> Mesh:
    width, height, cover = rng.uniform(0.15, 0.2), rng.uniform(0.21, 0.27), tint(rng, BRIGHT)
    lined = rng.random() < 0.5
    parts = [
        box((width, height, 0.008), (0, 0, 0.004), cover),
        box((width * 0.97, height * 0.97, 0.006), (0, 0, 0.01), PAPER),
    ]
    if lined:
        page = np.full((23, 12, 3), 0.9)
        page[2::2] = (0.45, 0.60, 0.85)
        page[:, 2] = (0.85, 0.3, 0.3)
        parts.append(panel(page, width * 0.96, height * 0.96, (0, 0, 0.0135), facing="+z"))
    else:
        parts.append(box((width, height, 0.003), (0, 0, 0.0145), cover))
        parts.append(box((width * 0.6, height * 0.22, 0.001), (0.01, height * 0.18, 0.0165), (0.92, 0.92, 0.9)))
    parts += [
        torus(0.009, 0.0022, (-width / 2, (i - 4) * height / 10, 0.009), (0.12, 0.12, 0.13), axis="y", sides=7)
        for i in range(9)
    ]
    pencil = cylinder(0.0045, 0.15, (0, 0, 0), (0.90, 0.65, 0.05), axis="y", sides=6)
    tip = cylinder(0.0045, 0.014, (0, 0.082, 0), (0.85, 0.68, 0.45), top=0.0, axis="y", sides=6)
    parts.append(merge([pencil, tip]).turned(rng.uniform(-0.6, 0.6)).moved((width * 0.2, 0, 0.021)))
    return merge(parts).turned(rng.uniform(-0.4, 0.4))


@kind("binder", "table")
def binder(rng: np.random.Generator) -> Mesh:
    count, parts = int(rng.integers(1, 4)), []
    for i in range(count):
        thick, depth, height, cover = rng.uniform(0.06, 0.08), 0.26, 0.31, tint(rng, BRIGHT, BLACK)
        one = [box((0.004, depth, height), (j * thick / 2, 0, height / 2), cover) for j in (-1, 1)]
        one.append(box((thick, 0.005, height), (0, -depth / 2, height / 2), cover))
        one.append(box((thick * 0.8, depth * 0.9, height * 0.93), (0, 0.004, height * 0.48), PAPER))
        one.append(
            box((thick * 0.72, 0.003, height * 0.36), (0, -depth / 2 - 0.003, height * 0.68), (0.93, 0.93, 0.91))
        )
        one += [
            box((thick * 0.5, 0.002, 0.008), (0, -depth / 2 - 0.005, height * z), (0.1, 0.1, 0.1))
            for z in (0.76, 0.7, 0.64)
        ]
        one.append(torus(0.016, 0.004, (0, -depth / 2 - 0.003, height * 0.2), (0.75, 0.75, 0.77), axis="y", sides=12))
        one.append(
            cylinder(0.014, 0.002, (0, -depth / 2 - 0.003, height * 0.2), (0.02, 0.02, 0.02), axis="y", sides=12)
        )
        parts.append(merge(one).moved(((i - (count - 1) / 2) * 0.086, 0, 0)))
    return merge(parts).turned(rng.uniform(-0.3, 0.3))


@kind("envelope", "table")
def envelope(rng: np.random.Generator) -> Mesh:
    width, height, paper = (
        rng.uniform(0.2, 0.24),
        rng.uniform(0.11, 0.15),
        tint(rng, WHITE, CARTON, ((0.80, 0.70, 0.50),)),
    )
    parts = [box((width, 0.003, height), (0, 0, height / 2), paper)]
    if rng.random() < 0.65:
        flap = [(-width / 2, height), (0, height * 0.42), (width / 2, height)]
        parts.append(prism(flap, 0.002, (0, -0.003, 0), paper * 0.82))
        for i in (-1, 1):
            parts.append(
                prism(
                    [(i * width / 2, 0), (i * width / 2, 0.006), (0, height * 0.5), (0, height * 0.46)],
                    0.001,
                    (0, -0.0025, 0),
                    paper * 0.6,
                )
            )
        parts.append(cylinder(0.014, 0.004, (0, -0.005, height * 0.47), tint(rng, RED), axis="y", sides=12))
    else:
        parts.append(box((width * 0.13, 0.002, height * 0.26), (width * 0.39, -0.002, height * 0.8), tint(rng, BRIGHT)))
        parts += [
            box((width * s, 0.002, height * 0.045), (width * 0.02, -0.002, height * z), (0.1, 0.12, 0.3))
            for s, z in ((0.4, 0.5), (0.36, 0.38), (0.28, 0.26))
        ]
    return merge(parts).rotated("x", -0.4).rotated("y", rng.uniform(-0.3, 0.3))


@kind("newspaper", "table")
def newspaper(rng: np.random.Generator) -> Mesh:
    width, height, paper = (
        rng.uniform(0.28, 0.34),
        rng.uniform(0.36, 0.44),
        np.array((0.74, 0.72, 0.66)) * rng.uniform(0.9, 1.1),
    )
    page = np.broadcast_to(paper, (25, 19, 3)).copy()
    page[1:3, 2:-2] = (0.08, 0.08, 0.08)
    page[2, 4:-4:3] = paper
    for column in (1, 7, 13):
        page[6:-1:2, column : column + 5] = paper * 0.45
    top, left = int(rng.integers(6, 14)), int(rng.choice((1, 7)))
    page[top : top + 6, left : left + 11] = grain(rng, np.array((0.3, 0.3, 0.3)), (6, 11), 0.5)
    page[4, 2 : int(rng.integers(9, 17))] = (0.12, 0.12, 0.12)
    parts = [
        panel(page, width, height, (0, 0, 0.012), facing="+z"),
        box((width, height, 0.01), (0, 0, 0.006), paper * 0.85),
    ]
    return merge(parts).turned(rng.uniform(-0.35, 0.35)).rotated("x", rng.uniform(0.3, 0.8))


@kind("paper tray", "table")
def paper_tray(rng: np.random.Generator) -> Mesh:
    width, depth, levels, plastic = 0.25, 0.33, int(rng.integers(2, 4)), tint(rng, BLACK, GREY, BRIGHT)
    gap, parts = rng.uniform(0.065, 0.08), []
    for level in range(levels):
        z = level * gap + 0.01
        parts.append(box((width, depth, 0.006), (0, 0, z), plastic))
        parts += [box((0.006, depth, 0.035), (i * width / 2, 0, z + 0.017), plastic * 0.9) for i in (-1, 1)]
        parts.append(box((width, 0.006, 0.035), (0, depth / 2, z + 0.017), plastic * 0.8))
        parts += [box((width * 0.3, 0.006, 0.03), (i * width * 0.35, -depth / 2, z + 0.014), plastic) for i in (-1, 1)]
        sheets = rng.uniform(0.004, 0.03)
        parts.append(
            box(
                (width * 0.86, depth * 0.93, sheets),
                (rng.uniform(-0.008, 0.008), rng.uniform(-0.03, 0), z + 0.004 + sheets / 2),
                (0.92, 0.92, 0.9),
            )
        )
    for i in (-1, 1):
        for j in (-1, 1):
            parts.append(
                box(
                    (0.01, 0.012, levels * gap - 0.02),
                    (i * width / 2, j * depth * 0.45, levels * gap / 2),
                    (0.5, 0.5, 0.52),
                )
            )
    return merge(parts).turned(rng.uniform(-0.3, 0.3))


@kind("stapler", "table")
def stapler(rng: np.random.Generator) -> Mesh:
    length, body = rng.uniform(0.14, 0.17), tint(rng, RED, BLACK, BRIGHT)
    parts = [
        box((length, 0.036, 0.012), (0, 0, 0.006), (0.06, 0.06, 0.065)),
        box((length * 0.9, 0.02, 0.012), (length * 0.03, 0, 0.03), (0.65, 0.66, 0.68)),
    ]
    outline = [(-0.5, 0.2), (0.46, 0.12), (0.5, 0.2), (0.48, 0.3), (0.1, 0.42), (-0.42, 0.38), (-0.5, 0.3)]
    parts.append(prism(np.asarray(outline) * length, 0.034, (0, 0, 0.012), body))
    parts.append(box((0.02, 0.038, 0.05), (-length * 0.42, 0, 0.03), body * 0.7))
    parts.append(box((0.014, 0.014, 0.003), (length * 0.42, 0, 0.014), (0.7, 0.7, 0.72)))
    return merge(parts).turned(rng.choice((0, np.pi)) + rng.uniform(-0.4, 0.4))


@kind("typewriter", "table")
def typewriter(rng: np.random.Generator) -> Mesh:
    width, depth, body = rng.uniform(0.32, 0.37), 0.3, tint(rng, BLACK, GREEN, ((0.15, 0.42, 0.42), (0.55, 0.12, 0.10)))
    outline = [(-0.5, 0), (0.5, 0), (0.5, 0.42), (0.05, 0.42), (-0.5, 0.12)]
    parts = [prism(np.asarray(outline) * (depth, depth), width, (0, 0, 0), body, axis="x")]
    for row in range(4):
        y = -depth * 0.44 + row * depth * 0.11
        for column in range(10):
            x = (column - 4.5 + 0.2 * (row % 2)) * width * 0.088
            parts.append(cylinder(0.0105, 0.014, (x, y, 0.052 + row * 0.019), (0.88, 0.86, 0.78), sides=7))
    z = depth * 0.42 + 0.03
    parts.append(cylinder(0.026, width * 1.12, (0, depth * 0.26, z), (0.05, 0.05, 0.05), axis="x", sides=10))
    parts += [
        cylinder(0.034, 0.02, (i * width * 0.58, depth * 0.26, z), (0.3, 0.3, 0.31), axis="x", sides=12)
        for i in (-1, 1)
    ]
    sheet = panel(text_lines(rng, 11, 12, PAPER, (0.3, 0.3, 0.3)), width * 0.66, 0.2, (0, 0, 0.1)).rotated("x", -0.25)
    parts.append(sheet.moved((0, depth * 0.25, z)))
    parts.append(
        box((width * 0.66, 0.003, 0.2), (0, 0.004, 0.1), PAPER).rotated("x", -0.25).moved((0, depth * 0.25, z))
    )
    parts.append(
        tube([(-width * 0.56, depth * 0.2, z), (-width * 0.62, 0.0, z + 0.02)], 0.005, (0.75, 0.75, 0.77), sides=5)
    )
    return merge(parts)


@kind("globe", "table")
def globe(rng: np.random.Generator) -> Mesh:
    radius, stand = rng.uniform(0.12, 0.16), tint(rng, WOOD, GOLD, BLACK)
    ball = sphere(radius, (0, 0, 0), tint(rng, ((0.08, 0.28, 0.62), (0.15, 0.42, 0.70))), sides=24, rings=16)
    centres = ball.vertices[ball.faces].mean(axis=1) / radius
    colours = ball.colours.copy()
    for _ in range(7):
        direction = rng.normal(size=3) * (1, 1, 0.6)
        direction /= np.linalg.norm(direction)
        land = np.linalg.norm(centres - direction, axis=1) < rng.uniform(0.3, 0.6)
        colours[land] = tint(rng, ((0.18, 0.48, 0.12), (0.60, 0.52, 0.22), (0.30, 0.55, 0.20)))
    colours[np.abs(centres[:, 2]) > 0.92] = (0.9, 0.92, 0.93)
    globe_ = Mesh(ball.vertices, ball.faces, colours.astype(np.float32)).turned(rng.uniform(0, 6)).rotated("y", 0.4)
    height = radius * 1.55
    angles = np.linspace(-np.pi / 2, np.pi / 2, 12)
    arc = [(radius * 1.1 * np.cos(t), 0, height + radius * 1.1 * np.sin(t)) for t in angles]
    parts = [
        globe_.moved((0, 0, height)),
        tube(arc, 0.008, stand, sides=6),
        cylinder(0.014, radius * 0.5, (0, 0, radius * 0.25), stand, sides=8),
    ]
    parts += [
        cylinder(radius * 0.62, 0.02, (0, 0, 0.01), stand, top=radius * 0.5, sides=18),
        sphere(0.016, (0, 0, height + radius * 1.1), stand, sides=7, rings=5),
    ]
    return merge(parts).turned(rng.choice((0, np.pi)))


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
