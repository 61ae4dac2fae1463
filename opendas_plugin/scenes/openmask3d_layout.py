"""A ScanNet++ scene as OpenMask3D reads it: pictures, depth, poses, points, and class-agnostic masks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import read_json
from opendas_plugin.scenes.mask_features import save_masks
from opendas_plugin.scenes.raycast import load_mesh
from opendas_plugin.scenes.scannetpp import ScanNetPPScene, Source
from opendas_plugin.scenes.scannetpp_views import SceneViews, scaled


def export_scene(
    scene: ScanNetPPScene,
    folder: Path,
    *,
    source: Source = "iphone",
    every: int = 20,
    width: int = 640,
) -> int:
    """Writes a scene into ``folder``; a terminal sees a progress bar.

    ``color/<i>.jpg``, ``depth/<i>.png`` (16-bit, millimetres, to the mesh) of one size, ``pose/<i>.txt`` (camera to
    world) with i from 0 without gaps, ``intrinsic/intrinsic_color.txt``, and ``<scene>.ply``, the mesh, whose vertices
    are the points.

    Args:
        scene: what to export.
        folder: where to; it must be new or empty.
        source: which camera; fisheye pictures are straightened.
        every: takes every n-th picture.
        width: of the pictures, in pixels.

    Returns:
        The number of pictures.

    Raises:
        MissingFileError, DataError: a file of the scene is missing or not as it should be.
    """
    for name in ("color", "depth", "pose", "intrinsic"):
        (folder / name).mkdir(parents=True)
    shutil.copyfile(scene.mesh, folder / f"{scene.name}.ply")
    views = SceneViews(scene, source, every=every)
    for number, view in enumerate(tqdm(views.views, desc=scene.name, unit="image", disable=None)):
        camera = scaled(views.camera(view), width)
        picture = Image.fromarray(views.picture(view))
        picture.resize((camera.width, camera.height), Image.Resampling.BICUBIC).save(
            folder / "color" / f"{number}.jpg", quality=95
        )
        depth = np.minimum(np.round(views.depth(camera) * 1000), 65535).astype(np.uint16)
        Image.fromarray(depth).save(folder / "depth" / f"{number}.png")
        np.savetxt(folder / "pose" / f"{number}.txt", camera.pose, fmt="%.9g")
    intrinsic = np.eye(4)
    intrinsic[:3, :3] = camera.intrinsics
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", intrinsic, fmt="%.9g")
    return len(views.views)


def export_masks(scene: ScanNetPPScene, path: Path, proposals: Path) -> None:
    """Writes a scene's class-agnostic masks as OpenMask3D's file ``<scene>_masks.pt``; see :func:`read_proposals`.

    Raises:
        MissingFileError, DataError: the mesh or the proposals are missing, or do not fit each other.
    """
    save_masks(path, read_proposals(proposals, scene.name, len(load_mesh(scene.mesh)[0])))


def read_proposals(path: Path, scene: str, points: int) -> NDArray[np.bool_]:
    """Class-agnostic masks (points, masks).

    Args:
        path: a NumPy file (points, masks) that is not 0 inside; or a folder of predictions in ScanNet++'s format, whose
            ``<scene>.txt`` has lines ``mask_file class_id score`` and mask files hold run-length codes.
        scene: the scene's id.
        points: of the scene.

    Raises:
        MissingFileError, DataError: a file is missing, not of its format, or about another number of points.
    """
    if path.is_dir():
        masks = list(_listed(path, scene, points))
        if not masks:
            raise DataError(f"{path / f'{scene}.txt'} lists no mask; give proposals for this scene")
        return np.stack(masks, axis=1)
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; give a NumPy file or a folder of predictions")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read as a NumPy file ({error}); save it with numpy.save") from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.shape[0] != points or not array.shape[1]:
        shape = getattr(array, "shape", "an archive")
        raise DataError(f"{path}: expected masks of shape ({points}, masks), got {shape}")
    return array != 0


def _listed(folder: Path, scene: str, points: int) -> Iterator[NDArray[np.bool_]]:
    listing = folder / f"{scene}.txt"
    if not listing.is_file():
        raise MissingFileError(f"{listing} does not exist; give proposals for this scene")
    for line in listing.read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield _decode(folder / line.split()[0], points)


def _decode(path: Path, points: int) -> NDArray[np.bool_]:
    """ScanNet++'s run-length code (common/utils/rle.py): pairs of a start, counted from 1, and a length."""
    content = read_json(path)
    try:
        numbers = np.array(str(content["counts"]).split(), np.int64)
        mask = np.zeros(int(content["length"]), bool)
        for start, length in zip(numbers[::2] - 1, numbers[1::2], strict=True):
            mask[start : start + length] = True
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: expected ScanNet++'s run-length code ({error!r})") from error
    if len(mask) != points:
        raise DataError(f"{path} is about {len(mask)} points, but the scene has {points}")
    return mask
