"""What a system says of the same segments after several trainings, each without some of the names.

A *run* is one training: a fold (the names that were left out) and a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.wording import counted

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FoldPredictions:
    """What a system that was trained without some of N names says of M segments.

    Args:
        predictions: (S, M) places of names, a row for each training seed; one row where nothing is learnt.
        novel: (N,) bool, the names that were not trained.
        own_kind: (S, M) the best name among those of the segment's own kind, base or novel; None: not known.
        base_scores: (S, M) how much a segment seems to be of a base name, higher is more; None: not known.

    Raises:
        DataError: arrays that do not fit each other.
    """

    predictions: Indices
    novel: NDArray[np.bool_]
    own_kind: Indices | None = None
    base_scores: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name, kind in (("predictions", np.int64), ("own_kind", np.int64), ("base_scores", np.float64)):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, np.atleast_2d(np.asarray(given, dtype=kind)))
        object.__setattr__(self, "novel", np.asarray(self.novel, dtype=np.bool_))
        for name in ("own_kind", "base_scores"):
            given = getattr(self, name)
            if given is not None and given.shape != self.predictions.shape:
                raise DataError(f"expected {name} of shape {self.predictions.shape}, got {given.shape}")


@dataclass(frozen=True, eq=False)
class Runs:
    """T runs of one system over M segments and N names, in the order of folds and seeds.

    Args:
        predictions: (T, M) places of names.
        novel: (T, N) bool, the names that each was not trained with.
        own_kind: (T, M) the best name among those of the segment's own kind; None: not known of all runs.
        base_scores: (T, M) how much a segment seems to be of a base name; None: not known of all runs.
    """

    predictions: Indices
    novel: NDArray[np.bool_]
    own_kind: Indices | None = None
    base_scores: NDArray[np.float64] | None = None


def runs_of(labels: ArrayLike, folds: Sequence[FoldPredictions]) -> Runs:
    """All runs of a system.

    Args:
        labels: (M,) places of the right names.
        folds: one for each set of names that was left out.

    Raises:
        DataError: no fold, or folds that are not of the same segments and names.
    """
    true = np.asarray(labels, dtype=np.int64)
    if not folds or not len(true):
        raise DataError(
            f"expected segments and folds, got {counted(len(true), 'segment')} and {counted(len(folds), 'fold')}"
        )
    names = folds[0].novel.shape
    for fold in folds:
        if fold.predictions.shape[1:] != true.shape or fold.novel.shape != names or fold.novel.ndim != 1:
            raise DataError(
                f"expected predictions of {len(true)} segments and marks of {len(folds[0].novel)} names in every fold, "
                f"got {fold.predictions.shape} and {fold.novel.shape}"
            )
    own = [fold.own_kind for fold in folds if fold.own_kind is not None]
    places = np.concatenate([true, *(found.ravel() for found in (*(fold.predictions for fold in folds), *own))])
    if places.min() < 0 or places.max() >= names[0]:
        raise DataError(f"expected places of names in 0..{names[0] - 1}, got {places.min()}..{places.max()}")
    scores = [fold.base_scores for fold in folds if fold.base_scores is not None]
    return Runs(
        np.concatenate([fold.predictions for fold in folds]),
        np.concatenate([np.tile(fold.novel, (len(fold.predictions), 1)) for fold in folds]),
        np.concatenate(own) if len(own) == len(folds) else None,
        np.concatenate(scores) if len(scores) == len(folds) else None,
    )


def paired(
    mine: Sequence[FoldPredictions], theirs: Sequence[FoldPredictions]
) -> tuple[list[FoldPredictions], list[FoldPredictions]]:
    """Two systems' folds with as many seeds in each: one of a single seed is taken for all of the other's.

    Raises:
        DataError: other numbers of folds or seeds, or folds that leave out other names.
    """
    if len(mine) != len(theirs):
        raise DataError(f"expected the same folds of both systems, got {len(mine)} and {len(theirs)}")
    both = [(_with_seeds(one, other), _with_seeds(other, one)) for one, other in zip(mine, theirs, strict=True)]
    for one, other in both:
        if one.predictions.shape != other.predictions.shape or not np.array_equal(one.novel, other.novel):
            raise DataError(
                "expected folds of the same novel names, segments and seeds of both systems (or a single seed), got "
                f"predictions {one.predictions.shape} and {other.predictions.shape}"
            )
    return [one for one, _ in both], [other for _, other in both]


def _with_seeds(fold: FoldPredictions, other: FoldPredictions) -> FoldPredictions:
    if len(fold.predictions) != 1:
        return fold
    times = len(other.predictions)
    return FoldPredictions(
        np.repeat(fold.predictions, times, axis=0),
        fold.novel,
        None if fold.own_kind is None else np.repeat(fold.own_kind, times, axis=0),
        None if fold.base_scores is None else np.repeat(fold.base_scores, times, axis=0),
    )
