"""Computers and what belongs to them, telephones, cameras and other small electronics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.office.geometry import Mesh, box, cylinder, merge, panel, prism, sphere, torus, tube
from opendas_plugin.office.kinds.palette import BLACK, BRIGHT, GOLD, GREY, METAL, RED, WHITE, WOOD, tint
from opendas_plugin.office.kinds.parts import picture
from opendas_plugin.office.kinds.registry import kind


def _screen(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.float64]:
    image = np.full((rows, columns, 3), 0.03) + np.array((0.0, 0.02, 0.06)) * rng.uniform(0.3, 2.0)
    for _ in range(int(rng.integers(1, 4))):
        top, left = rng.integers(1, rows // 2), rng.integers(1, columns // 2)
        bottom, right = rng.integers(top + 3, rows), rng.integers(left + 4, columns)
        image[top:bottom, left:right] = tint(rng, ((0.80, 0.82, 0.85), (0.12, 0.14, 0.18), (0.10, 0.30, 0.55)))
        image[top, left:right] = tint(rng, ((0.15, 0.35, 0.70), (0.30, 0.30, 0.33)))
        image[top + 2 : bottom - 1 : 2, left + 1 : right - 2] *= 0.7
    image[-1] = (0.06, 0.07, 0.10)
    return image


@kind("monitor", "table")
def monitor(rng: np.random.Generator) -> Mesh:
    width, bezel = rng.uniform(0.5, 0.66), tint(rng, BLACK, BLACK, GREY)
    height = width * rng.uniform(0.56, 0.64)
    base = rng.uniform(0.1, 0.15)
    parts = [box((width, 0.04, height), (0, 0, base + height / 2), bezel)]
    parts.append(panel(_screen(rng, 14, 22), width * 0.94, height * 0.9, (0, -0.022, base + height * 0.52)))
    parts.append(box((0.07, 0.03, base + height * 0.3), (0, 0.035, (base + height * 0.3) / 2), bezel))
    parts.append(box((width * 0.42, 0.2, 0.018), (0, 0.02, 0.009), bezel))
    parts.append(box((0.02, 0.01, 0.006), (width * 0.4, -0.022, base + height * 0.03), (0.2, 0.8, 0.3)))
    return merge(parts)


@kind("television", "floor")
def television(rng: np.random.Generator) -> Mesh:
    width, bezel = rng.uniform(1.0, 1.3), tint(rng, BLACK)
    height, low = width * 0.56, 0.42
    cabinet = tint(rng, WOOD)
    parts = [box((width * 1.15, 0.4, 0.34), (0, 0.05, 0.17), cabinet)]
    parts += [box((width * 0.35, 0.01, 0.12), (i * width * 0.33, -0.155, 0.2), cabinet * 0.4) for i in (-1, 0, 1)]
    parts.append(box((width, 0.05, height), (0, 0, low + height / 2), bezel))
    parts.append(panel(picture(rng, 16, 24), width * 0.96, height * 0.93, (0, -0.027, low + height / 2)))
    parts += [box((0.05, 0.22, 0.09), (i * width * 0.35, 0, 0.38), bezel) for i in (-1, 1)]
    return merge(parts)


@kind("laptop", "table")
def laptop(rng: np.random.Generator) -> Mesh:
    width, metal = rng.uniform(0.32, 0.37), tint(rng, METAL, GREY, BLACK)
    depth = width * 0.66
    rows, columns = 5, 13
    keys = np.broadcast_to(metal * 0.9, (2 * rows + 1, 2 * columns + 1, 3)).copy()
    keys[1::2, 1::2] = (0.04, 0.04, 0.05)
    parts = [box((width, depth, 0.016), (0, 0, 0.008), metal)]
    parts.append(panel(keys, width * 0.9, depth * 0.52, (0, depth * 0.16, 0.0175), facing="+z"))
    parts.append(box((width * 0.3, depth * 0.26, 0.003), (0, -depth * 0.3, 0.0165), metal * 0.7))
    lid = [box((width, 0.01, depth), (0, 0, depth / 2), metal * 0.6)]
    lid.append(panel(_screen(rng, 11, 18), width * 0.93, depth * 0.88, (0, -0.007, depth / 2)))
    parts.append(merge(lid).rotated("x", -rng.uniform(0.15, 0.45)).moved((0, depth / 2, 0.014)))
    return merge(parts)


@kind("keyboard", "table")
def keyboard(rng: np.random.Generator) -> Mesh:
    width, depth = rng.uniform(0.4, 0.46), rng.uniform(0.13, 0.16)
    body, cap = (
        (tint(rng, BLACK), tint(rng, GREY)) if rng.random() < 0.6 else (tint(rng, GREY, WHITE), tint(rng, WHITE))
    )
    parts = [box((width, depth, 0.02), (0, 0, 0.01), body)]
    for row in range(5):
        y, columns = (1.5 - row) * depth * 0.17 + depth * 0.06, 17
        for column in range(columns):
            if row == 4 and 4 <= column <= 8:
                continue
            x = (column - 8) * width / columns * 0.95 + (0.012 if column > 13 else 0)
            parts.append(box((width / columns * 0.75, depth * 0.13, 0.01), (x, y, 0.024), cap))
    parts.append(box((width * 0.27, depth * 0.13, 0.01), (-width * 0.11, depth * -0.365, 0.024), cap))
    return merge(parts)


@kind("computer mouse", "table")
def computer_mouse(rng: np.random.Generator) -> Mesh:
    body = tint(rng, BLACK, WHITE, GREY, RED)
    length, width = rng.uniform(0.1, 0.12), rng.uniform(0.058, 0.068)
    shell = sphere((width / 2, length / 2, 0.038), (0, 0, 0.0), body, sides=18, rings=10)
    shell = Mesh(np.maximum(shell.vertices, np.array((-1, -1, 0), np.float32)), shell.faces, shell.colours)
    dark = (0.02, 0.02, 0.02) if body.mean() > 0.1 else (0.4, 0.4, 0.42)
    wheel = cylinder(0.009, 0.008, (0, -length * 0.27, 0.032), (0.5, 0.5, 0.52), axis="x", sides=10)
    split = [box((0.003, length * 0.24, 0.006), (0, -length * 0.36, 0.0255), dark)]
    split.append(box((width * 0.5, 0.003, 0.005), (0, -length * 0.08, 0.0345), dark))
    parts = [shell, wheel, *split]
    if rng.random() < 0.6:
        bend = rng.uniform(-0.04, 0.04)
        parts.append(
            tube(
                [(0, -length / 2, 0.01), (bend, -length * 0.75, 0.006), (-bend, -length * 1.1, 0.006)],
                0.003,
                (0.05, 0.05, 0.05),
                sides=5,
            )
        )
    return merge(parts)


@kind("computer tower", "floor")
def computer_tower(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.18, 0.22), rng.uniform(0.4, 0.46), rng.uniform(0.42, 0.48)
    body = tint(rng, BLACK, GREY, ((0.62, 0.58, 0.48),))
    front, y = body * 1.3, -depth / 2
    parts = [
        box((width, depth, height), (0, 0, height / 2), body),
        box((width * 0.94, 0.02, height * 0.97), (0, y - 0.01, height / 2), np.clip(front, 0, 0.9)),
    ]
    for i in range(int(rng.integers(1, 3))):
        parts.append(box((width * 0.8, 0.01, 0.042), (0, y - 0.022, height * 0.9 - i * 0.055), body * 0.6))
        parts.append(box((0.02, 0.01, 0.008), (width * 0.3, y - 0.028, height * 0.885 - i * 0.055), (0.6, 0.6, 0.6)))
    parts.append(cylinder(0.02, 0.012, (0, y - 0.024, height * 0.62), (0.7, 0.7, 0.72), axis="y"))
    parts.append(box((0.02, 0.01, 0.01), (0.045, y - 0.024, height * 0.62), rng.permutation((0.1, 0.5, 0.9))))
    for i in range(9):
        parts.append(box((width * 0.7, 0.006, 0.008), (0, y - 0.022, height * 0.08 + i * 0.02), body * 0.35))
    return merge(parts).turned(rng.choice((-1, 1)) * rng.uniform(0.2, 0.6))


@kind("server rack", "floor")
def server_rack(rng: np.random.Generator) -> Mesh:
    width, depth, height, rows = 0.6, 0.65, rng.uniform(1.5, 1.9), int(rng.integers(9, 13))
    body = tint(rng, BLACK)
    parts = [box((width, depth, height), (0, 0, height / 2), body)]
    gap = (height - 0.12) / rows
    for row in range(rows):
        z = 0.06 + (row + 0.5) * gap
        parts.append(box((width * 0.86, 0.02, gap * 0.8), (0, -depth / 2 - 0.01, z), tint(rng, GREY, BLACK, METAL)))
        for lamp in range(int(rng.integers(3, 7))):
            colour = ((0.1, 0.95, 0.2), (0.1, 0.5, 0.95), (0.95, 0.6, 0.05))[rng.integers(3)]
            parts.append(box((0.02, 0.01, 0.02), (-width * 0.36 + lamp * 0.045, -depth / 2 - 0.022, z), colour))
    parts += [
        box((0.03, 0.04, height), (i * width * 0.48, -depth / 2 - 0.02, height / 2), (0.25, 0.25, 0.27))
        for i in (-1, 1)
    ]
    return merge(parts)


@kind("printer", "table")
def printer(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.42, 0.5), rng.uniform(0.36, 0.42), rng.uniform(0.22, 0.3)
    body, dark = tint(rng, WHITE, WHITE, GREY), tint(rng, BLACK)
    y = -depth / 2
    parts = [
        box((width, depth, height * 0.45), (0, 0, height * 0.225), body),
        box((width, depth * 0.7, height * 0.55), (0, depth * 0.15, height * 0.72), body),
    ]
    parts.append(box((width * 0.76, 0.02, height * 0.16), (0, y + depth * 0.29, height * 0.55), dark))
    parts.append(box((width * 0.5, depth * 0.5, 0.006), (0, y + 0.04, height * 0.5), (0.93, 0.93, 0.92)))
    parts.append(box((width * 0.7, depth * 0.3, 0.012), (0, y - 0.02, height * 0.46), dark))
    sheet = box((width * 0.54, 0.008, 0.2), (0, 0, 0.1), (0.92, 0.92, 0.9)).rotated("x", -0.35)
    parts.append(sheet.moved((0, depth * 0.36, height * 0.98)))
    parts.append(box((width * 0.66, 0.02, 0.12), (0, depth * 0.46, height + 0.02), dark))
    parts.append(box((width * 0.3, 0.02, 0.05), (-width * 0.28, y + depth * 0.28, height * 0.85), dark))
    parts.append(box((width * 0.14, 0.01, 0.035), (-width * 0.3, y + depth * 0.25, height * 0.85), (0.2, 0.5, 0.7)))
    parts.append(box((width * 0.8, 0.01, height * 0.2), (0, y - 0.006, height * 0.2), body * 0.75))
    return merge(parts)


@kind("scanner", "table")
def scanner(rng: np.random.Generator) -> Mesh:
    width, depth, dark = rng.uniform(0.3, 0.36), rng.uniform(0.42, 0.48), tint(rng, BLACK, GREY)
    parts = [box((width, depth, 0.06), (0, 0, 0.03), dark)]
    parts.append(box((width * 0.82, depth * 0.8, 0.004), (0, -0.01, 0.062), (0.45, 0.72, 0.80)))
    parts.append(box((width * 0.8, 0.03, 0.004), (0, rng.uniform(-0.12, 0.12), 0.065), (0.85, 0.95, 0.95)))
    lid = [box((width, 0.02, depth * 0.94), (0, 0.01, depth * 0.47), tint(rng, GREY, WHITE))]
    lid.append(box((width * 0.84, 0.004, depth * 0.8), (0, -0.002, depth * 0.47), (0.9, 0.9, 0.9)))
    parts.append(merge(lid).rotated("x", -rng.uniform(0.1, 0.5)).moved((0, depth / 2 - 0.02, 0.06)))
    parts += [
        cylinder(0.01, 0.006, (x * 0.04, -depth / 2 - 0.002, 0.03), (0.2, 0.7, 0.3), axis="y", sides=8)
        for x in (-1, 0, 1)
    ]
    return merge(parts)


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
