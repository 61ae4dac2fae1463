"""Telephones, cameras and other small electronics."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, merge, panel, prism, sphere, torus, tube
from opendas_plugin.office.kinds.palette import BLACK, BRIGHT, GOLD, GREY, METAL, RED, WHITE, WOOD, tint
from opendas_plugin.office.kinds.registry import kind


@kind("telephone", "table")
def telephone(rng: np.random.Generator) -> Mesh:
    body = tint(rng, BLACK, RED, ((0.75, 0.72, 0.60),), GREY)
    width, depth = rng.uniform(0.18, 0.21), rng.uniform(0.19, 0.22)
    outline = [(-depth / 2, 0), (depth / 2, 0), (depth / 2, 0.08), (-depth / 2, 0.025)]
    parts = [prism(outline, width, (0, 0, 0), body, axis="x")]
    slope = np.arctan2(0.055, depth)
    pad = []
    for row in range(4):
        for column in range(3):
            pad.append(
                box(
                    (0.02, 0.016, 0.01),
                    (column * 0.028, -row * 0.026, 0),
                    (0.85, 0.85, 0.82) if body.mean() < 0.45 else (0.15, 0.15, 0.16),
                )
            )
    pad.append(box((0.085, 0.03, 0.006), (0.028, 0.045, 0), (0.45, 0.58, 0.45)))
    parts.append(merge(pad).rotated("x", slope).moved((0.0, 0.005, 0.06)))
    receiver = tube([(0, -0.105, 0), (0, -0.07, 0.03), (0, 0.07, 0.03), (0, 0.105, 0)], 0.019, body * 0.8, sides=8)
    ears = [sphere((0.033, 0.035, 0.024), (0, i * 0.095, -0.004), body * 0.8, sides=9, rings=6) for i in (-1, 1)]
    parts.append(merge([receiver, *ears]).rotated("x", slope).moved((-width * 0.32, 0, 0.088)))
    coil = [
        (-width / 2 - 0.02 + 0.014 * np.cos(t), -0.08 + t * 0.006, 0.02 + 0.014 * np.sin(t))
        for t in np.linspace(0, 8 * np.pi, 32)
    ]
    parts.append(tube(coil, 0.004, body * 0.6, sides=4))
    return merge(parts).turned(rng.uniform(-0.2, 0.2))


@kind("projector", "ceiling")
def projector(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.3, 0.38), rng.uniform(0.24, 0.3), rng.uniform(0.1, 0.13)
    body, x, pole = tint(rng, WHITE, WHITE, GREY), rng.choice((-1, 1)) * width * 0.24, rng.uniform(0.12, 0.2)
    y = -depth / 2
    parts = [box((width, depth, height), (0, 0, 0), body)]
    parts.append(cylinder(height * 0.42, 0.05, (x, y - 0.02, 0), (0.06, 0.06, 0.07), axis="y"))
    parts.append(cylinder(height * 0.32, 0.01, (x, y - 0.048, 0), (0.35, 0.45, 0.85), axis="y"))
    parts.append(cylinder(height * 0.16, 0.012, (x, y - 0.05, 0), (0.85, 0.90, 0.95), axis="y"))
    parts += [
        box((width * 0.36, 0.006, 0.008), (-x, y - 0.002, -height * 0.3 + i * 0.016), body * 0.3) for i in range(5)
    ]
    parts.append(cylinder(0.02, pole, (0, 0, height / 2 + pole / 2), tint(rng, GREY, WHITE), sides=8))
    parts.append(cylinder(0.07, 0.02, (0, 0, height / 2 + pole), tint(rng, GREY, WHITE), sides=12))
    return merge(parts).moved((0, 0, -height / 2 - pole - 0.01))


@kind("camera", "table")
def camera(rng: np.random.Generator) -> Mesh:
    width, height, body = rng.uniform(0.13, 0.15), rng.uniform(0.085, 0.1), tint(rng, BLACK, BLACK, WOOD[:1])
    top = tint(rng, METAL, BLACK)
    parts = [
        box((width, 0.06, height), (0, 0, height / 2), body),
        box((width, 0.062, 0.025), (0, 0, height - 0.005), top),
    ]
    parts.append(prism([(-0.03, 0), (0.03, 0), (0.018, 0.03), (-0.018, 0.03)], 0.055, (0, 0, height + 0.005), top))
    middle = height * 0.45
    for radius, out, colour in (
        (0.038, 0.045, (0.05, 0.05, 0.055)),
        (0.034, 0.075, (0.12, 0.12, 0.13)),
        (0.026, 0.08, (0.10, 0.12, 0.30)),
    ):
        parts.append(cylinder(radius, out, (0, -0.03 - out / 2, middle), colour, axis="y", sides=18))
    parts.append(cylinder(0.009, 0.004, (-0.008, -0.112, middle + 0.008), (0.75, 0.8, 0.95), axis="y", sides=8))
    parts.append(cylinder(0.011, 0.014, (width * 0.36, 0, height + 0.012), tint(rng, METAL, RED), sides=10))
    parts.append(cylinder(0.014, 0.01, (-width * 0.35, 0, height + 0.012), tint(rng, METAL), sides=10))
    parts.append(box((0.022, 0.01, 0.014), (-width * 0.34, -0.032, height * 0.78), (0.85, 0.85, 0.8)))
    return merge(parts)


@kind("speaker", "floor")
def speaker(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.24, 0.32), 0.26, rng.uniform(0.45, 0.65)
    body, cone = tint(rng, WOOD, BLACK), tint(rng, BLACK, GREY, ((0.75, 0.62, 0.10),))
    y = -depth / 2
    parts = [
        box((width, depth, height), (0, 0, height / 2), body),
        box((width * 0.92, 0.01, height * 0.96), (0, y - 0.004, height / 2), (0.05, 0.05, 0.055)),
    ]
    for z, radius in ((height * 0.32, width * 0.4), (height * 0.7, width * 0.24)):
        parts.append(torus(radius, 0.014, (0, y - 0.015, z), (0.45, 0.45, 0.47), axis="y"))
        parts.append(cylinder(radius * 0.95, 0.02, (0, y - 0.012, z), np.clip(cone * 1.3, 0, 0.9), axis="y", sides=18))
        parts.append(
            sphere(
                (radius * 0.4, 0.03, radius * 0.4),
                (0, y - 0.02, z),
                np.clip(cone * 2 + 0.08, 0, 0.9),
                sides=10,
                rings=6,
            )
        )
    parts.append(cylinder(width * 0.1, 0.02, (0, y - 0.012, height * 0.9), (0.6, 0.6, 0.62), axis="y", sides=12))
    return merge(parts)


@kind("game controller", "table")
def game_controller(rng: np.random.Generator) -> Mesh:
    body = tint(rng, BLACK, WHITE, BRIGHT)
    parts = [sphere((0.075, 0.045, 0.02), (0, 0.01, 0.03), body, sides=16, rings=8)]
    for i in (-1, 1):
        grip = sphere((0.028, 0.058, 0.024), (0, 0, 0), body, sides=10, rings=8).turned(i * 0.45)
        parts.append(grip.moved((i * 0.068, -0.025, 0.028)))
        parts.append(cylinder(0.013, 0.022, (i * 0.028, -0.015, 0.052), (0.04, 0.04, 0.045), sides=10))
        parts.append(cylinder(0.016, 0.006, (i * 0.028, -0.015, 0.065), (0.18, 0.18, 0.19), sides=12))
    for angle, colour in zip(
        np.arange(4) * np.pi / 2, ((0.85, 0.1, 0.1), (0.1, 0.7, 0.2), (0.1, 0.3, 0.9), (0.95, 0.8, 0.1)), strict=True
    ):
        at = (0.062 + 0.014 * np.cos(angle), 0.018 + 0.014 * np.sin(angle), 0.047)
        parts.append(cylinder(0.007, 0.012, at, colour, sides=8))
    cross = (0.04, 0.04, 0.045) if body.mean() > 0.15 else (0.5, 0.5, 0.52)
    parts += [box(size, (-0.062, 0.018, 0.049), cross) for size in ((0.034, 0.011, 0.012), (0.011, 0.034, 0.012))]
    return merge(parts).rotated("x", 0.75)


@kind("remote control", "table")
def remote_control(rng: np.random.Generator) -> Mesh:
    length, width, body = rng.uniform(0.18, 0.22), rng.uniform(0.045, 0.055), tint(rng, BLACK, GREY)
    parts = [
        box((width, length, 0.02), (0, 0, 0.01), body),
        cylinder(0.007, 0.006, (-width * 0.28, length * 0.43, 0.022), (0.9, 0.1, 0.08), sides=8),
    ]
    for row in range(6):
        for column in range(3):
            colour = (0.75, 0.75, 0.76) if row < 4 else BRIGHT[(row + column) % 4]
            parts.append(
                box(
                    (width * 0.2, length * 0.045, 0.006),
                    ((column - 1) * width * 0.28, length * (0.3 - row * 0.075), 0.022),
                    colour,
                )
            )
    parts.append(torus(width * 0.28, 0.004, (0, -length * 0.3, 0.021), (0.75, 0.75, 0.78), sides=12))
    parts.append(cylinder(width * 0.12, 0.006, (0, -length * 0.3, 0.021), (0.75, 0.75, 0.78), sides=8))
    return merge(parts).turned(rng.uniform(-0.5, 0.5)).rotated("x", 0.6)


@kind("smartphone", "table")
def smartphone(rng: np.random.Generator) -> Mesh:
    width, body = rng.uniform(0.07, 0.08), tint(rng, BLACK, METAL, BRIGHT)
    height = width * rng.uniform(1.95, 2.15)
    rows, columns = 19, 9
    image = np.linspace(0.7, 1.3, rows)[:, None, None] * tint(
        rng, ((0.15, 0.25, 0.55), (0.45, 0.20, 0.45), (0.10, 0.40, 0.42))
    )
    image = np.repeat(image, columns, axis=1)
    for row in range(3, rows - 5, 3):
        for column in (1, 3, 5, 7):
            image[row : row + 2, column] = tint(rng, BRIGHT, WHITE)
    image[-2, 1::2] = (0.9, 0.9, 0.9)
    image[1, 1:4] = (0.9, 0.9, 0.9)
    parts = [box((width, 0.009, height), (0, 0, height / 2), body)]
    parts.append(panel(np.clip(image, 0, 0.95), width * 0.92, height * 0.92, (0, -0.0055, height / 2)))
    parts.append(box((width * 0.3, 0.002, height * 0.02), (0, -0.006, height * 0.945), (0.02, 0.02, 0.02)))
    parts.append(box((0.003, 0.006, 0.02), (width / 2 + 0.001, 0, height * 0.7), body * 0.6))
    return merge(parts).rotated("x", -0.2).rotated("y", rng.uniform(-0.3, 0.3))


@kind("calculator", "table")
def calculator(rng: np.random.Generator) -> Mesh:
    width, height, body = rng.uniform(0.09, 0.11), rng.uniform(0.15, 0.18), tint(rng, BLACK, GREY, BRIGHT)
    parts = [box((width, 0.015, height), (0, 0, height / 2), body)]
    parts.append(box((width * 0.84, 0.004, height * 0.17), (0, -0.008, height * 0.84), (0.50, 0.62, 0.45)))
    parts += [
        box((width * 0.05, 0.002, height * 0.09), (width * (0.12 + 0.08 * i), -0.011, height * 0.84), (0.08, 0.1, 0.08))
        for i in range(4)
    ]
    key = tint(rng, WHITE) if body.mean() < 0.35 else tint(rng, BLACK)
    for row in range(5):
        for column in range(4):
            colour = (0.85, 0.4, 0.05) if column == 3 else key
            at = ((column - 1.5) * width * 0.215, -0.01, height * (0.64 - row * 0.132))
            parts.append(box((width * 0.16, 0.01, height * 0.09), at, colour))
    return merge(parts).rotated("x", -0.5).rotated("y", rng.uniform(-0.15, 0.15))


@kind("radio", "table")
def radio(rng: np.random.Generator) -> Mesh:
    width, height, body = (
        rng.uniform(0.26, 0.34),
        rng.uniform(0.15, 0.2),
        tint(rng, WOOD, RED, ((0.10, 0.45, 0.45), (0.75, 0.68, 0.50))),
    )
    side = rng.choice((-1, 1))
    parts = [box((width, 0.09, height), (0, 0, height / 2), body)]
    parts += [
        box((width * 0.46, 0.006, 0.008), (side * width * 0.23, -0.046, height * 0.15 + i * height * 0.09), body * 0.35)
        for i in range(8)
    ]
    x = -side * width * 0.26
    parts.append(box((width * 0.36, 0.008, height * 0.3), (x, -0.047, height * 0.7), (0.88, 0.82, 0.62)))
    parts.append(
        box((0.006, 0.004, height * 0.26), (x + rng.uniform(-0.03, 0.03), -0.053, height * 0.7), (0.8, 0.08, 0.05))
    )
    parts += [
        cylinder(height * 0.13, 0.025, (x + i * width * 0.1, -0.055, height * 0.28), tint(rng, GOLD, METAL), axis="y")
        for i in (-1, 1)
    ]
    parts.append(
        tube(
            [(side * width * 0.42, 0.03, height), (side * width * 0.6, 0.03, height * 2.1)],
            0.004,
            (0.75, 0.75, 0.77),
            sides=5,
        )
    )
    parts.append(
        tube(
            [
                (-width * 0.4, 0, height),
                (-width * 0.36, 0, height + 0.05),
                (width * 0.36, 0, height + 0.05),
                (width * 0.4, 0, height),
            ],
            0.009,
            body * 0.6,
            sides=6,
        )
    )
    return merge(parts)


@kind("microphone", "table")
def microphone(rng: np.random.Generator) -> Mesh:
    height, black, head = rng.uniform(0.24, 0.34), tint(rng, BLACK), tint(rng, METAL, GOLD)
    parts = [
        cylinder(0.075, 0.02, (0, 0, 0.01), black),
        cylinder(0.008, height, (0, 0, height / 2), tint(rng, METAL), sides=7),
    ]
    mic = [cylinder(0.015, 0.13, (0, 0, -0.05), black, top=0.022)]
    mic.append(torus(0.026, 0.006, (0, 0, 0.02), black))
    mic.append(sphere((0.036, 0.036, 0.042), (0, 0, 0.05), head, sides=12, rings=8))
    mic += [
        torus(0.036 * np.cos(a), 0.0025, (0, 0, 0.05 + 0.042 * np.sin(a)), head * 0.4, sides=14)
        for a in (-0.4, 0.0, 0.4)
    ]
    parts.append(merge(mic).rotated("y", rng.choice((-1, 1)) * rng.uniform(0.4, 0.8)).moved((0, 0, height + 0.02)))
    return merge(parts)


@kind("headphones", "table")
def headphones(rng: np.random.Generator) -> Mesh:
    colour, pad, radius = tint(rng, BLACK, WHITE, BRIGHT), tint(rng, BLACK), rng.uniform(0.085, 0.095)
    angles = np.linspace(-0.15, np.pi + 0.15, 15)
    band = [(radius * np.cos(t), 0, 0.06 + radius * 1.05 * np.sin(t)) for t in angles]
    parts = [tube(band, 0.009, colour, sides=7), tube(np.asarray(band[4:11]) - (0, 0, 0.012), 0.011, pad, sides=6)]
    for i in (-1, 1):
        parts.append(cylinder(0.042, 0.024, (i * (radius + 0.004), 0, 0.045), colour, axis="x", sides=16))
        parts.append(cylinder(0.038, 0.03, (i * (radius - 0.02), 0, 0.045), pad, axis="x", sides=16))
        parts.append(cylinder(0.02, 0.004, (i * (radius + 0.017), 0, 0.045), tint(rng, METAL), axis="x", sides=12))
    return merge(parts).turned(rng.choice((-1, 1)) * rng.uniform(0.3, 0.9))


@kind("power strip", "floor")
def power_strip(rng: np.random.Generator) -> Mesh:
    count, body = int(rng.integers(4, 7)), tint(rng, WHITE, BLACK)
    pitch = 0.055
    length = count * pitch + 0.07
    parts = [box((length, 0.06, 0.03), (0, 0, 0.015), body)]
    dark = body * 0.55 + (0.12 if body.mean() < 0.2 else 0)
    for i in range(count):
        x = (i + 0.5) * pitch - length / 2 + 0.06
        parts.append(cylinder(0.022, 0.004, (x, 0, 0.031), dark, sides=14))
        parts += [cylinder(0.004, 0.004, (x + j * 0.009, 0, 0.0335), (0.01, 0.01, 0.01), sides=6) for j in (-1, 1)]
    parts.append(box((0.022, 0.03, 0.014), (-length / 2 + 0.027, 0, 0.034), (0.9, 0.12, 0.05)))
    x = length / 2
    cord = [
        (x, 0, 0.015),
        (x + 0.05, 0, 0.012),
        (x + 0.08, -0.04, 0.008),
        (x + 0.04, -0.09, 0.008),
        (x - 0.08, -0.1, 0.008),
    ]
    parts.append(tube(cord, 0.007, body * 0.9, sides=6))
    return merge(parts).rotated("z", rng.uniform(-0.15, 0.15)).rotated("x", 0.6)
