"""Low-poly meshes with one colour a face, and the primitives that the office objects are built from.

Metres, z up. Objects stand on z = 0, centred in x and y, and look towards -y; things that hang on a wall have
their back in the plane y = 0. Colours are linear albedo in 0..1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector: TypeAlias = Sequence[float] | NDArray[np.floating]
Colour: TypeAlias = Sequence[float] | NDArray[np.floating]

_AXES = {"x": (1, 2, 0), "y": (2, 0, 1), "z": (0, 1, 2)}


@dataclass(frozen=True)
class Mesh:
    """Triangles with a colour each.

    Attributes:
        vertices: float32 (V, 3), metres.
        faces: int32 (F, 3), indices of vertices, counter-clockwise seen from outside.
        colours: float32 (F, 3), albedo in 0..1.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    colours: NDArray[np.float32]

    @cached_property
    def bounds(self) -> NDArray[np.float32]:
        """Lowest and highest corner, (2, 3)."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    @cached_property
    def normals(self) -> NDArray[np.float32]:
        """Unit vectors out of the faces, (F, 3)."""
        corners = self.vertices[self.faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        unit: NDArray[np.float32] = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return unit

    def moved(self, translation: Vector) -> Mesh:
        """The mesh shifted by ``translation`` in metres."""
        return Mesh(_f32(self.vertices + np.asarray(translation, dtype=np.float64)), self.faces, self.colours)

    def turned(self, yaw: float) -> Mesh:
        """The mesh turned by ``yaw`` radians about the z axis, counter-clockwise seen from above."""
        return self.rotated("z", yaw)

    def rotated(self, axis: str, angle: float) -> Mesh:
        """The mesh turned by ``angle`` radians about the axis ``x``, ``y`` or ``z`` through the origin."""
        i, j, _ = _AXES[axis]
        matrix = np.eye(3)
        matrix[i, i] = matrix[j, j] = np.cos(angle)
        matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
        return Mesh(_f32(self.vertices @ matrix.T), self.faces, self.colours)

    def scaled(self, factor: float | Vector) -> Mesh:
        """The mesh scaled about the origin, by one positive factor or one for each axis."""
        return Mesh(_f32(self.vertices * np.asarray(factor, dtype=np.float64)), self.faces, self.colours)


def merge(meshes: Iterable[Mesh]) -> Mesh:
    """One mesh of all ``meshes``, faces in their order."""
    parts = list(meshes)
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + np.int32(offset) for part, offset in zip(parts, offsets, strict=True)]),
        np.concatenate([part.colours for part in parts]),
    )


def box(size: Vector, centre: Vector, colour: Colour) -> Mesh:
    """A box of full side lengths ``size``."""
    corners = np.array([[x, y, z] for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
    quads = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    return _mesh(corners * np.asarray(size) + np.asarray(centre), _triangles(quads), colour)


def cylinder(
    radius: float,
    height: float,
    centre: Vector,
    colour: Colour,
    *,
    top: float | None = None,
    axis: str = "z",
    sides: int = 14,
) -> Mesh:
    """A closed cylinder along ``axis``; with ``top`` its far radius differs (0: a cone)."""
    far = radius if top is None else top
    half = height / 2
    mesh = lathe([(0.0, -half), (radius, -half), (far, half), (0.0, half)], colour, sides=sides)
    return _along(mesh, axis).moved(centre)


def lathe(profile: Sequence[tuple[float, float]], colour: Colour | Sequence[Any], *, sides: int = 14) -> Mesh:
    """A profile of (radius, z) points, from the bottom up along the outside, turned about the z axis.

    ``colour`` is one colour, or one for each of the ``len(profile) - 1`` bands. Bands of no area are left out.
    """
    points = np.asarray(profile, dtype=np.float64)
    angles = np.arange(sides) * (2 * np.pi / sides)
    rings = np.stack(
        [
            points[:, 0, None] * np.cos(angles),
            points[:, 0, None] * np.sin(angles),
            np.broadcast_to(points[:, 1, None], (len(points), sides)),
        ],
        axis=-1,
    )
    bands = np.broadcast_to(np.asarray(colour, dtype=np.float64), (len(points) - 1, 3))
    a, b = _ring_corners(len(points) - 1, sides)
    c, d = a + sides, b + sides
    wide = np.broadcast_to(points[:, 0, None] > 0, (len(points), sides))
    low, high = wide[:-1], wide[1:]
    faces = np.stack([np.stack([a, b, np.where(high, d, c)], axis=-1), np.stack([a, d, c], axis=-1)], axis=2)
    there = np.stack([low, high], axis=2)
    return _mesh(rings.reshape(-1, 3), faces[there], np.broadcast_to(bands[:, None, None], faces.shape)[there])


def sphere(radius: float | Vector, centre: Vector, colour: Colour, *, sides: int = 12, rings: int = 8) -> Mesh:
    """A ball, or an ellipsoid where ``radius`` has three values."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    profile = [(max(float(np.cos(a)), 0.0) if 0 < i < rings else 0.0, float(np.sin(a))) for i, a in enumerate(angles)]
    return (
        lathe(profile, colour, sides=sides)
        .scaled(np.broadcast_to(np.asarray(radius, dtype=np.float64), (3,)))
        .moved(centre)
    )


