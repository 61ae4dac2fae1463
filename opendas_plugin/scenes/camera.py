"""A pinhole camera: the rays of its pixels, and where points appear.

It follows OpenCV: x right, y down, z forward; a pixel's centre lies at its index plus one half, so that the integer
part of a projected point is its pixel (COLMAP's convention too).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Floats: TypeAlias = NDArray[np.float32]


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
        return self._from_eye(self._across(pixels[:, :1]) + self._down(pixels[:, 1:]))

    def all_rays(self) -> tuple[_Floats, _Floats]:
        """The rays through the pixels' centres, row by row, (H * W, 3): those of :meth:`rays`, to the bit."""
        across, down = (
            (np.arange(count, dtype=np.float32) + np.float32(0.5))[:, None] for count in (self.width, self.height)
        )
        return self._from_eye((self._across(across) + self._down(down)[:, None]).reshape(-1, 3))

    def _across(self, x: _Floats) -> _Floats:
        return x * self._matrix[:, 0]

    def _down(self, y: _Floats) -> _Floats:
        return y * self._matrix[:, 1] + self._matrix[:, 2]

    def _from_eye(self, directions: _Floats) -> tuple[_Floats, _Floats]:
        return np.broadcast_to(self.pose[:3, 3].astype(np.float32), directions.shape), directions

    @cached_property
    def _matrix(self) -> _Floats:
        return (self.pose[:3, :3] @ np.linalg.inv(self.intrinsics)).astype(np.float32)

    def project(self, points: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where world points (N, 3) appear: (N, 2) (x, y) in pixels, and (N,) depths in metres, <= 0 behind."""
        local = (np.asarray(points, np.float64) - self.pose[:3, 3]) @ self.pose[:3, :3]
        image = local @ self.intrinsics.T
        with np.errstate(divide="ignore", invalid="ignore"):
            return image[:, :2] / image[:, 2:], local[:, 2]
