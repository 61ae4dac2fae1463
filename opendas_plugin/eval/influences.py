"""Figures of classification pooled over runs, and how far each segment and each name moves them.

The influence of a segment is the derivative of a figure by the segment's weight; that of a name by the name's weight,
where all its segments weigh with it and it counts as often in the mean. To first order, what a bootstrap draw does to
the figure is the sum of the influences of what was drawn more or less than once (the infinitesimal jackknife, Efron
1982), so that its variance needs no draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.openworld import won_pairs
from opendas_plugin.eval.pooling import Indices, Runs

Metric = Literal[
    "acc",
    "w_f1",
    "b_f1",
    "n_f1",
    "macro_f1",
    "macro_n_f1",
    "base_only_acc",
    "base_only_w_f1",
    "novel_only_acc",
    "novel_only_w_f1",
    "openworld_auc",
]
"""The fields of a ``summary.json``; ``base_only_acc`` is ``acc`` of ``base_only``, and so on."""

Values = NDArray[np.float64]
Marks = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Influence:
    """A figure over T runs, M segments and N names, and what moves it; all as shares of 1.

    Args:
        value: the figure.
        segments: (T, M) influence of each segment in each run.
        names: (T, N) influence of each name in each run.
        runs: (T, N) what each name adds to the distance of a run's figure from ``value``.
        shares: (T, N) how much of the figure is each name's in each run.
    """

    value: float
    segments: Values
    names: Values
    runs: Values
    shares: Values

    def minus(self, other: Influence) -> Influence:
        """The influence on the difference of two systems' figures over the same runs."""
        return Influence(
            self.value - other.value,
            self.segments - other.segments,
            self.names - other.names,
            self.runs - other.runs,
            self.shares,
        )


def influence(metric: Metric, labels: Indices, runs: Runs) -> Influence | None:
    """A figure pooled over all runs with its influences.

    Every F1 is over all segments of its run. It counts by the name's segments in each run in which the name is of the
    metric's kind (``macro``: once in each), so that figures of one kind of names are pooled over names and runs alike.

    Args:
        metric: what to compute.
        labels: (M,) places of the right names.
        runs: a system's runs.

    Returns:
        None where there is nothing to score, or where the runs do not have what the metric needs.

    Raises:
        ConfigError: there is no such metric.
    """
    if metric not in get_args(Metric):
        raise ConfigError(f"there is no metric {metric!r}; choose one of {', '.join(get_args(Metric))}")
    names = runs.novel.shape[1]
    base = ~runs.novel[:, labels]
    if metric == "openworld_auc":
        return _openworld(labels, runs, base)
    all_segments, all_names = np.ones_like(base), np.ones_like(runs.novel)
    if metric == "acc":
        return _mean(runs.predictions == labels, all_segments, labels, names)
    if metric in ("w_f1", "macro_f1"):
        return _f1(labels, runs.predictions, all_names, all_segments, macro=metric == "macro_f1")
    kind, segments = (~runs.novel, base) if metric.startswith("b") else (runs.novel, ~base)
    if not metric.endswith(("only_acc", "only_w_f1")):
        return _f1(labels, runs.predictions, kind, all_segments, macro=metric == "macro_n_f1")
    if runs.own_kind is None:
        return None
    if metric.endswith("only_acc"):
        return _mean(runs.own_kind == labels, segments, labels, names)
    return _f1(labels, runs.own_kind, kind, segments, macro=False)


def _mean(values: NDArray[Any], counted: Marks, labels: Indices, names: int) -> Influence | None:
    """The mean of values (T, M) over the segments that are counted."""
    if not counted.any():
        return None
    weights = counted / counted.sum()
    value = float((weights * values).sum())
    segments = weights * (values - value)
    by_name = _by_name(labels, segments, names)
    return Influence(value, segments, by_name, by_name, _by_name(labels, weights, names))


def _f1(labels: Indices, predictions: Indices, kind: Marks, counted: Marks, *, macro: bool) -> Influence | None:
    """The mean F1 of the names of a kind (T, N) over the segments that are counted (T, M)."""
    names = kind.shape[1]
    right = predictions == labels
    support = _by_name(labels, counted.astype(float), names)
    hits = _by_name(labels, (counted & right).astype(float), names)
    occurrences = support + np.stack([sums(p, c, names) for p, c in zip(predictions, counted, strict=True)])
    sizes = kind * (support > 0 if macro else support)
    if not sizes.any():
        return None
    shares = sizes / sizes.sum()
    f1 = 2 * hits / np.maximum(occurrences, 1)
    value = float((shares * f1).sum())
    distance = shares * (f1 - value)

    run = np.arange(len(predictions))[:, None]
    slope = shares / np.maximum(
        occurrences, 1
    )  # F1 = 2 TP / (2 TP + FP + FN): d F1 = (2 d TP - F1 d occurrences) / occ
    as_labelled = counted * slope[:, labels] * (2 * right - f1[:, labels])
    as_predicted = -1.0 * counted * slope[run, predictions] * f1[run, predictions]
    segments = as_labelled + as_predicted
    if not macro:
        segments += counted * (distance / np.maximum(support, 1))[:, labels]
    spoilt = _by_name(labels, as_predicted * ~right, names)  # by a name's segments, of other names' F1
    return Influence(value, segments, distance + spoilt, distance, shares)


def _openworld(labels: Indices, runs: Runs, base: Marks) -> Influence | None:
    """The mean over the runs; in each, the mean over the base segments, and over the novel ones, of the pairs won."""
    sizes = base.sum(axis=1, keepdims=True), (~base).sum(axis=1, keepdims=True)
    if runs.own_kind is None or runs.base_scores is None or not all(size.all() for size in sizes):
        return None
    times, names = runs.novel.shape
    won = np.stack([won_pairs(*run) for run in zip(runs.own_kind == labels, base, runs.base_scores, strict=True)])
    weights = np.where(base, 1 / sizes[0], 1 / sizes[1]) / times
    of_runs = times * (weights * won * base).sum(axis=1, keepdims=True)
    value = float(of_runs.mean())
    segments = weights * (won - of_runs)
    distances = _by_name(labels, weights * (won - value), names) / 2  # the two means are the same figure
    return Influence(
        value, segments, _by_name(labels, segments, names), distances, _by_name(labels, weights, names) / 2
    )


def _by_name(labels: Indices, values: Values, names: int) -> Values:
    """The sums (T, N) of values (T, M) over each name's segments."""
    return np.stack([sums(labels, row, names) for row in values])


def sums(places: Indices, values: NDArray[Any], size: int = 0) -> Values:
    """The sums of values (M,) by their places (M,), float64 (size,) or as many as the places need."""
    return np.bincount(places, values.astype(np.float64), size).astype(np.float64)
