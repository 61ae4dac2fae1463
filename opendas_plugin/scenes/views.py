"""Which points, and so which masks, each picture of a scene shows; kept sparse, one picture at a time.

The rule is OpenMask3D's (openmask3d/mask_features_computation/features_extractor.py, PointProjector), number for
number, without its array of pictures x masks x height x width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from opendas_plugin.data.images import read_image, read_labels
from opendas_plugin.errors import DataError

Intrinsics = Literal["upstream", "correct"]


@dataclass(frozen=True, eq=False)
class Views:
    """The pictures of a scene.

    Attributes:
        colour: a colour picture each.
        depth: a 16-bit depth map each.
        poses: (V, 4, 4) float64, camera to world, metres, OpenCV axes.
        intrinsic: (3, 3) float64, for pictures of ``intrinsic_size``.
        intrinsic_size: height, width.
        depth_scale: what a metre is in the depth maps.
        scaling: how ``intrinsic`` is fitted to the depth maps' size: as OpenMask3D does, which mixes up width and
            height, or ``correct``; the same where the sizes are equal.
    """

    colour: Sequence[Path]
    depth: Sequence[Path]
    poses: NDArray[np.float64]
    intrinsic: NDArray[np.float64]
    intrinsic_size: tuple[int, int]
    depth_scale: float = 1000.0
    scaling: Intrinsics = "upstream"

    def __len__(self) -> int:
        return len(self.poses)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the depth maps, as the first one has them."""
        height, width = read_labels(self.depth[0]).shape
        return height, width

    @cached_property
    def scaled_intrinsic(self) -> NDArray[np.float64]:
        """(3, 3), for pictures of :attr:`size`."""
        scale = upstream_intrinsic if self.scaling == "upstream" else correct_intrinsic
        return scale(self.intrinsic, self.intrinsic_size, self.size)

    def read_colour(self, view: int) -> NDArray[np.uint8]:
        """Decodes a colour picture, (H, W, 3) RGB."""
        return read_image(self.colour[view])

    def read_depth(self, view: int) -> NDArray[np.float64]:
        """Decodes a depth map, (H, W), metres.

        Raises:
            DataError: it is not as large as the first one.
        """
        depth = read_labels(self.depth[view])
        if depth.shape != self.size:
            raise DataError(
                f"{self.depth[view]} is {depth.shape[1]}x{depth.shape[0]}, but {self.depth[0]} is "
                f"{self.size[1]}x{self.size[0]}; bring all depth maps to one size"
            )
        return depth / self.depth_scale


def upstream_intrinsic(intrinsic: NDArray, old: tuple[int, int], new: tuple[int, int]) -> NDArray[np.float64]:
    """Fits (3, 3) to another size as OpenMask3D does (data/load.py, Camera.get_adapted_intrinsic); sizes are H, W."""
    if tuple(old) == tuple(new):
        return intrinsic
    width = int(np.floor(new[1] * float(old[0]) / float(old[1])))
    scaled = intrinsic.copy()
    scaled[0, 0] *= float(width) / float(old[0])
    scaled[1, 1] *= float(new[1]) / float(old[1])
    scaled[0, 2] *= float(new[0] - 1) / float(old[0] - 1)
    scaled[1, 2] *= float(new[1] - 1) / float(old[1] - 1)
    return scaled


def correct_intrinsic(intrinsic: NDArray, old: tuple[int, int], new: tuple[int, int]) -> NDArray[np.float64]:
    """Fits (3, 3) to another size: the first row by the widths' ratio, the second by the heights'; sizes are H, W."""
    scaled = intrinsic.copy()
    scaled[0] *= new[1] / old[1]
    scaled[1] *= new[0] / old[0]
    return scaled


@dataclass(frozen=True, eq=False)
class Visible:
    """The points that one picture shows.

    Attributes:
        points: (n,) their rows in the cloud.
        pixels: (n,) row * width + column of each in the depth map.
        inside: how many points fall into the picture, hidden or not.
        depth_ratio: median of the depth map's depth over the depth of the points that fall into the picture.
    """

    points: NDArray[np.int64]
    pixels: NDArray[np.int64]
    inside: int
    depth_ratio: float


