"""A text against the masks of a scene: which fit best, and what they look like."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from opendas_plugin.classifier import TextClassifier
from opendas_plugin.scenes.agreement import require_agreement
from opendas_plugin.scenes.mask_arrays import sparse_masks
from opendas_plugin.scenes.views import Projector, Views

BEST = np.array([(230, 40, 40), (240, 130, 30), (240, 210, 50)])
"""RGB of the first, the second, and all further masks."""
_THRESHOLD = 0.2  # metres between a visible point and the depth map's surface, as OpenMask3D has it


@dataclass(frozen=True)
class Match:
    """A mask that fits a text: its column, the cosine of its feature and the text's, and its points, if counted."""

    mask: int
    cosine: float
    points: int = 0


def best_masks(text: TextClassifier, features: NDArray, count: int) -> list[Match]:
    """The ``count`` masks whose features (M, D) are nearest to the one text, best first; those without one never."""
    seen = np.flatnonzero(features.any(axis=1))
    cosines = text.cosines(torch.from_numpy(features[seen]))[:, 0].numpy()
    order = np.argsort(-cosines, kind="stable")[:count]
    return [Match(int(seen[i]), float(cosines[i])) for i in order]


def colour_masks(colours: NDArray[np.uint8], masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Colours (N, 3) with masks (N, K), best first, painted over, and all else halfway to grey."""
    grey = colours.mean(axis=1, keepdims=True)
    painted = (0.35 * colours + 0.35 * grey + 70).astype(np.uint8)
    for rank in reversed(range(masks.shape[1])):
        painted[masks[:, rank]] = BEST[min(rank, len(BEST) - 1)]
    return painted


def picture_matches(
    views: Views,
    points: NDArray,
    colours: NDArray[np.uint8],
    masks: NDArray[np.bool_],
    order: Iterable[int],
    *,
    force: bool = False,
) -> Image.Image:
    """Draws each mask (N, K), best first, in a row: the picture that shows most of it, and the cloud from there.

    Args:
        views: the scene's pictures.
        points: (N, 3), metres.
        colours: (N, 3), by :func:`colour_masks`.
        masks: as there.
        order: the pictures to choose from, perhaps with a progress bar.
        force: go on where the points do not fit the depth maps.

    Raises:
        DataError: they do not.
    """
    projector = Projector(views, points, sparse_masks(masks, len(points)), _THRESHOLD)
    best = projector.counts(order).argmax(axis=0)
    require_agreement(projector, force=force)
    height, width = views.size
    sheet = Image.new("RGB", (2 * width, height * masks.shape[1]))
    for rank, view in enumerate(best.tolist()):
        photo = np.array(Image.fromarray(views.read_colour(view)).resize((width, height), Image.Resampling.BILINEAR))
        owners, pixels = projector.mask_pixels(projector.visible(view))
        tint = _thickened(pixels[owners == rank], (height, width))
        photo[tint] = (0.4 * photo[tint] + 0.6 * BEST[min(rank, len(BEST) - 1)]).astype(np.uint8)
        sheet.paste(Image.fromarray(photo), (0, rank * height))
        sheet.paste(Image.fromarray(splat(projector, view, colours)), (width, rank * height))
    return sheet


def splat(projector: Projector, view: int, colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The cloud as a picture's camera sees it, (H, W, 3): a square of 3 x 3 pixels a point, the near ones on top."""
    height, width = projector.views.size
    image = np.full((height, width, 3), 255, dtype=np.uint8)
    x, y, z = projector.views.scaled_intrinsic @ projector.extrinsics[view] @ projector.homogeneous.T
    front = np.flatnonzero(z > 0.05)
    front = front[np.argsort(-z[front], kind="stable")]
    column, row = (x[front] / z[front]), (y[front] / z[front])
    inside = (column >= 1) & (row >= 1) & (column < width - 1) & (row < height - 1)
    front, column, row = front[inside], column[inside].astype(int), row[inside].astype(int)
    nearest = np.full((height, width), -1)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            np.maximum.at(nearest, (row + down, column + right), np.arange(len(front)))  # later is nearer
    image[nearest >= 0] = colours[front[nearest[nearest >= 0]]]
    return image


def _thickened(pixels: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels (row * width + column) and those right beside them, bool (H, W)."""
    mask = np.zeros(size, dtype=bool)
    mask.flat[pixels] = True
    padded = np.pad(mask, 1)
    return np.logical_or.reduce([padded[i : i + size[0], j : j + size[1]] for i in range(3) for j in range(3)])
