"""A scene in OpenMask3D's layout: its pictures and its cloud, found and checked before any work starts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.images import IMAGE_SUFFIXES, read_upright
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import find_files, read_lines
from opendas_plugin.scenes.views import Intrinsics, Views


def find_frames(folder: str | Path) -> list[tuple[int, Path]]:
    """The frames that have a pose, ``<number>.txt`` with or without leading zeros, in order and with gaps as they are.

    Raises:
        MissingFileError: there are none.
        DataError: two files of one number.
    """
    folder = Path(folder)
    frames = sorted((int(path.stem), path) for path in folder.glob("*.txt") if path.stem.isdecimal())
    if not frames:
        raise MissingFileError(f"{folder} holds no poses; expected 4x4 camera-to-world matrices as 0.txt, 1.txt and on")
    for (number, path), (following, other) in itertools.pairwise(frames):
        if number == following:
            raise DataError(f"{path} and {other.name} are both frame {number}; remove one")
    return frames


def check_numbering(folder: str | Path) -> None:
    """Checks that OpenMask3D, which counts ``0.txt``, ``1.txt`` up to the first gap, meets all frames.

    Raises:
        MissingFileError, DataError: there are none, or it meets only some.
    """
    frames = find_frames(folder)
    for number, (_, path) in enumerate(frames):
        if path.stem != str(number):
            raise DataError(
                f"OpenMask3D counts poses up to the first gap and meets {number} of {len(frames)}: {number}.txt is "
                f"missing in {folder}; number the frames 0, 1, 2 and on without leading zeros, in all folders"
            )


_RIGID = 0.05
"""By how much a rotation's columns may miss unit length and right angles; written with few digits they do a little."""


def read_pose(path: Path) -> NDArray[np.float64]:
    """A 4x4 camera-to-world matrix; one with infinite or missing values (lost tracking) is of a picture of nothing.

    Raises:
        MissingFileError, DataError: there is no such file, not 4x4 numbers, or no rotation and place.
    """
    pose = _matrix(path, "a 4x4 camera-to-world matrix", ((4, 4),))
    if not np.isfinite(pose).all():
        return pose
    if abs(np.linalg.det(pose)) < 1e-9:
        raise DataError(f"{path} holds a matrix without an inverse; expected a 4x4 camera-to-world matrix")
    turn = pose[:3, :3]
    if np.abs(turn.T @ turn - np.eye(3)).max() > _RIGID or np.linalg.det(turn) < 0:
        raise DataError(f"{path}: its upper left 3x3 numbers are no rotation; expected a pose in metres, without scale")
    if np.abs(pose[3] - (0, 0, 0, 1)).max() > 1e-3:
        raise DataError(f"{path}: its last row is not 0 0 0 1; expected a 4x4 camera-to-world matrix, row by row")
    return pose


def read_intrinsic(path: Path) -> NDArray[np.float64]:
    """A (3, 3) intrinsic matrix from a file of 3x3 or 4x4 numbers.

    Raises:
        MissingFileError, DataError: there is no such file, or it holds something else.
    """
    matrix = _matrix(path, "a 3x3 or 4x4 intrinsic matrix", ((3, 3), (4, 4), (3, 4)))
    found: NDArray[np.float64] = matrix[:3, :3]
    if not np.isfinite(found).all() or min(found[0, 0], found[1, 1]) <= 0:
        raise DataError(f"{path}: expected focal lengths above 0 on the diagonal, got {found[0, 0]:g}, {found[1, 1]:g}")
    if np.abs(found[2] - (0, 0, 1)).max() > 1e-6 or abs(found[1, 0]) > 1e-6:
        raise DataError(f"{path} holds no intrinsic matrix; expected the rows fx 0 cx, 0 fy cy and 0 0 1")
    return found


def _matrix(path: Path, what: str, shapes: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    rows = [
        line.replace(",", " ").split() for line in read_lines(path, f"expected {what}") if line[:1] not in ("", "#")
    ]
    try:
        matrix = np.array(rows, dtype=np.float64)
    except ValueError as error:
        kind = "a pose" if "pose" in what or "world" in what else "intrinsics"
        raise DataError(f"{path} cannot be read as {kind} ({error}); expected {what}") from error
    if matrix.shape not in shapes:
        shape = matrix.shape if len(matrix) > 1 else matrix.shape[-1:]
        raise DataError(f"{path} holds {shape} numbers; expected {what}")
    return matrix


def find_views(
    names: Sequence[str],
    *,
    poses: Path,
    colour: Path,
    colour_suffix: str,
    depth: Path,
    depth_suffix: str,
    intrinsic: NDArray,
    intrinsic_size: tuple[int, int],
    depth_scale: float,
    scaling: Intrinsics,
) -> Views:
    """The pictures of the named frames, ``<folder>/<name><suffix>`` each, every file of which is there.

    Raises:
        MissingFileError: a picture is missing.
        DataError: a pose cannot be used, or a metre is nothing in the depth maps.
    """
    if not 0 < depth_scale < np.inf:
        raise DataError(f"depth_scale must be above 0, got {depth_scale}; 1000 is for depth maps in millimetres")
    colours, depths = ([folder / f"{name}{suffix}" for name in names]
                       for folder, suffix in ((colour, colour_suffix), (depth, depth_suffix)))  # fmt: skip
    for path in (*colours, *depths):
        if not path.is_file():
            raise MissingFileError(f"{path} does not exist; every pose needs a colour picture and a depth map")
    matrices = np.array([read_pose(poses / f"{name}.txt") for name in names]).reshape(-1, 4, 4)
    return Views(colours, depths, matrices, intrinsic, intrinsic_size, depth_scale, scaling)


def open_scene(folder: Path, depth_scale: float = 1000.0, *, every: int = 1, scaling: Intrinsics = "correct") -> Views:
    """The pictures of a scene's folder: ``color/``, ``depth/``, ``pose/`` and ``intrinsic/intrinsic_color.txt``.

    Frames may have leading zeros and gaps in their numbers; the intrinsics are those of the colour pictures.

    Raises:
        MissingFileError, DataError: something is missing, or cannot be used.
    """
    if every < 1:
        raise DataError(f"every must be 1 or more, got {every}")
    names = [path.stem for _, path in find_frames(folder / "pose")][::every]
    suffix = _colour_suffix(folder / "color", names)
    views = find_views(
        names,
        poses=folder / "pose",
        colour=folder / "color",
        colour_suffix=suffix,
        depth=folder / "depth",
        depth_suffix=".png",
        intrinsic=read_intrinsic(folder / "intrinsic" / "intrinsic_color.txt"),
        intrinsic_size=(0, 0),
        depth_scale=depth_scale,
        scaling=scaling,
    )
    height, width = read_upright(views.colour[0]).shape[:2]
    return replace(views, intrinsic_size=(height, width))


def _colour_suffix(folder: Path, names: Sequence[str]) -> str:
    """The ending of the colour pictures, of which each frame must have one."""
    pictures = find_files(folder, IMAGE_SUFFIXES) if folder.is_dir() else {}
    return pictures[names[0]].suffix if names[0] in pictures else ".jpg"


def find_cloud(folder: Path) -> Path:
    """The one PLY file in a scene's folder, or of several the one that has the folder's name.

    Raises:
        MissingFileError: there is none.
    """
    clouds = sorted(folder.glob("*.ply"))
    named = folder / f"{folder.name}.ply"
    if len(clouds) != 1 and named not in clouds:
        raise MissingFileError(f"{folder} holds {len(clouds)} .ply files; expected the scene's cloud as {named.name}")
    return named if named in clouds else clouds[0]