class Projector:
    """Projects a cloud into pictures and asks which of its points, and of its masks' points, they show."""

    def __init__(self, views: Views, points: NDArray, masks: sparse.csr_matrix, threshold: float) -> None:
        """Prepares.

        Args:
            views: the pictures.
            points: (N, 3) float64, metres.
            masks: (N, M), non-zero where a point belongs to a mask.
            threshold: how far, in metres, a visible point's depth may lie from the depth map's.
        """
        self.views, self.masks, self.threshold = views, masks, threshold
        self.homogeneous = np.append(points, np.ones((len(points), 1)), axis=-1)
        self.extrinsics = [np.linalg.inv(pose)[:3] for pose in views.poses]

    def visible(self, view: int) -> Visible:
        """The points that a picture shows.

        Upstream's rule: coordinates are cut towards 0; a point is visible where its depth and the depth map's differ
        by the threshold at most, whatever their sign and validity.
        """
        height, width = self.views.size
        projected = (self.views.scaled_intrinsic @ self.extrinsics[view] @ self.homogeneous.T).T
        divisible = projected[:, 2] != 0
        pixel = np.zeros((len(projected), 2), dtype=int)
        with np.errstate(invalid="ignore", over="ignore"):  # far outside the picture: the cast has no defined value
            pixel[divisible] = projected[divisible, :2] / projected[divisible, 2:]
        inside = np.flatnonzero((pixel >= 0).all(axis=1) & (pixel[:, 0] < width) & (pixel[:, 1] < height))
        column, row = pixel[inside].T
        depth, sensor = projected[inside, 2], self.views.read_depth(view)[row, column]
        seen = np.abs(sensor - depth) <= self.threshold
        known = (depth > 0) & (sensor > 0)
        ratio = float(np.median(sensor[known] / depth[known])) if known.any() else float("nan")
        return Visible(inside[seen], (row * width + column)[seen], len(inside), ratio)

    def mask_pixels(self, visible: Visible) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The pixels of a picture on which each mask has visible points.

        Returns:
            masks and pixels, both (n,): each pair once, by mask and then by pixel.
        """
        rows = self.masks[visible.points]
        pixels = np.repeat(visible.pixels, np.diff(rows.indptr))
        area = self.views.size[0] * self.views.size[1]
        pairs = np.unique(rows.indices.astype(np.int64) * area + pixels)
        return pairs // area, pairs % area

    def counts(self, order: Iterable[int]) -> NDArray[np.int64]:
        """How many pixels of each mask each picture shows, (V, M); ``order``: all of them, perhaps with a bar.

        Raises:
            DataError: next to no point lies where the depth maps have it, so that scale, poses or axes must be wrong.
        """
        counts = np.zeros((len(self.views), self.masks.shape[1]), dtype=np.int64)
        seen = np.zeros(len(self.homogeneous), dtype=bool)
        inside, shown, ratios = 0, 0, []
        for view in order:
            visible = self.visible(view)
            seen[visible.points] = True
            inside, shown = inside + visible.inside, shown + len(visible.points)
            ratios.append(visible.depth_ratio)
            masks, _ = self.mask_pixels(visible)
            counts[view] = np.bincount(masks, minlength=self.masks.shape[1])
        self._check_agreement(inside, shown, float(seen.mean()), ratios)
        return counts

    def _check_agreement(self, inside: int, shown: int, seen: float, ratios: list[float]) -> None:
        """A large building hides most points from most pictures, and a few pictures see few of many: both must fail."""
        if not inside:
            raise DataError(
                f"none of {len(self.homogeneous)} points falls into any of {len(self.views)} pictures; "
                "check the poses (camera to world, metres, OpenCV axes) and the intrinsics"
            )
        if seen < 0.1 and shown < 0.05 * inside:
            known = [ratio for ratio in ratios if np.isfinite(ratio)]
            factor = float(np.median(known)) if known else float("nan")
            raise DataError(
                f"only {100 * seen:.1f}% of the points lie where a depth map has a surface, which here is "
                f"{factor:.3g} times as far as the points; check depth_scale ({self.views.depth_scale:g} a metre) and "
                "the poses (camera to world, metres, OpenCV axes)"
            )


def best_views(counts: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The up to ``k`` pictures that show most of each mask, (M, k), of equals those that numpy's argsort puts first."""
    return np.argsort(-counts, axis=0)[:k, :].T
