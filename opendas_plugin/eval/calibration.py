"""How much an adapted model prefers the names that it was trained with: one constant, learnt without novel names.

The scores of base names are lowered by it (calibrated stacking, Chao et al., ECCV 2016). It is chosen where some of the
training names were held out of training: there they play the part of novel names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.eval.classification import confusion_matrix, harmonic_mean, weighted_f1

CANDIDATES = np.round(np.arange(-0.1, 0.3001, 0.0025), 4)
"""Differences of cosines to choose from."""


@dataclass(frozen=True)
class HeldOut:
    """What a model that was trained without some names says of segments with all of them."""

    cosines: NDArray[np.float32]
    """(M, N) of segments and names."""
    labels: NDArray[np.int64]
    """(M,) the right names."""
    trained: NDArray[np.bool_]
    """(N,) which names it was trained with."""


def balance(held_out: HeldOut, constant: float) -> float:
    """The harmonic mean of B-F1 and N-F1, in percent, with the constant taken from the trained names' cosines."""
    predictions = (held_out.cosines - constant * held_out.trained).argmax(axis=1)
    confusion = confusion_matrix(held_out.labels, predictions, len(held_out.trained))
    base, novel = (weighted_f1(confusion, np.flatnonzero(held_out.trained == part).tolist()) for part in (True, False))
    return harmonic_mean(base, novel) or 0.0


def choose_constant(folds: Sequence[HeldOut]) -> float:
    """The candidate with the highest mean :func:`balance` over the folds; of equal ones the nearest to 0."""
    means = [float(np.mean([balance(fold, constant) for fold in folds])) for constant in CANDIDATES.tolist()]
    best = max(range(len(means)), key=lambda place: (means[place], -abs(CANDIDATES[place])))
    return float(CANDIDATES[best])
