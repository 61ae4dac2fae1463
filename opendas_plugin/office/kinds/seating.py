"""What people sit and lie on."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, lathe, merge, prism, sphere, tube
from opendas_plugin.office.kinds.palette import BLACK, BRIGHT, FABRIC, GREY, LEATHER, METAL, PASTEL, WHITE, WOOD, tint
from opendas_plugin.office.kinds.parts import legs
from opendas_plugin.office.kinds.registry import kind


@kind("office chair")
def office_chair(rng: np.random.Generator) -> Mesh:
    seat, width, back = rng.uniform(0.44, 0.52), rng.uniform(0.46, 0.54), rng.uniform(0.5, 0.65)
    fabric, black = tint(rng, BLACK, BLACK, FABRIC), tint(rng, BLACK, GREY)
    parts = []
    for arm in range(5):
        angle = 2 * np.pi * arm / 5 + 0.3
        tip = np.array((0.31 * np.cos(angle), 0.31 * np.sin(angle), 0.07))
        parts.append(tube([(0, 0, 0.12), tip], 0.025, black, sides=5))
        parts.append(sphere(0.035, (*tip[:2], 0.035), (0.03, 0.03, 0.03), sides=7, rings=5))
    parts.append(cylinder(0.03, seat - 0.12, (0, 0, (seat + 0.12) / 2), tint(rng, METAL)))
    parts.append(box((width, width * 0.95, 0.09), (0, 0, seat), fabric))
    parts.append(box((0.07, 0.04, 0.3), (0, width * 0.5, seat + 0.1), black))
    parts.append(
        box((width * 0.9, 0.07, back), (0, 0, back / 2), fabric * 0.9)
        .rotated("x", -0.12)
        .moved((0, width * 0.48, seat + 0.12))
    )
    if rng.random() < 0.75:
        for i in (-1, 1):
            parts.append(box((0.04, 0.05, 0.22), (i * (width / 2 + 0.03), 0.02, seat + 0.1), black))
            parts.append(box((0.06, 0.28, 0.04), (i * (width / 2 + 0.03), 0, seat + 0.22), black))
    return merge(parts)


@kind("stool")
def stool(rng: np.random.Generator) -> Mesh:
    height, radius, wood = rng.uniform(0.55, 0.78), rng.uniform(0.16, 0.21), tint(rng, WOOD, WOOD, METAL)
    top = tint(rng, LEATHER, BRIGHT) if rng.random() < 0.4 else wood
    parts = [cylinder(radius, 0.05, (0, 0, height - 0.025), top, sides=18)]
    count = int(rng.integers(3, 5))
    feet = []
    for leg in range(count):
        angle = 2 * np.pi * leg / count + 0.6
        direction = np.array((np.cos(angle), np.sin(angle), 0))
        feet.append(direction)
        parts.append(
            tube(
                [direction * radius * 1.25 + (0, 0, 0.0), direction * radius * 0.7 + (0, 0, height - 0.04)],
                0.02,
                wood,
                sides=6,
            )
        )
    low = height * 0.3
    for first, second in zip(feet, feet[1:] + feet[:1], strict=True):
        parts.append(
            tube(
                [first * radius * 1.08 + (0, 0, low), second * radius * 1.08 + (0, 0, low)], 0.013, wood * 0.85, sides=5
            )
        )
    return merge(parts)


@kind("folding chair")
def folding_chair(rng: np.random.Generator) -> Mesh:
    width, seat = rng.uniform(0.4, 0.46), rng.uniform(0.43, 0.47)
    metal, pad = tint(rng, METAL, GREY), tint(rng, BRIGHT, METAL, ((0.60, 0.50, 0.35),))
    parts = []
    for i in (-1, 1):
        x = i * width / 2
        parts.append(tube([(x, -0.28, 0), (x, 0.22, 0.85)], 0.014, metal, sides=6))
        parts.append(tube([(x * 0.9, 0.3, 0), (x * 0.9, -0.16, seat)], 0.014, metal, sides=6))
    parts.append(box((width, 0.38, 0.025), (0, 0, seat), pad))
    parts.append(box((width, 0.025, 0.2), (0, 0.19, 0.77), pad))
    parts += [
        tube([(-width / 2, y, z), (width / 2, y, z)], 0.01, metal, sides=5) for y, z in ((-0.2, 0.13), (0.25, 0.07))
    ]
    return merge(parts)


@kind("rocking chair")
def rocking_chair(rng: np.random.Generator) -> Mesh:
    width, seat, wood = rng.uniform(0.5, 0.58), 0.42, tint(rng, WOOD)
    curve = [(0, y, 0.55 * (y - 0.05) ** 2) for y in np.linspace(-0.48, 0.58, 10)]
    parts = []
    for i in (-1, 1):
        x = i * width / 2
        parts.append(tube(np.add(curve, (x, 0, 0.02)), 0.022, wood * 0.85, sides=6))
        parts.append(tube([(x, -0.24, 0.06), (x, -0.24, 0.62)], 0.02, wood, sides=6))
        parts.append(tube([(x, 0.22, 0.03), (x, 0.22, seat), (x, 0.42, 1.12)], 0.02, wood, sides=6))
        parts.append(box((0.06, 0.52, 0.03), (x, 0.0, 0.64), wood))
    parts.append(box((width, 0.5, 0.035), (0, 0, seat), wood if rng.random() < 0.6 else tint(rng, FABRIC)))
    for bar in range(6):
        x = (bar - 2.5) * width / 6.5
        parts.append(tube([(x, 0.23, seat), (x, 0.41, 1.08)], 0.012, wood, sides=5))
    parts.append(box((width + 0.06, 0.04, 0.12), (0, 0.42, 1.1), wood))
    return merge(parts)


@kind("bean bag")
def bean_bag(rng: np.random.Generator) -> Mesh:
    width, height, colour = rng.uniform(0.8, 1.0), rng.uniform(0.6, 0.75), tint(rng, BRIGHT)
    profile = [
        (0, 0),
        (0.40, 0.0),
        (0.5, 0.16),
        (0.47, 0.34),
        (0.36, 0.58),
        (0.2, 0.82),
        (0.07, 0.95),
        (0.05, 1.0),
        (0, 1.0),
    ]
    shades = [colour * s for s in (0.8, 0.9, 1, 1.05, 1, 0.95, 0.7, 0.7)]
    body = lathe(profile, np.clip(shades, 0, 0.95), sides=16).scaled((width, width, height))
    dent = sphere((0.24 * width, 0.1, 0.16), (0, -0.3 * width, height * 0.52), np.clip(colour * 1.25, 0, 0.95))
    button = sphere(0.045, (0, 0, height), colour * 0.5, sides=8, rings=5)
    return merge([body, dent, button])


@kind("ottoman")
def ottoman(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.5, 0.75), rng.uniform(0.45, 0.55), rng.uniform(0.26, 0.32)
    fabric, wood = tint(rng, FABRIC, LEATHER, ((0.75, 0.70, 0.58),)), tint(rng, WOOD)
    parts = [legs(width * 0.9, depth * 0.9, 0.12, 0.045, wood)]
    parts.append(box((width, depth, height), (0, 0, 0.12 + height / 2), fabric))
    parts.append(
        sphere(
            (width * 0.5, depth * 0.5, 0.07), (0, 0, 0.12 + height), np.clip(fabric * 1.1, 0, 0.95), sides=16, rings=6
        )
    )
    for x in (-0.3, 0, 0.3):
        for y in (-0.25, 0.25):
            z = 0.12 + height + 0.07 * np.sqrt(max(0.0, 1 - (2 * x) ** 2 - (2 * y) ** 2))
            parts.append(sphere(0.018, (x * width, y * depth, z), fabric * 0.4, sides=6, rings=4))
    parts.append(box((width * 1.01, depth * 1.01, 0.02), (0, 0, 0.12 + height * 0.9), fabric * 0.55))
    return merge(parts)


@kind("bench")
def bench(rng: np.random.Generator) -> Mesh:
    width, depth, seat = rng.uniform(1.2, 1.7), rng.uniform(0.36, 0.44), rng.uniform(0.42, 0.47)
    wood, iron = tint(rng, WOOD), tint(rng, BLACK, ((0.06, 0.18, 0.10),), WOOD[:2])
    parts = [box((width, depth / 4 * 0.8, 0.03), (0, (i - 1.5) * depth / 4, seat), wood) for i in range(4)]
    slats = int(rng.integers(2, 4))
    parts += [
        box((width, 0.025, 0.09), (0, depth / 2 + 0.04 + 0.02 * i, seat + 0.16 + i * 0.13), wood) for i in range(slats)
    ]
    for i in (-1, 1):
        x = i * width * 0.42
        parts.append(box((0.05, 0.05, seat), (x, -depth * 0.42, seat / 2), iron))
        parts.append(box((0.05, 0.05, seat), (x, depth * 0.42, seat / 2), iron))
        parts.append(box((0.05, depth, 0.04), (x, 0, seat - 0.035), iron))
        parts.append(
            tube([(x, depth / 2, seat), (x, depth / 2 + 0.09, seat + 0.14 * slats + 0.1)], 0.025, iron, sides=6)
        )
    return merge(parts)


@kind("sofa")
def sofa(rng: np.random.Generator) -> Mesh:
    seats, wide = int(rng.integers(2, 4)), rng.uniform(0.56, 0.66)
    fabric, depth, arm, height = (
        tint(rng, FABRIC, LEATHER, GREY),
        rng.uniform(0.8, 0.9),
        rng.uniform(0.14, 0.2),
        rng.uniform(0.75, 0.88),
    )
    width = seats * wide
    parts = [legs(width + arm, depth * 0.9, 0.08, 0.06, tint(rng, WOOD, BLACK))]
    parts.append(box((width + 2 * arm, depth, 0.22), (0, 0, 0.19), fabric * 0.85))
    parts.append(box((width + 2 * arm, 0.2, height - 0.1), (0, depth / 2 - 0.1, height / 2 + 0.05), fabric * 0.9))
    for i in (-1, 1):
        parts.append(box((arm, depth, 0.5), (i * (width + arm) / 2, 0, 0.35), fabric * 0.92))
        parts.append(cylinder(arm / 2, depth, (i * (width + arm) / 2, 0, 0.6), fabric, axis="y", sides=10))
    for i in range(seats):
        x = (i + 0.5) * wide - width / 2
        parts.append(box((wide * 0.96, depth * 0.72, 0.15), (x, -depth * 0.12, 0.375), np.clip(fabric * 1.08, 0, 0.95)))
        parts.append(
            box((wide * 0.94, 0.14, 0.36), (x, depth / 2 - 0.26, 0.6), np.clip(fabric * 1.12, 0, 0.95)).rotated(
                "x", -0.0
            )
        )
    if rng.random() < 0.5:
        pillow = box((0.36, 0.1, 0.36), (0, 0, 0.0), tint(rng, BRIGHT, PASTEL)).rotated("y", rng.uniform(0.2, 0.7))
        parts.append(pillow.moved((rng.choice((-1, 1)) * (width / 2 - 0.25), 0.0, 0.66)))
    return merge(parts)


@kind("armchair")
def armchair(rng: np.random.Generator) -> Mesh:
    wide, depth, height = rng.uniform(0.5, 0.6), rng.uniform(0.75, 0.85), rng.uniform(0.9, 1.1)
    fabric, arm = tint(rng, FABRIC, LEATHER, ((0.70, 0.60, 0.20),)), rng.uniform(0.12, 0.16)
    parts = [legs(wide + arm, depth * 0.85, 0.18, 0.05, tint(rng, WOOD))]
    parts.append(box((wide + 2 * arm, depth, 0.16), (0, 0, 0.26), fabric * 0.82))
    parts.append(box((wide * 0.96, depth * 0.75, 0.15), (0, -depth * 0.1, 0.41), np.clip(fabric * 1.1, 0, 0.95)))
    outline = [(-0.5, 0), (0.5, 0), (0.52, 0.55), (0.36, 0.9), (0.12, 1.0), (-0.12, 1.0), (-0.36, 0.9), (-0.52, 0.55)]
    back = prism(np.asarray(outline) * (wide + arm * 1.6, height - 0.3), 0.16, (0, 0, 0), fabric * 0.95)
    parts.append(back.rotated("x", -0.12).moved((0, depth * 0.38, 0.3)))
    for i in (-1, 1):
        parts.append(box((arm, depth * 0.85, 0.36), (i * (wide + arm) / 2, -0.02, 0.44), fabric * 0.9))
        parts.append(
            cylinder(arm * 0.56, depth * 0.85, (i * (wide + arm) / 2, -0.02, 0.63), fabric, axis="y", sides=10)
        )
    return merge(parts)


@kind("bed")
def bed(rng: np.random.Generator) -> Mesh:
    width, length = rng.uniform(0.95, 1.6), rng.uniform(1.9, 2.05)
    wood, blanket, sheet = tint(rng, WOOD, BLACK), tint(rng, FABRIC, PASTEL, BRIGHT), tint(rng, WHITE)
    parts = [box((width + 0.08, length, 0.16), (0, 0, 0.26), wood), legs(width, length, 0.2, 0.08, wood)]
    parts.append(box((width, length * 0.97, 0.18), (0, 0, 0.43), sheet))
    parts.append(box((width * 1.03, length * 0.68, 0.2), (0, -length * 0.16, 0.44), blanket))
    parts.append(box((width * 1.035, length * 0.1, 0.205), (0, length * 0.2, 0.445), np.clip(sheet, 0, 0.95)))
    parts.append(box((width + 0.1, 0.06, rng.uniform(0.85, 1.05)), (0, length / 2 + 0.02, 0.5), wood))
    for i in (-1, 1) if width > 1.2 else (0,):
        parts.append(
            sphere(
                (min(width * 0.23, 0.34), 0.2, 0.1), (i * width * 0.25, length * 0.37, 0.57), sheet, sides=12, rings=6
            )
        )
    return merge(parts).turned(rng.choice((-1, 1)) * 0.6)


@kind("hammock")
def hammock(rng: np.random.Generator) -> Mesh:
    length, stand = rng.uniform(1.9, 2.4), tint(rng, WOOD, METAL)
    first, second = tint(rng, BRIGHT), tint(rng, WHITE, BRIGHT)
    parts, steps = [], 16
    for step in range(steps):
        t = (step + 0.5) / steps * 2 - 1
        wide = 0.75 * (1 - 0.75 * t**2)
        slope = 0.9 * t / (length / 2) * 0.55
        strip = box((length / steps * 1.12, wide, 0.02), (0, 0, 0), (first, second)[step % 2]).rotated(
            "y", -np.arctan(slope)
        )
        parts.append(strip.moved((t * length / 2, 0, 0.42 + 0.5 * t**2)))
    for i in (-1, 1):
        x, post = i * length / 2, i * (length / 2 + 0.3)
        parts.append(tube([(post, 0, 0.0), (post * 1.08, 0, 1.3)], 0.035, stand, sides=7))
        parts += [tube([(x, y, 0.92), (post * 1.06, 0, 1.15)], 0.008, (0.7, 0.65, 0.5), sides=4) for y in (-0.08, 0.08)]
        parts.append(box((0.08, 0.9, 0.05), (post, 0, 0.025), stand))
    parts.append(box((length + 0.6, 0.07, 0.05), (0, 0, 0.05), stand))
    return merge(parts)
