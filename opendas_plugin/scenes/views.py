"""Which points, and so which masks, each picture of a scene shows; kept sparse, one picture at a time.

The rule is OpenMask3D's (openmask3d/mask_features_computation/features_extractor.py, PointProjector), number for
number, without its array of pictures x masks x height x width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.images import read_depth, read_upright
from opendas_plugin.errors import DataError

if TYPE_CHECKING:
    from scipy import sparse


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
        height, width = read_depth(self.depth[0]).shape
        return height, width

    @cached_property
    def scaled_intrinsic(self) -> NDArray[np.float64]:
        """(3, 3), for pictures of :attr:`size`."""
        scale = upstream_intrinsic if self.scaling == "upstream" else correct_intrinsic
        return scale(self.intrinsic, self.intrinsic_size, self.size)

    def read_colour(self, view: int) -> NDArray[np.uint8]:
        """Decodes a colour picture, (H, W, 3) RGB."""
        return read_upright(self.colour[view])

    def read_depth(self, view: int) -> NDArray[np.float64]:
        """Decodes a depth map, (H, W), metres.

        Raises:
            DataError: it is not as large as the first one.
        """
        depth = read_depth(self.depth[view])
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


@dataclass(frozen=True)
class Fit:
    """How the points that fall into a picture lie to the surfaces that its depth map shows; all are counts.

    Attributes:
        inside: points in front of the camera and in the picture, over known depth or not.
        shown: at the surface, within the threshold.
        hidden: behind it.
        in_front: before it, where nothing can be.
    """

    inside: int
    shown: int
    hidden: int
    in_front: int

    @classmethod
    def of(cls, sensor: NDArray, depth: NDArray, threshold: float) -> Fit:
        """Counts points of a depth (n,) over the depth map's (n,), 0 where it is unknown; metres."""
        known = (sensor > 0) & (depth > 0)
        ahead = (sensor - depth)[known]
        in_front, hidden = int((ahead > threshold).sum()), int((ahead < -threshold).sum())
        return cls(int((depth > 0).sum()), len(ahead) - in_front - hidden, hidden, in_front)

    @property
    def known(self) -> int:
        """Points over known depth."""
        return self.shown + self.hidden + self.in_front


@dataclass(frozen=True, eq=False)
class Visible:
    """The points that one picture shows.

    Attributes:
        points: (n,) their rows in the cloud.
        pixels: (n,) row * width + column of each in the depth map.
        inside: how many points fall into the picture, hidden or not.
        depth_ratio: median of the depth map's depth over the depth of the points that fall into the picture.
        fit: how those points lie to the depth map's surfaces.
    """

    points: NDArray[np.int64]
    pixels: NDArray[np.int64]
    inside: int
    depth_ratio: float
    fit: Fit


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
        self.seen: NDArray[np.bool_] = np.zeros(len(points), dtype=bool)
        self.shown, self.ratios, self.fits = 0, list[float](), list[Fit]()

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
        fit = Fit.of(sensor, depth, self.threshold)
        return Visible(inside[seen], (row * width + column)[seen], len(inside), ratio, fit)

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

        It keeps how the points lie to the depth maps, for :func:`~opendas_plugin.scenes.agreement.require_agreement`.
        """
        counts = np.zeros((len(self.views), self.masks.shape[1]), dtype=np.int64)
        self.seen = np.zeros(len(self.homogeneous), dtype=bool)
        self.shown, self.ratios, self.fits = 0, [], []
        for view in order:
            visible = self.visible(view)
            self.seen[visible.points] = True
            self.shown += len(visible.points)
            self.ratios.append(visible.depth_ratio)
            self.fits.append(visible.fit)
            masks, _ = self.mask_pixels(visible)
            counts[view] = np.bincount(masks, minlength=self.masks.shape[1])
        return counts


def best_views(counts: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The up to ``k`` pictures that show most of each mask, (M, k), of equals those that numpy's argsort puts first."""
    return np.argsort(-counts, axis=0)[:k, :].T
