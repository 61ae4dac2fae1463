"""The pixels of a 3D mask in a picture, from the depth map: a stand-in for SAM where depth is exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from integrations.openmask3d.regions import Region
from opendas_plugin.crops import mask_box
from opendas_plugin.scenes.views import Projector

_REACH = 0.15  # metres from a pixel's surface to the nearest point of the cloud


def fill_regions(projector: Projector, regions: Iterable[Region]) -> Iterator[Region]:
    """Gives each region the pixels whose surface lies nearest to a point of its mask.

    Args:
        projector: the scene; colour and depth of one size.
        regions: as :func:`integrations.openmask3d.regions.find_regions` yields them, those of a picture together.

    A region that no such pixel lies in stays as it is.
    """
    tree = cKDTree(projector.homogeneous[:, :3])
    members = projector.masks.tocsc()
    view, nearest = -1, np.empty((0, 0), dtype=np.int64)
    for region in regions:
        if region.view != view:
            view, nearest = region.view, _nearest_points(projector, region.view, tree)
        inside = np.zeros(projector.masks.shape[0] + 1, dtype=bool)  # the last one: no point is near
        inside[members.indices[members.indptr[region.mask] : members.indptr[region.mask + 1]]] = True
        mask = inside[nearest]
        if not mask.any():
            yield region
            continue
        x0, y0, x1, y1 = box = mask_box(mask)
        yield replace(region, box=box, shape=mask[y0:y1, x0:x1].copy())


def _nearest_points(projector: Projector, view: int, tree: cKDTree) -> NDArray[np.int64]:
    """The row of the cloud's point nearest to what each pixel shows; the number of points where none is near."""
    depth = projector.views.read_depth(view)
    row, column = np.indices(depth.shape)
    pixels = np.stack([column + 0.5, row + 0.5, np.ones(depth.shape)], axis=-1)
    rays = pixels @ np.linalg.inv(projector.views.scaled_intrinsic).T
    pose = projector.views.poses[view]
    surface = (rays * depth[..., None]) @ pose[:3, :3].T + pose[:3, 3]
    _, found = tree.query(surface.reshape(-1, 3), distance_upper_bound=_REACH)
    return np.where(depth > 0, found.reshape(depth.shape), tree.n)
