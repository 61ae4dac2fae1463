"""Intervals of figures and of paired differences of two systems, over rooms, names and trainings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from opendas_plugin.eval.pooling import Folds

Metric = Literal[
    "acc", "w_f1", "b_f1", "n_f1", "macro_f1", "macro_n_f1",
    "base_only_acc", "base_only_w_f1", "novel_only_acc", "novel_only_w_f1", "openworld_auc",
]  # fmt: skip


@dataclass(frozen=True)
class Interval:
    """A figure and where it may lie.

    Args:
        value: the figure, in percent (of a difference: in points).
        low: lower end.
        high: upper end.
        error: the standard error.
    """

    value: float
    low: float
    high: float
    error: float

    @property
    def sign(self) -> Literal[">", "<", "open"]:
        """What a difference says of the first system and the second: ``open`` where the interval has 0 in it."""
        return ">" if self.low > 0 else "<" if self.high < 0 else "open"


def interval(
    metric: Metric, labels: ArrayLike, groups: ArrayLike, folds: Folds, *, level: float = 0.95
) -> Interval | None:
    """The metric pooled over all runs of a system, with its interval.

    Args:
        metric: what to compute.
        labels: (M,) the right names' places.
        groups: (M,) whole numbers: the room, scene or image of each segment.
        folds: one for each set of names that was left out, over the same segments.
        level: how often the interval is to hold the truth.

    Returns:
        In percent; None where there is nothing to score.
    """
    raise NotImplementedError


def difference(
    metric: Metric, labels: ArrayLike, groups: ArrayLike, mine: Folds, theirs: Folds, *, level: float = 0.95
) -> Interval | None:
    """The metric of one system less that of another, paired run by run, with its interval.

    Args:
        metric: what to compute.
        labels: (M,) the right names' places.
        groups: (M,) whole numbers: the room, scene or image of each segment.
        mine: the first system's folds.
        theirs: the second system's: the same folds with as many seeds each, or with one, which is then taken for all.
        level: how often the interval is to hold the truth.

    Returns:
        In points; None where there is nothing to score.
    """
    raise NotImplementedError
