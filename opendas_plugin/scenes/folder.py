"""A scene in OpenMask3D's layout: its pictures and its cloud, found and checked before any work starts."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.images import IMAGE_SUFFIXES, read_upright
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import read_lines
from opendas_plugin.scenes.views import Intrinsics, Views
from opendas_plugin.wording import some_of

log = logging.getLogger(__name__)


def find_frames(folder: str | Path) -> list[tuple[int, Path]]:
    """The frames that have a pose, ``<number>.txt`` with or without leading zeros, in order and with gaps as they are.

    Raises:
        MissingFileError: there are none.
        DataError: two files of one number.
    """
    folder = Path(folder)
    files = folder.iterdir() if folder.is_dir() else ()
    frames = sorted((int(p.stem), p) for p in files if p.stem.isdecimal() and p.suffix.lower() == ".txt")
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
    colour_suffix: str | None,
    depth: Path,
    depth_suffix: str,
    intrinsic: NDArray,
    intrinsic_size: tuple[int, int],
    depth_scale: float,
    scaling: Intrinsics,
) -> Views:
    """The pictures of the named frames, ``<folder>/<name><suffix>`` each, every file of which is there.

    Suffixes may be in upper case. A colour picture without the given suffix may have another; None: any. How many
    frames have no pose (lost tracking, so that they show nothing) is logged.

    Raises:
        MissingFileError: a picture is missing.
        DataError: a pose cannot be used, no frame has one, two files are of one picture, or a metre is nothing in the
            depth maps.
    """
    if not 0 < depth_scale < np.inf:
        raise DataError(f"depth_scale must be above 0, got {depth_scale}; 1000 is for depth maps in millimetres")
    colours = find_pictures(colour, names, colour_suffix, IMAGE_SUFFIXES)
    depths = find_pictures(depth, names, depth_suffix)
    matrices = np.array([read_pose(path) for path in find_pictures(poses, names, ".txt")]).reshape(-1, 4, 4)
    _tell_lost(poses, names, matrices)
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
    views = find_views(
        names,
        poses=folder / "pose",
        colour=folder / "color",
        colour_suffix=None,
        depth=folder / "depth",
        depth_suffix=".png",
        intrinsic=read_intrinsic(folder / "intrinsic" / "intrinsic_color.txt"),
        intrinsic_size=(0, 0),
        depth_scale=depth_scale,
        scaling=scaling,
    )
    height, width = read_upright(views.colour[0]).shape[:2]
    return replace(views, intrinsic_size=(height, width))


def find_pictures(folder: Path, names: Sequence[str], suffix: str | None, others: Sequence[str] = ()) -> list[Path]:
    """The files ``<name><suffix>`` of a folder, or those that have another suffix, or one in other case.

    Args:
        folder: where.
        names: of the frames.
        suffix: with its dot; None: any of the others, of which there may be one a frame.
        others: suffixes that will do.

    Raises:
        MissingFileError: a frame has no file.
        DataError: a frame has several.
    """
    endings = [ending.lower() for ending in (suffix, *others) if ending is not None]
    there: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        there.setdefault(path.name.lower(), []).append(path)
    found = []
    for name in names:
        exact = folder / f"{name}{suffix or endings[0]}"
        same = [path for ending in dict.fromkeys(endings) for path in there.get(f"{name}{ending}".lower(), ())]
        if suffix is not None and exact in same:
            same = [exact]
        if not same or not same[0].is_file():
            raise MissingFileError(f"{exact} does not exist; every pose needs a colour picture and a depth map")
        if len(same) > 1:
            raise DataError(f"{same[0]} and {same[1].name} are both of frame {name}; keep one of them")
        found.append(same[0])
    return found


def _tell_lost(poses: Path, names: Sequence[str], matrices: NDArray[np.float64]) -> None:
    """Says how many frames have no pose."""
    lost = [name for name, matrix in zip(names, matrices, strict=True) if not np.isfinite(matrix).all()]
    if lost and len(lost) == len(names):
        raise DataError(f"none of the {len(names)} matrices in {poses} is a pose: all hold infinite or missing values")
    if lost:
        log.warning(
            "%s: %s",
            some_of(
                *(len(lost), len(names), "picture"),
                one="has no pose (infinite values: lost tracking) and shows nothing",
                many="have no pose (infinite values: lost tracking) and show nothing",
            ),
            ", ".join(lost[:5]) + (" and on" if len(lost) > 5 else ""),
        )


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
