"""Are base and novel segments told apart *and* named right? OpenworldAUC, Hua et al., ICML 2025 (arXiv 2505.05180)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def won_pairs(right: NDArray[np.bool_], base: NDArray[np.bool_], scores: Values) -> Values:
    """In which share of its pairs with segments of the other kind a segment does its part, (M,) in 0..1.

    A pair of a base and a novel segment is won where both are named right among the names of their own kind, and the
    base segment has the higher score; at equal scores it is won by half. The mean over the base segments, and that over
    the novel ones, is OpenworldAUC.

    Args:
        right: (M,) whether the best name of a segment's own kind is the right one.
        base: (M,) whether the right name is a base name.
        scores: (M,) how much a segment seems to be of a base name.
    """
    shares = np.zeros(len(right))
    for kind, sign in ((base, 1.0), (~base, -1.0)):
        others = np.sort(sign * scores[~kind & right])
        own = sign * scores[kind]
        below, upto = np.searchsorted(others, own, "left"), np.searchsorted(others, own, "right")
        shares[kind] = right[kind] * (below + upto) / (2 * max(int((~kind).sum()), 1))
    return shares


def openworld_auc(right: NDArray[np.bool_], base: NDArray[np.bool_], scores: Values) -> float | None:
    """The share of pairs of a base and a novel segment that are told apart and named right, in percent.

    The arguments are those of :func:`won_pairs`.

    Returns:
        None without base or without novel segments.
    """
    if base.all() or not base.any():
        return None
    return float(100 * won_pairs(right, base, scores)[base].mean())
