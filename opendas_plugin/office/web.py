"""The *web* look: one object in clean light before a plain background, with a caption, as the tiny CLIP learns it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.office.geometry import Mesh
from opendas_plugin.office.kinds import KINDS, Kind
from opendas_plugin.office.render import Light, Lighting, render
from opendas_plugin.scenes.camera import Camera

TEMPLATES: tuple[str, ...] = (
    "a photo of a {}.",
    "a {}.",
    "{}",
    "a photo of the {}.",
    "a picture of a {}.",
    "an image of a {}.",
    "a close-up photo of a {}.",
)
"""Captions of the web look; ``a photo of a {colour} {}.`` comes beside them."""

COLOURED = "a photo of a {} {}."

COLOURS: dict[str, tuple[float, float, float]] = {
    "white": (0.85, 0.85, 0.83), "black": (0.05, 0.05, 0.05), "grey": (0.42, 0.42, 0.43), "red": (0.72, 0.08, 0.06),
    "green": (0.12, 0.38, 0.13), "blue": (0.10, 0.25, 0.62), "yellow": (0.88, 0.68, 0.08), "orange": (0.88, 0.36, 0.05),
    "brown": (0.40, 0.24, 0.12), "beige": (0.68, 0.54, 0.36), "purple": (0.48, 0.12, 0.52), "pink": (0.85, 0.40, 0.58),
}  # fmt: skip


def colour_of(mesh: Mesh) -> str:
    """The name out of :data:`COLOURS` that covers the largest area of ``mesh``."""
    corners = mesh.vertices[mesh.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    named = np.array(list(COLOURS.values()))
    nearest = np.linalg.norm(np.sqrt(mesh.colours)[:, None] - np.sqrt(named)[None], axis=2).argmin(axis=1)
    return list(COLOURS)[np.bincount(nearest, weights=area, minlength=len(named)).argmax()]


def web_image(name: str, rng: np.random.Generator, size: int = 224) -> tuple[NDArray[np.uint8], str]:
    """Draws one picture of a kind of object.

    Args:
        name: a name of :data:`~opendas_plugin.office.kinds.KINDS`.
        rng: source of the object, its view, light and background.
        size: side length in pixels.

    Returns:
        (size, size, 3) uint8 RGB, and the object's main colour as a word of :data:`COLOURS`.
    """
    kind = KINDS[name]
    mesh = kind.make(rng)
    colour = colour_of(mesh)
    camera = _camera(kind, mesh, rng, size)
    background = _background(kind, mesh, camera, rng)
    radius = float(np.linalg.norm(np.ptp(mesh.bounds, axis=0))) / 2
    image = background.copy()
    left, top, right, bottom = _extent(mesh, camera)
    inner = replace(
        camera,
        intrinsics=camera.intrinsics - [[0, 0, left], [0, 0, top], [0, 0, 0]],
        width=right - left,
        height=bottom - top,
    )
    part = render(mesh, inner, _light(kind, mesh, radius, rng), background=background[top:bottom, left:right])
    image[top:bottom, left:right] = part.colour
    return image, colour


def _camera(kind: Kind, mesh: Mesh, rng: np.random.Generator, size: int) -> Camera:
    """A camera whose focal length and principal point put the mesh's outline at the wanted place and size."""
    low, high = mesh.bounds.astype(np.float64)
    middle = (low + high) / 2
    yaw = np.deg2rad(rng.uniform(-60, 60))
    elevation = np.deg2rad(rng.uniform(4, 38))
    if kind.mount == "wall" or kind.name.endswith("wall"):
        yaw, elevation = np.deg2rad(rng.uniform(-45, 45)), np.deg2rad(rng.uniform(-8, 18))
    elif kind.mount == "ceiling" or kind.name == "ceiling":
        elevation = np.deg2rad(rng.uniform(-45, -12))
    elif kind.mount == "surface":
        elevation = np.deg2rad(rng.uniform(28, 60))
    reach = float(np.linalg.norm(high - low)) / 2 * rng.uniform(3, 6)
    towards = np.array((np.sin(yaw) * np.cos(elevation), -np.cos(yaw) * np.cos(elevation), np.sin(elevation)))
    camera = Camera.look_at(middle + towards * reach, middle, width=size, height=size, roll=rng.uniform(-5, 5))
    points = camera.project(mesh.vertices)[0]
    span = np.ptp(points, axis=0)
    fill, centre = rng.uniform(0.5, 0.95), size * rng.uniform(0.44, 0.56, 2)
    zoom = size * (rng.uniform(1.2, 2.2) / span.min() if kind.mount == "surface" else fill / span.max())
    intrinsics = camera.intrinsics.copy()
    intrinsics[:2] *= zoom
    intrinsics[:2, 2] = centre - (points.min(axis=0) + span / 2 - size / 2) * zoom
    return replace(camera, intrinsics=intrinsics)


