"""Point clouds: their PLY files, and a cloud from RGB-D pictures; the one file that knows open3d (extra ``3d``)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError, MissingDependencyError
from opendas_plugin.files import atomic_file
from opendas_plugin.scenes.ply import load_ply
from opendas_plugin.scenes.views import Views


def read_ply(path: str | Path) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Reads the vertices of a PLY file, of a cloud or a mesh, in their order.

    Returns:
        points (N, 3), and their colours (N, 3) RGB, grey where the file has none.

    Raises:
        MissingFileError, DataError: there is no such file, or it holds no points.
    """
    ply = load_ply(path)
    grey = np.full((len(ply.points), 3), 160, dtype=np.uint8)
    return ply.points, grey if ply.colours is None else ply.colours


def write_ply(path: str | Path, points: NDArray, colours: NDArray[np.uint8]) -> None:
    """Writes points (N, 3) and their colours (N, 3) RGB as a binary PLY file.

    Raises:
        OutputError: it cannot be written; what was there is as it was.
    """
    import trimesh

    with atomic_file(path) as temporary:
        temporary.write_bytes(trimesh.PointCloud(points, colours).export(file_type="ply"))


def fuse(views: Views, order: Iterable[int], *, voxel: float = 0.02, farthest: float = 4.0) -> tuple[NDArray, NDArray]:
    """Fuses RGB-D pictures into a cloud: a truncated signed distance function (Curless and Levoy, 1996) by open3d.

    Args:
        views: the pictures; colour and depth of one shape, each projected by the matrix of its own size.
        order: their numbers, perhaps with a progress bar.
        voxel: distance of the points, metres.
        farthest: depth beyond this many metres is not used.

    Returns:
        points (N, 3), metres, and their colours (N, 3) uint8 RGB.

    Raises:
        MissingDependencyError: open3d is not there.
        DataError: nothing is fused.
    """
    o3d = import_open3d()
    tensor, image = o3d.core.Tensor, o3d.t.geometry.Image
    names, width = ("tsdf", "weight", "color"), 16  # a block is width x width x width voxels
    grid = o3d.t.geometry.VoxelBlockGrid(names, (o3d.core.float32,) * 3, ((1,), (1,), (3,)), voxel, width, 10_000)
    matrix, of_colour, seen = tensor(views.scaled_intrinsic), tensor(views.intrinsic), 0
    for view in order:
        if not np.isfinite(views.poses[view]).all():
            continue
        depth = image(views.read_depth(view).astype(np.float32))
        colour = image(views.read_colour(view).astype(np.float32))
        extrinsic = tensor(np.linalg.inv(views.poses[view]))
        blocks = grid.compute_unique_block_coordinates(depth, matrix, extrinsic, 1.0, farthest)
        grid.integrate(blocks, depth, colour, matrix, of_colour, extrinsic, 1.0, farthest)
        seen += 1
    cloud = grid.extract_point_cloud(weight_threshold=1.0 if seen > 1 else 0.0).point  # noise is seen once
    if "colors" not in cloud or not len(cloud.positions):
        raise DataError("the pictures fuse to no point; check depth_scale, poses and intrinsics")
    colours = cloud.colors.numpy().clip(0, 255).round().astype(np.uint8)
    return cloud.positions.numpy().astype(np.float64), colours


def geometric_masks(points: NDArray, *, planes: int = 12, gap: float = 0.06, fewest: int = 150) -> NDArray[np.bool_]:
    """Splits a cloud by geometry alone: large planes first, then what hangs together; no network, no labels.

    Args:
        points: (N, 3), metres.
        planes: how many planes are looked for at most.
        gap: points further apart than this, in metres, do not hang together.
        fewest: points of a mask.

    Returns:
        (N, M), no point in two masks and some in none.

    Raises:
        MissingDependencyError: open3d is not there.
        DataError: no part is large enough.
    """
    o3d = import_open3d()
    o3d.utility.random.seed(0)
    rest, parts = np.arange(len(points)), []
    for _ in range(planes):
        if len(rest) < fewest:
            break
        _, inside = _cloud(o3d, points[rest]).segment_plane(distance_threshold=0.025, ransac_n=3, num_iterations=500)
        if len(inside) < max(fewest, 0.02 * len(points)):
            break
        parts += _hanging_together(o3d, points, rest[inside], gap, fewest)
        rest = np.delete(rest, inside)
    parts += _hanging_together(o3d, points, rest, gap, fewest)
    if not parts:
        raise DataError(f"no part of {len(points)} points has {fewest} of them; fuse with smaller voxels")
    masks = np.zeros((len(points), len(parts)), dtype=bool)
    for column, part in enumerate(sorted(parts, key=len, reverse=True)):
        masks[part, column] = True
    return masks


def import_open3d() -> Any:
    """Imports open3d.

    Raises:
        MissingDependencyError: it is not installed, or one of the system's libraries that it wants is not.
    """
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"open3d cannot be imported ({error}); pip install 'opendas-plugin[3d]', and on Debian apt install "
            "libusb-1.0-0 libgl1 libgomp1"
        ) from error
    return open3d


def _cloud(o3d: Any, points: NDArray) -> Any:
    return o3d.geometry.PointCloud(o3d.utility.Vector3dVector(np.asarray(points, dtype=np.float64)))


def _hanging_together(o3d: Any, points: NDArray, rows: NDArray, gap: float, fewest: int) -> list[NDArray]:
    """The connected parts (DBSCAN) of the points at ``rows`` that are large enough, as rows."""
    if not len(rows):
        return []
    labels = np.asarray(_cloud(o3d, points[rows]).cluster_dbscan(eps=gap, min_points=8))
    return [rows[labels == label] for label in range(labels.max() + 1) if (labels == label).sum() >= fewest]
