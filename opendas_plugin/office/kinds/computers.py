"""Computers, their screens and what is plugged into them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.office.geometry import Mesh, box, cylinder, merge, panel, sphere, tube
from opendas_plugin.office.kinds.palette import BLACK, GREY, METAL, RED, WHITE, WOOD, tint
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
