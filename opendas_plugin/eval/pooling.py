"""Figures of a system that was trained once or several times, each time without some of the names.

A *run* is one training: a fold (which names were left out) and a seed. Every run names the same segments. Figures are
pooled over the runs: each name counts by its segments, once for every run in which it is of the kind that is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FoldPredictions:
    """What a system that was trained without some of N names says of M segments.

    Args:
        predictions: (S, M) places of names, a row for each training seed; one row where nothing is learnt.
        novel: (N,) bool, the names that were not trained.
        own_kind: (S, M) the best name among those of the segment's own kind, base or novel; None: not known.
        base_scores: (S, M) how much each segment seems to be of a base name, higher is more; None: not known.

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


Folds = Sequence[FoldPredictions]
