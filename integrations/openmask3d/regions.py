"""Where each mask lies in its pictures: points drawn on it, SAM asked about them, the surest answer kept.

The results are OpenMask3D's for the same state of the random generator (mask_features_computation/utils.py, run_sam),
though the pictures are visited one after the other and SAM's image encoder runs once for each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integrations.openmask3d.predictors import Predictor
from opendas_plugin.crops import Box, mask_box
from opendas_plugin.scenes.views import Projector

Draws = dict[int, list[tuple[int, int, NDArray[np.int64]]]]
"""For each needed picture: mask, the picture's rank among the mask's, and the rows (rounds, n) of its pixels."""


@dataclass(frozen=True, eq=False)
class Region:
    """A mask in a picture.

    Attributes:
        mask: its column.
        view: the picture.
        rank: 0 for the picture that shows most of the mask.
        box: x0, y0, x1, y1 in the colour picture, x1 and y1 exclusive.
        shape: bool (y1 - y0, x1 - x0), the mask inside the box; None: all of it.
        size: height and width of the colour picture.
    """

    mask: int
    view: int
    rank: int
    box: Box
    shape: NDArray[np.bool_] | None
    size: tuple[int, int]

    def whole_mask(self) -> NDArray[np.bool_]:
        """The mask in the picture, bool (H, W)."""
        x0, y0, x1, y1 = self.box
        whole = np.zeros(self.size, dtype=bool)
        whole[y0:y1, x0:x1] = True if self.shape is None else self.shape
        return whole


def draw_points(
    best: NDArray[np.int64], counts: NDArray[np.int64], rounds: int, points: int, rng: np.random.RandomState
) -> Draws:
    """Draws ``points`` of each mask's pixels in each of its pictures, ``rounds`` times, in upstream's order.

    Upstream shuffles the coordinates themselves; shuffling their rows takes the same numbers from the generator and
    gives the same order. The order of draws, mask by mask, is kept, though the pictures are visited another way.

    Args:
        best: (M, k) each mask's pictures.
        counts: (V, M) how many pixels of each mask each picture shows.
        rounds: draws for each mask and picture.
        points: pixels a draw, or all where there are fewer.
        rng: numpy's legacy generator, which upstream uses.
    """
    draws: Draws = defaultdict(list)
    for mask, views in enumerate(best):
        for rank, view in enumerate(views.tolist()):
            if not counts[view, mask]:
                continue
            rows = np.arange(counts[view, mask])
            drawn = []
            for _ in range(rounds):
                rng.shuffle(rows)
                drawn.append(rows[:points].copy())
            draws[view].append((mask, rank, np.array(drawn)))
    return dict(sorted(draws.items()))


def find_regions(
    projector: Projector, draws: Mapping[int, list], predictor: Predictor | None, order: Iterable[int]
) -> Iterator[Region]:
    """Finds the masks in their pictures, a picture at a time.

    Args:
        projector: the scene.
        draws: by :func:`draw_points`.
        predictor: SAM; None: the box around the visible points.
        order: the keys of ``draws``, perhaps with a progress bar around them.

    Where the predictor finds nothing at all, on which upstream breaks off, the box around the visible points stands in.
    """
    for view in order:
        image = projector.views.read_colour(view)
        masks, pixels = projector.mask_pixels(projector.visible(view))
        starts = np.searchsorted(masks, np.arange(projector.masks.shape[1] + 1))
        if predictor is not None:
            predictor.set_image(image)
        for mask, rank, rows in draws[view]:
            y, x = np.divmod(pixels[starts[mask] : starts[mask + 1]], projector.views.size[1])
            points, box = _in_colour(x, y, projector.views.size, image.shape[:2])
            found = None if predictor is None else surest_mask(predictor, points, rows)
            if found is None or not found.any():
                yield Region(mask, view, rank, box, None, image.shape[:2])
            else:
                x0, y0, x1, y1 = box = mask_box(found)
                yield Region(mask, view, rank, box, found[y0:y1, x0:x1].copy(), image.shape[:2])


def surest_mask(predictor: Predictor, points: NDArray, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """The mask (H, W) with the highest score above 0 over the rounds, the first of equals; None: there is none."""
    best_score, best = 0.0, None
    for drawn in rows:
        masks, scores, _ = predictor.predict(
            point_coords=points[drawn], point_labels=np.ones(len(drawn)), multimask_output=False
        )
        if scores[0] > best_score:
            best_score, best = scores[0], np.asarray(masks[0]) > 0
    return best


def grown_box(box: Box, level: int, ratio: float, size: tuple[int, int]) -> Box:
    """The box of a level: each side moved out by ``level`` times ``ratio`` of the box's width or height."""
    x0, y0, x1, y1 = box
    grow_x, grow_y = int((x1 - x0) * ratio) * level, int((y1 - y0) * ratio) * level
    return max(0, x0 - grow_x), max(0, y0 - grow_y), min(size[1], x1 + grow_x), min(size[0], y1 + grow_y)


def _in_colour(x: NDArray, y: NDArray, old: tuple[int, int], new: tuple[int, ...]) -> tuple[NDArray, Box]:
    """Depth-map pixels in a colour picture: x, y (n, 2), integers where the sizes are equal, and their box."""
    height, width = new[0] / old[0], new[1] / old[1]
    box = x.min() * width, y.min() * height, np.ceil((x.max() + 1) * width), np.ceil((y.max() + 1) * height)
    points = np.column_stack([x, y])
    if (height, width) != (1, 1):
        points = (points + 0.5) * (width, height) - 0.5
    return points, (int(box[0]), int(box[1]), int(box[2]), int(box[3]))
