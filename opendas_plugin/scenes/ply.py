"""The one reader of PLY files, of clouds and of meshes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.wording import counted

_HEAD = 1 << 16  # bytes that a head may have


@dataclass(frozen=True, eq=False)
class Ply:
    """What a PLY file holds.

    Attributes:
        points: (N, 3) float64, the vertices in the file's order.
        colours: (N, 3) uint8 RGB; None: it has none.
        faces: (F, 3) int32, none for a cloud.
    """

    points: NDArray[np.float64]
    colours: NDArray[np.uint8] | None
    faces: NDArray[np.int32]


def load_ply(path: str | Path) -> Ply:
    """Reads a PLY file, all of the vertices that its head says.

    Raises:
        MissingFileError, DataError: there is no such file, it holds no points, fewer than its head says, points that
            are not finite, or faces of other vertices.
    """
    said = _vertices_in_head(Path(path))
    import trimesh  # slow to import

    try:
        loaded: Any = trimesh.load(str(path), file_type="ply", process=False)
        points = np.asarray(loaded.vertices, dtype=np.float64)
        cloud = isinstance(loaded, trimesh.PointCloud)
        faces = np.empty((0, 3), np.int32) if cloud else np.asarray(loaded.faces, dtype=np.int32).reshape(-1, 3)
        colours = getattr(loaded, "colors", None) if cloud else _mesh_colours(loaded)
    except Exception as error:  # a damaged file can fail at any point of its reader
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path} cannot be read as a PLY file ({reason}); download or make it again") from error
    if not len(points):
        raise DataError(f"{path} holds no points; expected a scene's point cloud or mesh")
    if len(points) != said:
        raise DataError(
            f"{path} holds {counted(len(points), 'point')}, but its head says {said:,}; download or make it again"
        )
    if not np.isfinite(points).all():
        raise DataError(
            f"{path}: point {int((~np.isfinite(points)).any(axis=1).argmax())} is not finite; make it again"
        )
    if len(faces) and not (faces.min() >= 0 and faces.max() < len(points)):
        raise DataError(f"{path}: faces name vertices {faces.min()} to {faces.max()}, but there are {len(points)}")
    if colours is None or len(colours) != len(points):
        return Ply(points, None, faces)
    return Ply(points, np.asarray(colours, dtype=np.uint8)[:, :3], faces)


def _vertices_in_head(path: Path) -> int:
    """The number of vertices that the file claims, which its size must allow."""
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; expected a scene's point cloud or mesh")
    with open(path, "rb") as file:
        head = file.read(_HEAD).partition(b"end_header")[0]
    found = re.search(rb"element\s+vertex\s+(\d{1,15})\s", head)
    if not head.startswith(b"ply") or found is None:
        raise DataError(f"{path} cannot be read as a PLY file (it has no head with vertices); expected a scene's cloud")
    count = int(found[1])
    if count > path.stat().st_size:
        raise DataError(f"{path} says {counted(count, 'point')}, more than it has bytes; download or make it again")
    return count


def _mesh_colours(mesh: Any) -> Any:
    return getattr(mesh.visual, "vertex_colors", None) if mesh.visual.kind == "vertex" else None
