"""How far the figures of a semantic evaluation carry: intervals over its pictures.

Pictures were drawn by chance, so the figures, ratios of sums over pictures, are linearised: the influence of a picture
is the derivative of the figure by the picture's weight, and the variance is that of a sum over independent pictures
(Woodruff 1971; the infinitesimal jackknife of :mod:`opendas_plugin.eval.influences`). Classes are taken as given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.eval.classification import Confusion
from opendas_plugin.eval.intervals import LEVEL, Interval, at_an_end, chance_of_agreement

SemanticMetric = Literal["miou", "macc", "fwiou", "pacc"]
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PictureCounts:
    """Pixels of I pictures by class, (I, N) each: right, labelled and predicted."""

    hits: NDArray[np.int64]
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]

    @classmethod
    def of(cls, confusions: Sequence[Confusion]) -> PictureCounts:
        """The counts of pictures' confusion matrices (N, N + 1)."""
        rows = [(np.diagonal(one), one.sum(axis=1), one[:, :-1].sum(axis=0)) for one in confusions]
        hits, true, predicted = (np.array(part, dtype=np.int64) for part in zip(*rows, strict=True))
        return cls(hits, true, predicted)


def semantic_interval(
    metric: SemanticMetric, counts: PictureCounts, classes: Sequence[int] | None = None
) -> Interval | None:
    """A figure with its 95% interval over pictures, in percent; None where there is nothing to score.

    Args:
        metric: ``miou`` and ``macc`` are means over the classes that have pixels, detectron2's rule.
        counts: of the pictures.
        classes: those to score; None: all.
    """
    found = _influence(metric, counts, classes)
    return None if found is None else _interval(*found, lowest=0)


def semantic_difference(
    metric: SemanticMetric, mine: PictureCounts, theirs: PictureCounts, classes: Sequence[int] | None = None
) -> Interval | None:
    """One system's figure less another's on the same pictures, with its 95% interval, in points.

    Raises:
        DataError: they are of other pictures.
    """
    if not np.array_equal(mine.true, theirs.true):
        raise DataError("expected the same labelled pictures of both systems, got others")
    one, other = _influence(metric, mine, classes), _influence(metric, theirs, classes)
    if one is None or other is None:
        return None
    return _interval(one[0] - other[0], one[1] - other[1], lowest=-100)


def _influence(
    metric: SemanticMetric, counts: PictureCounts, classes: Sequence[int] | None
) -> tuple[float, Values] | None:
    """The figure as a share of 1, and each picture's influence on it, (I,)."""
    total = counts.true.sum(axis=0)
    chosen = np.flatnonzero(total > 0) if classes is None else np.array([c for c in classes if total[c] > 0], dtype=int)
    if not len(chosen):
        return None
    hits, true, predicted = (
        part[:, chosen].astype(np.float64) for part in (counts.hits, counts.true, counts.predicted)
    )
    if metric == "pacc":
        right, whole = hits.sum(axis=1), true.sum(axis=1)
        share = right.sum() / whole.sum()
        return float(share), (right - share * whole) / whole.sum()
    below = true if metric == "macc" else true + predicted - hits
    ratio = hits.sum(axis=0) / below.sum(axis=0)
    moved = (hits - ratio * below) / below.sum(axis=0)
    if metric != "fwiou":
        return float(ratio.mean()), moved.mean(axis=1)
    weights = true.sum(axis=0) / true.sum()
    of_weights = (true - weights * true.sum(axis=1, keepdims=True)) / true.sum()
    return float(weights @ ratio), moved @ weights + of_weights @ ratio


def _interval(value: float, moved: Values, lowest: float) -> Interval:
    from scipy.special import stdtrit

    pictures = len(moved)
    if pictures < 2:
        return Interval(100 * value, -math.inf, math.inf, math.inf)
    error = 100 * math.sqrt(pictures / (pictures - 1) * float(np.square(moved).sum()))
    if at_an_end(value, error, lowest):
        reach = 100 * chance_of_agreement(pictures)
    else:
        reach = error * float(stdtrit(pictures - 1, (1 + LEVEL) / 2))
    return Interval(100 * value, max(100 * value - reach, lowest), min(100 * value + reach, 100.0), error)
