"""COLMAP's text model: ``cameras.txt`` and ``images.txt``, as ScanNet++ and others publish poses."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.files import read_lines, require_unique
from opendas_plugin.scenes.camera import Camera
from opendas_plugin.wording import counted

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
    """The images of a model in the order of their numbers.

    The small distortion of an ``OPENCV`` camera is left out, as ScanNet++'s toolbox does for the phone. An image's
    second line, the points that it sees, may be empty, and files without such lines are read too.

    Raises:
        MissingFileError, DataError: a file is missing, not of COLMAP's text format, of another camera model, has a
            number or a name twice, or fewer images than it says.
    """
    cameras, path = _cameras(folder / "cameras.txt"), folder / "images.txt"
    views: list[tuple[int, View]] = []
    after_image = False
    for line in _lines(path):
        points, after_image = after_image, False
        if not line or line.startswith("#") or (points and _is_points(line)):
            continue
        number, pose, camera, name = _image(line, path)
        if camera not in cameras:
            raise DataError(f"{path}: the camera {camera} of {name} is not in cameras.txt; download both again")
        model, width, height, numbers = cameras[camera]
        intrinsics = np.array([[numbers[0], 0, numbers[2]], [0, numbers[1], numbers[3]], [0, 0, 1]])
        distortion = np.array((*numbers[4:8], 0, 0, 0, 0)[:4]) if model == FISHEYE else None
        views.append((number, View(name, Camera(intrinsics, _to_world(pose), width, height), distortion)))
        after_image = True
    if not views:
        raise DataError(f"{path} holds no image; download it again")
    require_unique((number for number, _ in views), f"{path}: the image number")
    require_unique((view.name for _, view in views), f"{path}: the image")
    _check_count(path, len(views))
    return [view for _, view in sorted(views, key=lambda pair: pair[0])]


def _is_points(line: str) -> bool:
    """Whether a line holds the points of an image: x, y and a number, any times; an image's has a name at its end."""
    words = line.split()
    try:
        return len(words) % 3 == 0 and all(map(math.isfinite, map(float, words)))
    except ValueError:
        return False


def _image(line: str, path: Path) -> tuple[int, NDArray[np.float64], int, str]:
    words = line.split(maxsplit=9)
    try:
        number, pose, camera, name = int(words[0]), np.array(words[1:8], np.float64), int(words[8]), words[9]
    except (ValueError, IndexError) as error:
        raise DataError(f"{path}: expected COLMAP's line of an image, got {line!r:.80}") from error
    if not np.isfinite(pose).all() or not pose[:4].any():
        raise DataError(f"{path}: the pose of {name} is no rotation and place, {line!r:.80}")
    return number, pose, camera, name


def _check_count(path: Path, found: int) -> None:
    """COLMAP writes the number of images into a remark at the top; a file that was cut off has fewer."""
    for line in _lines(path):
        said = re.match(r"#\s*Number of images:\s*(\d{1,12})\b", line)
        if said and int(said[1]) != found:
            raise DataError(
                f"{path} says {counted(int(said[1]), 'image')} and holds {found:,}; download it again, or correct "
                "the remark"
            )


def _cameras(path: Path) -> dict[int, tuple[str, int, int, list[float]]]:
    """Camera number -> model, width, height and parameters."""
    found: list[tuple[int, tuple[str, int, int, list[float]]]] = []
    for line in _lines(path):
        if not line or line.startswith("#"):
            continue
        try:
            number, model, width, height, *rest = line.split()
            camera = model, int(width), int(height), [float(value) for value in rest]
            found.append((int(number), camera))
        except ValueError as error:
            raise DataError(f"{path}: expected COLMAP's line of a camera, got {line!r:.80}") from error
        if model not in _MODELS or len(camera[3]) < 4:
            raise DataError(f"{path}: expected a camera of {', '.join(_MODELS)}, got {line!r:.80}")
        if min(camera[1:3]) < 1 or not np.isfinite(camera[3]).all() or min(camera[3][:2]) <= 0:
            raise DataError(f"{path}: expected sizes and focal lengths above 0, got {line!r:.80}")
    if not found:
        raise DataError(f"{path} holds no camera; download it again")
    require_unique((number for number, _ in found), f"{path}: the camera")
    return dict(found)


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
    return read_lines(path, "download the poses of this scene")
