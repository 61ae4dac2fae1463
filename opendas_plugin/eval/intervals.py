"""Intervals of figures, and of paired differences of two systems, over rooms x names x trainings.

Three things were drawn by chance: the rooms (scenes, images), the names, and the training runs. A bootstrap of one of
them alone gives the variance that it brings: rooms are drawn with replacement; names, among those of their kind; the
same draw counts for both systems of a difference. Both variances hold the noise of single segments, which a draw of
rooms *and* names (Owen's pigeonhole bootstrap, 2007) counts three times. So the variance of a figure is rooms + names -
noise + runs, as in clustering by two ways (Cameron, Gelbach and Miller 2011), each part by its first-order formula with
the correction for few clusters; the interval is the figure +- Student's t, by Satterthwaite's degrees of freedom. Where
all clusters agree that a figure is 0 or 100% there is no variance to go by, and it is the exact binomial one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.eval.influences import Influence, Marks, Metric, Values, influence, sums
from opendas_plugin.eval.pooling import FoldPredictions, Indices, paired, runs_of

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure in percent, or a difference in points, and where it may lie.

    Args:
        value: the figure.
        low: lower end; minus infinity where nothing can be said.
        high: upper end, likewise.
        error: the standard error.
    """

    value: float
    low: float
    high: float
    error: float

    @property
    def known(self) -> bool:
        """Whether anything can be said: there are two groups and two names or more."""
        return math.isfinite(self.error)

    @property
    def sign(self) -> Literal[">", "<", "open"]:
        """What a difference says of the first system and the second: ``open`` where the interval has 0 in it."""
        return ">" if self.low > 0 else "<" if self.high < 0 else "open"


@dataclass(frozen=True)
class Variance:
    """The variance of a figure by where it comes from, and the degrees of freedom that each part is known with.

    Args:
        rooms: of drawing groups of segments.
        names: of drawing names within base and within novel.
        noise: of single segments, a part of both.
        runs: of training again; 0 where no name was scored in two runs.
        freedom: of rooms, names and runs.
    """

    rooms: float
    names: float
    noise: float
    runs: float
    freedom: tuple[float, float, float]

    @property
    def total(self) -> float:
        """The variance of the figure; not less than what rooms or names alone bring."""
        return max(self.rooms + self.names - self.noise, self.rooms, self.names) + self.runs

    @property
    def degrees(self) -> float:
        """Satterthwaite's degrees of freedom of the total."""
        parts = zip((self.rooms, self.names, self.runs), self.freedom, strict=True)
        spread = sum(part**2 / freedom for part, freedom in parts if part)
        return self.total**2 / spread if spread else math.inf


def pooled(metric: Metric, labels: ArrayLike, folds: Sequence[FoldPredictions]) -> float | None:
    """A figure pooled over all runs of a system, in percent; see :func:`~opendas_plugin.eval.influences.influence`."""
    found = influence(metric, np.asarray(labels, dtype=np.int64), runs_of(labels, folds))
    return None if found is None else 100 * found.value


def interval(
    metric: Metric, labels: ArrayLike, groups: ArrayLike, folds: Sequence[FoldPredictions], *, level: float = LEVEL
) -> Interval | None:
    """A figure pooled over all runs of a system, with its interval.

    Args:
        metric: what to compute.
        labels: (M,) places of the right names.
        groups: (M,) whole numbers from 0: the room, scene or image of each segment.
        folds: one for each set of names that was left out, over the same segments.
        level: how often the interval is to hold the truth.

    Returns:
        In percent; None where there is nothing to score.

    Raises:
        DataError: arrays that do not fit each other.
    """
    true, runs = np.asarray(labels, dtype=np.int64), runs_of(labels, folds)
    found = influence(metric, true, runs)
    if found is None:
        return None
    return _interval(found.value, variance(found, true, _groups(groups, true), runs.novel), level, lowest=0)


def difference(
    metric: Metric,
    labels: ArrayLike,
    groups: ArrayLike,
    mine: Sequence[FoldPredictions],
    theirs: Sequence[FoldPredictions],
    *,
    level: float = LEVEL,
) -> Interval | None:
    """A figure of one system less that of another, paired run by run, with its interval.

    Args:
        metric: what to compute.
        labels: (M,) places of the right names.
        groups: (M,) whole numbers from 0: the room, scene or image of each segment.
        mine: the first system's folds.
        theirs: the second system's: the same folds, with as many seeds each, or one that is then taken for all.
        level: how often the interval is to hold the truth.

    Returns:
        In points; None where there is nothing to score.

    Raises:
        DataError: arrays or folds that do not fit each other.
    """
    true = np.asarray(labels, dtype=np.int64)
    first, second = (runs_of(labels, folds) for folds in paired(mine, theirs))
    one, other = influence(metric, true, first), influence(metric, true, second)
    if one is None or other is None:
        return None
    found = one.minus(other)
    return _interval(found.value, variance(found, true, _groups(groups, true), first.novel), level, lowest=-100)


