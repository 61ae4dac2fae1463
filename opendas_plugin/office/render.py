"""Pictures of a mesh by ray casting: colour, depth and the face behind every pixel.

Shading is Lambert's with an ambient term that is brighter from above and one shadow ray a light. Cameras follow
OpenCV: x right, y down, z forward; a pixel's centre lies at its index plus one half, so that the integer part of a
projected point is its pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from opendas_plugin.data.raycast import RayCaster
from opendas_plugin.office.geometry import Mesh

_Floats: TypeAlias = NDArray[np.float32]

_EDGE = 12 / 255  # neighbours that differ by more than this are drawn again at two more places
_CORNERS = np.array([(-0.3, -0.3), (0.3, 0.3)], np.float32)
_GREY = np.array([0.4, 0.4, 0.2], np.float32)


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera.

    Attributes:
        intrinsics: (3, 3) float, pixels.
        pose: (4, 4) float, camera to world, metres.
        width, height: pixels.
    """

    intrinsics: NDArray[np.float64]
    pose: NDArray[np.float64]
    width: int
    height: int

    @classmethod
    def look_at(
        cls, eye: ArrayLike, target: ArrayLike, *, width: int, height: int, fov: float = 60.0, roll: float = 0.0
    ) -> Camera:
        """A camera at ``eye`` (metres, z up) with ``target`` in its centre; fov (across) and roll in degrees."""
        eye, target = np.asarray(eye, np.float64), np.asarray(target, np.float64)
        forward = (target - eye) / np.linalg.norm(target - eye)
        up = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.999 else np.array([0.0, 1.0, 0.0])
        right = np.cross(forward, up)
        right /= np.linalg.norm(right)
        down = np.cross(forward, right)
        cosine, sine = np.cos(np.deg2rad(roll)), np.sin(np.deg2rad(roll))
        pose = np.eye(4)
        pose[:3, 0], pose[:3, 1] = cosine * right + sine * down, cosine * down - sine * right
        pose[:3, 2], pose[:3, 3] = forward, eye
        focal = width / 2 / np.tan(np.deg2rad(fov) / 2)
        return cls(np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]]), pose, width, height)

    def shrunk(self, factor: int) -> Camera:
        """The same view in pixels ``factor`` times as wide and high."""
        intrinsics = self.intrinsics / [[factor], [factor], [1]]
        return Camera(intrinsics, self.pose, self.width // factor, self.height // factor)

    def centres(self) -> _Floats:
        """Image positions of all pixels' centres, row by row, (H * W, 2) (x, y)."""
        y, x = np.divmod(np.arange(self.height * self.width), self.width)
        return np.stack([x, y], axis=1).astype(np.float32) + np.float32(0.5)

    def rays(self, pixels: _Floats) -> tuple[_Floats, _Floats]:
        """Rays through image positions (N, 2) (x, y): origins and directions, (N, 3) float32, with depth 1 along z."""
        inverse = np.linalg.inv(self.intrinsics)
        matrix = (self.pose[:3, :3] @ inverse).astype(np.float32)
        directions = pixels[:, :1] * matrix[:, 0] + (pixels[:, 1:] * matrix[:, 1] + matrix[:, 2])
        return np.broadcast_to(self.pose[:3, 3].astype(np.float32), directions.shape), directions

    def project(self, points: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where world points (N, 3) appear: (N, 2) (x, y) in pixels, and (N,) depths in metres, <= 0 behind."""
        local = (np.asarray(points, np.float64) - self.pose[:3, 3]) @ self.pose[:3, :3]
        image = local @ self.intrinsics.T
        with np.errstate(divide="ignore", invalid="ignore"):
            return image[:, :2] / image[:, 2:], local[:, 2]


@dataclass(frozen=True)
class Light:
    """A lamp at ``position`` (metres) of linear ``colour``, halved at ``reach`` metres (inf: the same everywhere)."""

    position: tuple[float, float, float]
    colour: tuple[float, float, float] = (0.7, 0.7, 0.7)
    reach: float = float("inf")
    shadow: bool = True


@dataclass(frozen=True)
class Lighting:
    """All light of a scene: lamps and linear ``ambient`` colour, of which faces that look down get less."""

    lights: tuple[Light, ...] = (Light((2.0, -4.0, 6.0)),)
    ambient: tuple[float, float, float] = (0.45, 0.45, 0.45)


@dataclass(frozen=True, eq=False)
class Picture:
    """What a camera sees.

    Attributes:
        colour: (H, W, 3) uint8 RGB.
        depth: (H, W) float32, metres along the camera's z axis; 0 where there is nothing.
        face: (H, W) int32, row of the mesh's faces; -1 where there is nothing.
    """

    colour: NDArray[np.uint8]
    depth: NDArray[np.float32]
    face: NDArray[np.int32]


def render(
    mesh: Mesh,
    camera: Camera,
    lighting: Lighting = Lighting(),
    *,
    background: ArrayLike = (255, 255, 255),
    smooth: bool = True,
    caster: RayCaster | None = None,
) -> Picture:
    """Draws ``mesh``, whose face colours are linear albedo; the picture is encoded with gamma 2.

    Args:
        background: what is behind the mesh, uint8 RGB: one colour (3,) or an image (H, W, 3).
        smooth: draw pixels on edges with three rays (colour alone; depth and face are those of the pixel's centre).
        caster: a caster of this very mesh, to save building one for every picture.
    """
    caster = caster or RayCaster(mesh.vertices, mesh.faces)
    size = (camera.height, camera.width)
    behind: _Floats = np.broadcast_to(np.asarray(background, np.float32) / np.float32(255), (*size, 3)).reshape(-1, 3)
    surface = _Surface(mesh, caster, lighting)
    colour, depth, face = surface.shade(*camera.rays(camera.centres()), behind)
    if smooth:
        edges = _edges(colour.reshape(*size, 3))
        for corner in _CORNERS:
            rays = camera.rays(camera.centres()[edges] + corner)
            colour[edges] += surface.shade(*rays, behind[edges])[0]
        colour[edges] /= 1 + len(_CORNERS)
    return Picture((colour * 255 + 0.5).astype(np.uint8).reshape(*size, 3), depth.reshape(size), face.reshape(size))


class _Surface:
    def __init__(self, mesh: Mesh, caster: RayCaster, lighting: Lighting) -> None:
        corners = mesh.vertices[mesh.faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        self._normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        self._albedo = mesh.colours
        self._caster, self._lighting = caster, lighting

    def shade(
        self, origins: _Floats, directions: _Floats, behind: _Floats
    ) -> tuple[_Floats, _Floats, NDArray[np.int32]]:
        """Colours (N, 3) in 0..1 (display), depths and faces of rays; ``behind`` (N, 3) where they meet nothing."""
        face, depth = self._caster.cast(origins, directions)
        hit = np.flatnonzero(face >= 0)
        normal, ray = self._normals[face[hit]], directions[hit]
        facing = np.einsum("ij,ij->i", normal, ray)[:, None]
        normal = np.where(facing > 0, -normal, normal)
        point = origins[hit] + ray * depth[hit, None] + normal * np.float32(1e-4)
        light = np.asarray(self._lighting.ambient, np.float32) * (0.85 + 0.15 * normal[:, 2:])
        for lamp in self._lighting.lights:
            light += self._received(lamp, point, normal)
        colour = behind.copy()
        colour[hit] = np.sqrt(np.minimum(self._albedo[face[hit]] * light, 1))
        return colour, np.where(face >= 0, depth, np.float32(0)), face

    def _received(self, lamp: Light, point: _Floats, normal: _Floats) -> _Floats:
        towards = np.asarray(lamp.position, np.float32) - point
        distance = np.linalg.norm(towards, axis=1)
        received = np.maximum(np.einsum("ij,ij->i", normal, towards), 0) / distance / (1 + (distance / lamp.reach) ** 2)
        if lamp.shadow:
            lit = np.flatnonzero(received > 0.01)
            received[lit[self._caster.blocked(point[lit], towards[lit])]] = 0
        return received[:, None] * np.asarray(lamp.colour, np.float32)


def _edges(colour: _Floats) -> NDArray[np.intp]:
    grey = np.einsum("ijk,k->ij", colour, _GREY)
    edge = np.zeros(grey.shape, bool)
    across, down = np.abs(np.diff(grey, axis=1)) > _EDGE, np.abs(np.diff(grey, axis=0)) > _EDGE
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return np.flatnonzero(edge)
