"""Which triangle a ray meets first: the project's one ray caster, on the Embree of :mod:`.embree`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.scenes.embree import find_engine
from opendas_plugin.scenes.ply import load_ply


class RayCaster:
    """A triangle mesh that rays can be cast at; built once, cast at often.

    Args:
        vertices: (V, 3) float, any unit; computed with in float32.
        faces: (F, 3) int, rows of ``vertices``.

    Raises:
        DataError: a shape is not (N, 3), there is no face, or a face names a vertex that is not there.
        MissingDependencyError: neither embreex nor libigl is installed.
    """

    def __init__(self, vertices: ArrayLike, faces: ArrayLike) -> None:
        points = np.ascontiguousarray(vertices, dtype=np.float32)
        triangles = np.ascontiguousarray(faces, dtype=np.int32)
        for name, array in (("vertices", points), ("faces", triangles)):
            if array.ndim != 2 or array.shape[1] != 3 or len(array) == 0:
                raise DataError(f"a mesh to cast rays at needs {name} of shape (N, 3), N > 0, got {array.shape}")
        if triangles.min() < 0 or triangles.max() >= len(points):
            raise DataError(f"faces name vertices {triangles.min()}..{triangles.max()}, but there are {len(points)}")
        self._engine = find_engine()(points, triangles)

    def cast(self, origins: ArrayLike, directions: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The first triangle on each ray, from either side.

        Args:
            origins: (N, 3) float.
            directions: (N, 3) float, not zero, of any length.

        Returns:
            The face's row, (N,) int32, -1 where the ray leaves the mesh; and how far it is, (N,) float32 in lengths
            of the ray's direction (the mesh's unit when directions are unit vectors), inf where there is none.
        """
        face, distance = self._engine.first(*_rays(origins, directions))
        return face, np.where(face < 0, np.float32(np.inf), distance)

    def blocked(self, origins: ArrayLike, directions: ArrayLike) -> NDArray[np.bool_]:
        """Whether anything lies on each segment from ``origins`` to ``origins + directions``; (N,) bool."""
        return self._engine.blocked(*_rays(origins, directions))


def load_mesh(path: str | Path) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Reads a triangle mesh of a PLY file: vertices (V, 3) and faces (F, 3), in the file's own order.

    Raises:
        MissingFileError, DataError: there is no such file, it is not a mesh with faces, or a face names no vertex.
    """
    ply = load_ply(path)
    if not len(ply.faces):
        raise DataError(f"{path} holds no faces; expected a triangle mesh")
    return ply.points.astype(np.float32), ply.faces


def _rays(origins: ArrayLike, directions: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    starts = np.ascontiguousarray(origins, dtype=np.float32)
    steps = np.ascontiguousarray(directions, dtype=np.float32)
    if starts.ndim != 2 or starts.shape[1] != 3 or starts.shape != steps.shape:
        raise DataError(f"rays need origins and directions of one shape (N, 3), got {starts.shape} and {steps.shape}")
    return starts, steps