def _extent(mesh: Mesh, camera: Camera) -> tuple[int, int, int, int]:
    points = camera.project(mesh.vertices)[0]
    (left, top), (right, bottom) = np.floor(points.min(axis=0)) - 1, np.ceil(points.max(axis=0)) + 1
    return max(0, int(left)), max(0, int(top)), min(camera.width, int(right)), min(camera.height, int(bottom))


def _light(kind: Kind, mesh: Mesh, radius: float, rng: np.random.Generator) -> Lighting:
    angle, height = rng.uniform(-1.2, 1.2), rng.uniform(0.6, 1.6)
    if kind.mount == "ceiling" or kind.name == "ceiling":
        height = -height
    x, y, z = (mesh.bounds.mean(axis=0) + 8 * radius * np.array((np.sin(angle), -np.cos(angle), height))).tolist()
    ambient = rng.uniform(0.42, 0.62)
    strength = rng.uniform(0.9, 1.15) - ambient
    warm = rng.uniform(-0.06, 0.06)
    red, blue = 1 + warm, 1 - warm
    key = Light((x, y, z), (strength * red, strength, strength * blue))
    return Lighting((key,), (ambient * red, ambient, ambient * blue))


def _background(kind: Kind, mesh: Mesh, camera: Camera, rng: np.random.Generator) -> NDArray[np.uint8]:
    size = camera.width
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j].astype(np.float32)
    back = _paint(rng)
    image = np.broadcast_to(back, (size, size, 3)).copy()
    style = rng.integers(4)
    if style == 1:
        other, tilt = _paint(rng), rng.uniform(0, 2 * np.pi)
        mix = np.clip((x - 0.5) * np.cos(tilt) + (y - 0.5) * np.sin(tilt) + 0.5, 0, 1)[..., None]
        image = image * (1 - mix) + other * mix
    elif style == 2:
        cells = rng.uniform(-0.12, 0.12, (7, 7)).astype(np.float32)
        row, column = np.clip(y * 6, 0, 5.999), np.clip(x * 6, 0, 5.999)
        i, j, fy, fx = row.astype(int), column.astype(int), row % 1, column % 1
        soft = (cells[i, j] * (1 - fx) + cells[i, j + 1] * fx) * (1 - fy) + (
            cells[i + 1, j] * (1 - fx) + cells[i + 1, j + 1] * fx
        ) * fy
        image = image * (1 + soft[..., None])
    elif style == 3 and kind.mount in ("floor", "table"):
        horizon = rng.uniform(0.35, 0.75) + rng.uniform(-0.06, 0.06) * (x - 0.5)
        floor = _paint(rng) * (0.85 + 0.3 * (y - 0.5))[..., None]
        image = np.where((y > horizon)[..., None], floor, image)
    if kind.mount in ("floor", "table") and rng.random() < 0.6:
        image = image * (1 - rng.uniform(0.2, 0.5) * _contact_shadow(mesh, camera, x * size, y * size)[..., None])
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _paint(rng: np.random.Generator) -> NDArray[np.float32]:
    """A background colour (display values): mostly light and pale, sometimes dark or strong."""
    strong = rng.uniform(0.15, 0.9, 3)
    grey = np.full(3, rng.uniform(0.1, 0.5) if rng.random() < 0.2 else rng.uniform(0.6, 1.0))
    share = rng.uniform(0, 0.25) if rng.random() < 0.7 else rng.uniform(0.4, 0.9)
    return (grey * (1 - share) + strong * share).astype(np.float32)


def _contact_shadow(mesh: Mesh, camera: Camera, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """A soft ellipse under the object, 0..1: the Gaussian of where its footprint's corners appear."""
    (x0, y0, z), (x1, y1, _) = mesh.bounds
    corners = camera.project([(a, b, z) for a in (x0, x1) for b in (y0, y1)])[0]
    spread = np.linalg.inv(np.cov(corners.T) * 0.75 + np.eye(2) * 4)
    dx, dy = x - corners[:, 0].mean(), y - corners[:, 1].mean()
    return np.exp(-0.5 * (spread[0, 0] * dx**2 + 2 * spread[0, 1] * dx * dy + spread[1, 1] * dy**2)).astype(np.float32)
