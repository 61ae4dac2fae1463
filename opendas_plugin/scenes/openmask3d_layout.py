"""A ScanNet++ scene as OpenMask3D reads it: pictures, depth, poses, points, and class-agnostic masks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from opendas_plugin.errors import DataError
from opendas_plugin.scenes.mask_arrays import read_masks, save_masks
from opendas_plugin.scenes.mask_files import read_listing, read_rle
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
        path: a mask file as :func:`~.mask_arrays.read_masks` takes it; or a folder of predictions in ScanNet++'s
            format, whose ``<scene>.txt`` has lines ``mask_file class_id score`` and mask files hold run-length codes.
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
    array = read_masks(path)
    if array.shape[0] != points or not array.shape[1]:
        raise DataError(f"{path}: expected masks of shape ({points}, masks), got {array.shape}")
    return array.toarray()


def _listed(folder: Path, scene: str, points: int) -> Iterator[NDArray[np.bool_]]:
    for _, mask, _, _ in read_listing(folder, scene):
        inside = np.zeros(points, dtype=bool)
        inside[read_rle(folder / mask, points)] = True
        yield inside
