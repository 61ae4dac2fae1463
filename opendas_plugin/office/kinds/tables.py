"""Tables and what stands beside a bed."""

from __future__ import annotations

import numpy as np

from opendas_plugin.office.geometry import Mesh, box, cylinder, merge, sphere, tube
from opendas_plugin.office.kinds.palette import BLACK, BLUE, BRIGHT, GOLD, GREEN, GREY, METAL, RED, WHITE, WOOD, tint
from opendas_plugin.office.kinds.parts import carcass, fronts, legs
from opendas_plugin.office.kinds.registry import kind


@kind("desk")
def desk(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(1.3, 1.7), rng.uniform(0.65, 0.8), rng.uniform(0.72, 0.76)
    wood, handle = tint(rng, WOOD, WOOD, GREY, WHITE), tint(rng, METAL, BLACK, GOLD)
    block, side = rng.uniform(0.38, 0.46), rng.choice((-1, 1))
    parts = [box((width, depth, 0.04), (0, 0, height - 0.02), wood)]
    parts.append(box((width * 0.94, 0.025, height * 0.6), (0, depth * 0.36, height * 0.62), wood * 0.7))
    sides = (-1, 1) if rng.random() < 0.45 else (side,)
    for i in sides:
        x = i * (width / 2 - block / 2 - 0.02)
        parts.append(box((block, depth * 0.88, height - 0.08), (x, 0, height / 2), wood * 0.82))
        area = (x - block / 2, 0.05, x + block / 2, height - 0.06)
        parts.append(fronts(3, 1, area, -depth * 0.44, wood * 0.95, handle))
    if len(sides) == 1:
        parts.append(
            box((0.04, depth * 0.88, height - 0.04), (-side * (width / 2 - 0.04), 0, height / 2 - 0.02), wood * 0.82)
        )
    return merge(parts)


@kind("table")
def table(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(1.0, 1.7), rng.uniform(0.7, 0.9), rng.uniform(0.7, 0.76)
    top, thick = tint(rng, WOOD, WOOD, WHITE), rng.uniform(0.045, 0.07)
    leg = tint(rng, METAL, BLACK) if rng.random() < 0.3 else top * 0.85
    parts = [legs(width * 0.92, depth * 0.88, height - 0.03, thick, leg)]
    if rng.random() < 0.25:
        parts.append(cylinder(0.5, 0.03, (0, 0, height - 0.015), top, sides=24).scaled((width, depth, 1)))
    else:
        parts.append(box((width, depth, 0.03), (0, 0, height - 0.015), top))
    parts.append(box((width * 0.86, depth * 0.8, 0.06), (0, 0, height - 0.06), top * 0.75))
    return merge(parts)


@kind("workbench")
def workbench(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(1.3, 1.7), rng.uniform(0.6, 0.7), rng.uniform(0.82, 0.9)
    wood, steel = tint(rng, WOOD[2:]), tint(rng, METAL, BLUE, RED)
    parts = [
        box((width, depth, 0.09), (0, 0, height - 0.045), wood),
        legs(width * 0.9, depth * 0.85, height - 0.09, 0.1, steel),
    ]
    parts.append(box((width * 0.85, depth * 0.75, 0.03), (0, 0, 0.22), wood * 0.8))
    board = 0.62
    parts.append(
        box(
            (width, 0.03, board),
            (0, depth / 2 - 0.02, height + board / 2),
            tint(rng, ((0.70, 0.62, 0.46), (0.30, 0.32, 0.35))),
        )
    )
    y = depth / 2 - 0.06
    for i in range(5):
        x, tool = (i - 2) * width * 0.18, tint(rng, BRIGHT, METAL)
        parts.append(box((0.035, 0.02, 0.26), (x, y, height + 0.28), tool))
        parts.append(box((0.14 if i % 2 else 0.05, 0.03, 0.06), (x, y, height + 0.43), tint(rng, METAL)))
    vise = (-width * 0.36, -depth * 0.42, height + 0.06)
    parts.append(box((0.16, 0.2, 0.12), vise, tint(rng, BLUE, GREEN)))
    parts.append(cylinder(0.015, 0.24, (vise[0], vise[1] - 0.16, vise[2]), tint(rng, METAL), axis="x", sides=6))
    parts.append(box((0.34, 0.22, 0.2), (width * 0.2, 0, 0.34), tint(rng, RED, BLUE)))
    return merge(parts)


@kind("drafting table")
def drafting_table(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(1.0, 1.3), rng.uniform(0.7, 0.85), rng.uniform(0.85, 0.95)
    wood, steel, slope = tint(rng, WHITE, WOOD[2:]), tint(rng, METAL, BLACK, WOOD[:2]), rng.uniform(0.5, 0.75)
    parts = []
    for i in (-1, 1):
        x = i * width * 0.38
        parts.append(tube([(x, -0.3, 0), (x, 0.12, height)], 0.025, steel, sides=6))
        parts.append(tube([(x, 0.36, 0), (x, -0.1, height)], 0.025, steel, sides=6))
    parts.append(box((width * 0.76, 0.04, 0.06), (0, 0.0, 0.35), steel))
    top = [box((width, depth, 0.03), (0, 0, 0), wood)]
    top.append(box((width * 0.55, depth * 0.6, 0.004), (0.02, 0.03, 0.018), (0.80, 0.86, 0.92)))
    for i in range(4):
        top.append(box((width * rng.uniform(0.2, 0.45), 0.012, 0.004), (0, 0.2 - i * 0.1, 0.022), (0.1, 0.25, 0.6)))
    top.append(box((width * 0.98, 0.05, 0.012), (0, -depth * 0.18, 0.024), (0.75, 0.35, 0.08)))
    top.append(box((0.05, depth * 0.7, 0.012), (-width * 0.38, 0.05, 0.026), (0.75, 0.35, 0.08)))
    top.append(box((width, 0.04, 0.06), (0, -depth / 2, 0.01), steel))
    parts.append(merge(top).rotated("x", slope).moved((0, 0, height + 0.04)))
    lamp = (width * 0.4, 0.3, height + 0.3)
    parts.append(
        tube([lamp, (width * 0.45, 0.1, height + 0.65), (width * 0.25, -0.05, height + 0.6)], 0.014, steel, sides=5)
    )
    parts.append(cylinder(0.1, 0.1, (width * 0.22, -0.08, height + 0.55), tint(rng, BRIGHT, BLACK), top=0.03, sides=10))
    return merge(parts)


@kind("nightstand")
def nightstand(rng: np.random.Generator) -> Mesh:
    width, depth, height = rng.uniform(0.42, 0.52), rng.uniform(0.36, 0.42), rng.uniform(0.5, 0.6)
    wood, foot = tint(rng, WOOD, WHITE), rng.uniform(0.12, 0.18)
    parts = [legs(width, depth, foot, 0.04, wood * 0.8)]
    parts.append(carcass(width, depth, height - foot, 0.03, wood, wood * 0.6).moved((0, 0, foot)))
    middle = foot + (height - foot) * 0.5
    parts.append(box((width, depth, 0.03), (0, 0, middle), wood))
    parts.append(box((width * 0.9, 0.02, height - middle - 0.05), (0, -depth / 2, (height + middle) / 2), wood * 0.9))
    parts.append(sphere(0.025, (0, -depth / 2 - 0.03, (height + middle) / 2), tint(rng, GOLD, METAL), sides=8, rings=6))
    parts.append(cylinder(0.06, 0.02, (0, 0, height + 0.01), tint(rng, GOLD, WOOD), sides=10))
    parts.append(cylinder(0.02, 0.14, (0, 0, height + 0.09), tint(rng, GOLD, WHITE), sides=8))
    parts.append(
        cylinder(
            0.13, 0.16, (0, 0, height + 0.24), tint(rng, ((0.90, 0.80, 0.55), (0.85, 0.60, 0.50))), top=0.08, sides=14
        )
    )
    return merge(parts)