def variance(found: Influence, labels: Indices, groups: Indices, novel: Marks) -> Variance | None:
    """The variance of a figure (a share of 1), in its parts.

    Args:
        found: the figure's influences, over T runs, M segments and N names.
        labels: (M,) places of the right names.
        groups: (M,) the group of each segment.
        novel: (T, N) the names that each run was not trained with.

    Returns:
        None where fewer than two groups or two names count.
    """
    present = np.bincount(labels, minlength=novel.shape[1])
    of_names = found.shares.sum(axis=0)
    of_rooms = sums(groups, (of_names / np.maximum(present, 1))[labels])
    rooms, names = _few(of_rooms), _few(of_names)
    if rooms is None or names is None:
        return None
    segments = found.segments.sum(axis=0)
    by_name = _centred(found.names, novel, present > 0).sum(axis=0)
    within = segments - (sums(labels, segments, len(present)) / np.maximum(present, 1))[labels]
    _, cell = np.unique(groups * len(present) + labels, return_inverse=True)
    runs, runs_freedom = _run_variance(found)
    return Variance(
        rooms[0] * _squares(sums(groups, segments)),
        names[0] * _squares(by_name),
        _squares(sums(cell, within)),
        runs,
        (rooms[1], names[1], runs_freedom),
    )


def _interval(value: float, found: Variance | None, level: float, lowest: float) -> Interval:
    from scipy.special import stdtrit

    if found is None:
        return Interval(100 * value, -math.inf, math.inf, math.inf)
    error = math.sqrt(found.total)
    if at_an_end(value, error, lowest):
        reach = chance_of_agreement(1 + min(found.freedom[:2]), level)
    else:
        reach = error * float(stdtrit(min(found.degrees, 1e6), (1 + level) / 2))
    return Interval(100 * value, max(100 * (value - reach), lowest), min(100 * (value + reach), 100.0), 100 * error)


def at_an_end(value: float, error: float, lowest: float) -> bool:
    """Whether a share of 1 is the highest or lowest that there is, and all clusters agree on it.

    Two systems that say the same differ by 0, which is no end: there is nothing that could have come out otherwise.
    """
    return error < 1e-9 and (value > 1 - 1e-9 or value < lowest / 100 + 1e-9)


def chance_of_agreement(clusters: float, level: float = LEVEL) -> float:
    """How far from 0 or 1 the truth may lie where all of so many clusters agree (Clopper and Pearson 1934)."""
    return float(1 - ((1 - level) / 2) ** (1 / clusters))


def _few(weights: Values) -> tuple[float, float] | None:
    """What the sum of squared influences of clusters is short by, and its degrees of freedom; None of one cluster.

    A mean of clusters with weights p lies nearer to them than the truth does, by a factor that is n / (n - 1) for n
    equal weights. The degrees of freedom are Kish's effective number of clusters, 1 / sum of p squared, less 1; those
    of the quadratic form are fewer where few clusters are large, and the intervals were then too wide.
    """
    p = weights[weights > 0] / weights.sum()
    if len(p) < 2:
        return None
    squares, cubes = (float((p**power).sum()) for power in (2, 3))
    return squares / (squares - 2 * cubes + squares**2), max(1.0, 1 / squares - 1)


def _centred(names: Values, novel: Marks, present: Marks) -> Values:
    """Influences (T, N) of names less the mean over the present names of the same kind in each run."""
    found = np.where(present, names, 0.0)
    for kind in (novel & present, ~novel & present):
        means = (found * kind).sum(axis=1) / np.maximum(kind.sum(axis=1), 1)
        found -= kind * means[:, None]
    return found


def _run_variance(found: Influence) -> tuple[float, float]:
    """The variance that training again brings, and its degrees of freedom.

    Names that were scored in several runs tell how far a run moves all of them: what the runs' distances from each
    name's own mean have in common, beyond what names that moved by chance would give.
    """
    counted = found.shares > 0
    often = counted / np.maximum(counted.sum(axis=0), 1)
    moved = found.runs - often * found.runs.sum(axis=0)
    of_runs = found.shares.sum(axis=1)
    design = np.diag(of_runs) - often @ found.shares.T  # what an effect of run t' does to the distance of run t
    known = _squares(design)
    if known < 1e-12:
        return 0.0, 1.0
    effect = max(0.0, _squares(moved.sum(axis=1)) - _squares(moved)) / known
    return effect * _squares(of_runs), max(1.0, 1 / _squares(of_runs) - 1)


def _squares(values: NDArray[np.float64]) -> float:
    return float(np.square(values).sum())


def _groups(groups: ArrayLike, labels: Indices) -> Indices:
    found = np.asarray(groups, dtype=np.int64)
    if found.shape != labels.shape or found.min() < 0:
        raise DataError(f"expected a group, a whole number from 0, for each of {len(labels)} segments")
    return found