def torus(radius: float, thickness: float, centre: Vector, colour: Colour, *, axis: str = "z", sides: int = 18) -> Mesh:
    """A ring of the given centre-line radius; ``thickness`` is the radius of its tube."""
    angles = np.linspace(0, 2 * np.pi, sides + 1)
    path = np.stack([radius * np.cos(angles), radius * np.sin(angles), np.zeros_like(angles)], axis=1)
    return _along(tube(path, thickness, colour, sides=6), axis).moved(centre)


def tube(points: ArrayLike | Sequence[Any], radius: float, colour: Colour, *, sides: int = 7) -> Mesh:
    """A round rod along a path of points (N, 3)."""
    path = np.asarray(points, dtype=np.float64)
    tangents = np.gradient(path, axis=0) if len(path) > 2 else np.repeat(path[1:] - path[:1], 2, axis=0)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-9)
    reference = np.eye(3)[np.argmin(np.abs(tangents).max(axis=0))]
    angles = np.arange(sides) * (2 * np.pi / sides)
    first = np.cross(tangents, reference)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-9)
    second = np.cross(tangents, first)
    circle = np.cos(angles)[:, None, None] * first + np.sin(angles)[:, None, None] * second
    rings = (path + radius * circle).transpose(1, 0, 2)
    a, b = _ring_corners(len(path) - 1, sides)
    quads = np.stack([a, b, b + sides, a + sides], axis=-1).reshape(-1, 4)
    last = (len(path) - 1) * sides
    caps = [(0, side + 1, side) for side in range(1, sides - 1)]
    caps += [(last, last + side, last + side + 1) for side in range(1, sides - 1)]
    return _mesh(rings.reshape(-1, 3), np.concatenate([_triangles(quads), np.asarray(caps)]), colour)


def prism(outline: ArrayLike, depth: float, centre: Vector, colour: Colour, *, axis: str = "y") -> Mesh:
    """A convex outline (N, 2), extruded by ``depth`` along ``axis`` and centred there.

    The outline's two coordinates are (x, z) for ``y``, (y, z) for ``x`` and (x, y) for ``z``.
    """
    flat = np.asarray(outline, dtype=np.float64)
    count = len(flat)
    columns = {"x": (1, 2, 0), "y": (0, 2, 1), "z": (0, 1, 2)}[axis]
    vertices = np.zeros((2 * count, 3))
    vertices[:, columns[:2]] = np.concatenate([flat, flat])
    vertices[:, columns[2]] = np.repeat([-depth / 2, depth / 2], count)
    sides = [(i, (i + 1) % count, count + (i + 1) % count, count + i) for i in range(count)]
    caps = [(0, i + 1, i) for i in range(1, count - 1)] + [
        (count, count + i, count + i + 1) for i in range(1, count - 1)
    ]
    faces = np.concatenate([_triangles(sides), np.asarray(caps)])
    following = np.roll(flat, -1, axis=0)
    area = (flat[:, 0] * following[:, 1] - flat[:, 1] * following[:, 0]).sum()
    if (area > 0) == (axis == "y"):
        faces = faces[:, ::-1]
    return _mesh(vertices + np.asarray(centre), faces, colour)


def panel(colours: ArrayLike, width: float, height: float, centre: Vector, *, facing: str = "-y") -> Mesh:
    """A flat picture: ``colours`` (R, C, 3), row 0 on top, on a rectangle facing ``-y`` (upright), ``+z`` or ``-z``.

    Facing up or down, the top row lies towards +y.
    """
    cells = np.asarray(colours, dtype=np.float64)
    rows, columns = cells.shape[:2]
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, columns + 1) * width, np.linspace(0.5, -0.5, rows + 1) * height)
    zero = np.zeros_like(x)
    grid = np.stack([x, zero, y] if facing == "-y" else [x, y, zero], axis=-1).reshape(-1, 3)
    corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).reshape(-1)
    quads = np.stack([corner, corner + columns + 1, corner + columns + 2, corner + 1], axis=1)
    if facing == "-z":
        quads = quads[:, ::-1]
    return _mesh(grid + np.asarray(centre), _triangles(quads), np.repeat(cells.reshape(-1, 3), 2, axis=0))


def _mesh(vertices: ArrayLike, faces: ArrayLike, colours: ArrayLike) -> Mesh:
    triangles = np.asarray(faces, dtype=np.int32)
    return Mesh(
        _f32(vertices), triangles, _f32(np.broadcast_to(np.asarray(colours, dtype=np.float64), triangles.shape))
    )


def _triangles(quads: ArrayLike) -> NDArray[np.int32]:
    corners = np.asarray(quads, dtype=np.int32)
    return np.stack([corners[:, (0, 1, 2)], corners[:, (0, 2, 3)]], axis=1).reshape(-1, 3)


def _ring_corners(rings: int, sides: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Of rings of ``sides`` corners each: the number of every corner and of the next one, (rings, sides) each."""
    first = np.arange(rings * sides, dtype=np.int32).reshape(rings, sides)
    return first, np.roll(first, -1, axis=1)


def _along(mesh: Mesh, axis: str) -> Mesh:
    order = {"x": (2, 0, 1), "y": (1, 2, 0), "z": (0, 1, 2)}[axis]
    return Mesh(np.ascontiguousarray(mesh.vertices[:, order]), mesh.faces, mesh.colours)


def _f32(values: ArrayLike) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)
