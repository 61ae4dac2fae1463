"""COLMAP's text model: ``cameras.txt`` and ``images.txt``, as ScanNet++ and others publish poses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.scenes.camera import Camera

FISHEYE = "OPENCV_FISHEYE"
_MODELS = ("PINHOLE", "OPENCV", FISHEYE)  # all begin with fx, fy, cx, cy


@dataclass(frozen=True, eq=False)
class View:
    """A posed image.

    Attributes:
        name: the image's file name.
        camera: its pinhole camera; of a fisheye image without the distortion.
        distortion: (4,) of a fisheye image (Kannala and Brandt's, as OpenCV numbers them); None otherwise.
    """

    name: str
    camera: Camera
    distortion: NDArray[np.float64] | None = None


def read_views(folder: Path) -> list[View]:
    """The images of a model in the order of their numbers; all share its first camera, as in ScanNet++.

    The small distortion of an ``OPENCV`` camera is left out, as ScanNet++'s toolbox does for the phone.

    Raises:
        MissingFileError, DataError: a file is missing, not of COLMAP's text format, or of another camera model.
    """
    model, width, height, numbers = _camera(folder / "cameras.txt")
    intrinsics = np.array([[numbers[0], 0, numbers[2]], [0, numbers[1], numbers[3]], [0, 0, 1]])
    distortion = np.array((*numbers[4:8], 0, 0, 0, 0)[:4]) if model == FISHEYE else None
    views = {}
    path = folder / "images.txt"
    lines = iter(_lines(path))
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split(maxsplit=9)
        next(lines, "")  # the points that the image sees
        try:
            number, *pose = int(words[0]), *map(float, words[1:8])
            name = words[9].strip()
        except (ValueError, IndexError) as error:
            raise DataError(f"{path}: expected COLMAP's line of an image, got {line!r:.80}") from error
        views[number] = View(name, Camera(intrinsics, _to_world(np.array(pose)), width, height), distortion)
    if not views:
        raise DataError(f"{path} holds no image; download it again")
    return [views[number] for number in sorted(views)]


def _camera(path: Path) -> tuple[str, int, int, list[float]]:
    for line in _lines(path):
        if line.strip() and not line.startswith("#"):
            try:
                _, model, width, height, *rest = line.split()
                numbers = [float(number) for number in rest]
                if model not in _MODELS or len(numbers) < 4:
                    raise DataError(f"{path}: expected a camera of {', '.join(_MODELS)}, got {line.strip()!r:.80}")
                return model, int(width), int(height), numbers
            except ValueError as error:
                if isinstance(error, DataError):
                    raise
                raise DataError(f"{path}: expected COLMAP's line of a camera, got {line!r:.80}") from error
    raise DataError(f"{path} holds no camera; download it again")


def _to_world(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """(qw, qx, qy, qz, tx, ty, tz) of world to camera -> (4, 4) camera to world."""
    w, x, y, z = pose[:4] / np.linalg.norm(pose[:4])
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation.T, -rotation.T @ pose[4:]
    return matrix


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; download the poses of this scene")
    return path.read_text(encoding="utf-8").splitlines()
