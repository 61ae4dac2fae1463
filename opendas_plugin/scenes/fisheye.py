"""Straightening fisheye pictures, with OpenCV as ScanNet++'s toolbox does (dslr/undistort.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import MissingDependencyError
from opendas_plugin.scenes.camera import Camera
from opendas_plugin.scenes.colmap import View


def straight_camera(view: View) -> Camera:
    """The pinhole camera of a fisheye view's straightened picture: as large, with the axis in its middle.

    Raises:
        MissingDependencyError: OpenCV is not installed.
    """
    camera, size = view.camera, (view.camera.width, view.camera.height)
    matrix = _opencv().fisheye.estimateNewCameraMatrixForUndistortRectify(
        _at_centres(camera.intrinsics), view.distortion, size, np.eye(3), balance=0.0
    )
    matrix[0, 2], matrix[1, 2] = camera.width / 2, camera.height / 2
    return Camera(matrix, camera.pose, *size)


def straighten(picture: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """The picture (H, W, 3) as the camera of :func:`straight_camera` sees it; what lies outside is mirrored in.

    Raises:
        MissingDependencyError: OpenCV is not installed.
    """
    cv2 = _opencv()
    size = (view.camera.width, view.camera.height)
    target = _at_centres(straight_camera(view).intrinsics)
    maps = cv2.fisheye.initUndistortRectifyMap(
        _at_centres(view.camera.intrinsics), view.distortion, np.eye(3), target, size, cv2.CV_32FC1
    )
    return cv2.remap(picture, *maps, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _at_centres(intrinsics: NDArray[np.float64]) -> NDArray[np.float64]:
    """OpenCV counts a pixel's centre as its index, COLMAP as its index plus one half."""
    moved = intrinsics.copy()
    moved[:2, 2] -= 0.5
    return moved


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise MissingDependencyError("fisheye pictures need OpenCV; pip install 'opendas-plugin[cv]'") from error
    return cv2
