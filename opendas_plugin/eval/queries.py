"""Texts against the masks of a scene: how well each fits, and in which colours they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from opendas_plugin.classifier import TextClassifier

BEST = np.array([(213, 94, 0), (0, 114, 178), (240, 228, 66), (204, 121, 167), (86, 180, 233), (0, 0, 0)], np.uint8)
"""RGB of the first to the fifth mask, and of all further ones: those five of Okabe and Ito's colours (2008) that stay
furthest apart for whoever sees no red, no green or no blue."""
_RAMP = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], np.float64)
"""RGB from the lowest to the highest cosine: matplotlib's viridis."""
_NO_MASK = 225


@dataclass(frozen=True)
class Match:
    """A mask that fits a text: its rank from 1, its column, the cosine of both features, and its number of points."""

    rank: int
    mask: int
    cosine: float
    points: int


@dataclass(frozen=True, eq=False)
class Answer:
    """What a scene's masks say to one text.

    Attributes:
        text: what was asked.
        best: the masks that fit best, best first.
        cosines: (M,) of all masks; NaN for those without a feature.
    """

    text: str
    best: Sequence[Match]
    cosines: NDArray[np.float64]

    @property
    def span(self) -> tuple[float, float]:
        """The lowest and the highest cosine."""
        return float(np.nanmin(self.cosines)), float(np.nanmax(self.cosines))


def answer(texts: TextClassifier, features: NDArray, masks: sparse.csr_matrix, count: int) -> list[Answer]:
    """For each text the ``count`` masks whose features (M, D) are nearest to it; those without one are never found.

    Args:
        texts: T texts.
        features: (M, D), 0 for a mask that no picture shows.
        masks: (N, M), of which the points are counted.
        count: how many.
    """
    seen, sizes = np.flatnonzero(features.any(axis=1)), np.asarray(masks.getnnz(axis=0))
    found = texts.cosines(torch.from_numpy(features[seen])).numpy().astype(np.float64)
    answers = []
    for column, text in enumerate(texts.classes):
        cosines = np.full(len(features), np.nan)
        cosines[seen] = found[:, column]
        order = seen[np.argsort(-found[:, column], kind="stable")[:count]]
        best = [Match(rank, int(m), float(cosines[m]), int(sizes[m])) for rank, m in enumerate(order, 1)]
        answers.append(Answer(text, best, cosines))
    return answers


def colour_of(rank: int) -> tuple[int, int, int]:
    """RGB of the mask of a rank, which counts from 1."""
    red, green, blue = BEST[min(rank, len(BEST)) - 1].tolist()
    return red, green, blue


def colour_masks(colours: NDArray[np.uint8], masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Colours (N, 3) with masks (N, K), best first, painted over, and all else halfway to a light grey."""
    grey = colours.mean(axis=1, keepdims=True)
    painted = (0.2 * colours + 0.3 * grey + 110).astype(np.uint8)
    for place in reversed(range(masks.shape[1])):
        painted[masks[:, place]] = colour_of(place + 1)
    return painted


def heat(masks: sparse.csr_matrix, found: Answer) -> NDArray[np.uint8]:
    """A colour (N, 3) for each point: the highest cosine of its masks; light grey where it has none with a feature.

    Args:
        masks: (N, M).
        found: the answer to a text.
    """
    pairs = masks.tocoo()
    known = np.isfinite(found.cosines[pairs.col])
    best = np.full(masks.shape[0], -np.inf)
    np.maximum.at(best, pairs.row[known], found.cosines[pairs.col[known]])
    colours = np.full((len(best), 3), _NO_MASK, dtype=np.uint8)
    low, high = found.span
    inside = np.isfinite(best)
    colours[inside] = ramp((best[inside] - low) / max(high - low, 1e-9))
    return colours


def ramp(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Colours (n, 3) of values (n,) from 0 to 1."""
    at = np.linspace(0, 1, len(_RAMP))
    return np.stack([np.interp(values, at, channel) for channel in _RAMP.T], axis=-1).round().astype(np.uint8)
