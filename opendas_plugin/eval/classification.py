"""Classification metrics as pure functions of a confusion matrix.

A confusion matrix is (N, N) integers: row = true class, column = predicted class, both in the vocabulary's order.
Every score is in percent. A score over no segments at all is None, never a made-up number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.vocabulary import Vocabulary

Protocol = Literal["joint", "coop"]
"""joint: all names compete for every segment. coop: base names alone for the segments of base names, novel names alone
for those of novel ones, which is the base-to-new protocol of CoCoOp (Zhou et al., CVPR 2022) and its successors."""

Confusion = NDArray[np.int64]


def confusion_matrix(labels: ArrayLike, predictions: ArrayLike, classes: int) -> Confusion:
    """Counts how often each class was taken for each.

    Args:
        labels: (M,) true class indices in 0..classes-1.
        predictions: (M,) predicted class indices, likewise.
        classes: N, the number of classes.

    Returns:
        (N, N) counts, rows true, columns predicted.

    Raises:
        DataError: the two differ in length, or an index is out of range.
    """
    true, predicted = np.asarray(labels, dtype=np.int64), np.asarray(predictions, dtype=np.int64)
    if true.shape != predicted.shape or true.ndim != 1:
        raise DataError(f"expected as many predictions as labels, got shapes {predicted.shape} and {true.shape}")
    both = np.concatenate([true, predicted])
    if both.size and not (both.min() >= 0 and both.max() < classes):
        raise DataError(f"expected class indices in 0..{classes - 1}, got {both.min()}..{both.max()}")
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def accuracy(confusion: Confusion) -> float | None:
    """Returns the share of segments whose prediction is right, in percent."""
    total = int(confusion.sum())
    return 100.0 * int(np.trace(confusion)) / total if total else None


def f1_per_class(confusion: Confusion) -> NDArray[np.float64]:
    """Returns 2 TP / (2 TP + FP + FN) of each class, (N,) in percent; 0 for a class neither there nor predicted."""
    hits = np.diag(confusion).astype(np.float64)
    occurrences = (confusion.sum(axis=0) + confusion.sum(axis=1)).astype(np.float64)  # 2 TP + FP + FN
    return 200.0 * np.divide(hits, occurrences, out=np.zeros_like(hits), where=occurrences > 0)


def weighted_f1(confusion: Confusion, classes: Sequence[int] | None = None) -> float | None:
    """Averages the F1 of some classes by their number of segments.

    The F1 of each class is over *all* segments: one of another class that is taken for it counts against it.
    Equals ``sklearn.metrics.f1_score(y, p, labels=classes, average="weighted", zero_division=0)``.

    Args:
        confusion: (N, N).
        classes: the class indices to average over; None takes all.

    Returns:
        Percent, or None where these classes have no segment.
    """
    chosen = np.arange(len(confusion)) if classes is None else np.asarray(classes, dtype=np.int64)
    support = confusion.sum(axis=1)[chosen]
    if not support.sum():
        return None
    return float(np.average(f1_per_class(confusion)[chosen], weights=support))


def macro_f1(confusion: Confusion, classes: Sequence[int] | None = None) -> float | None:
    """Averages the F1 of the classes that have segments, each class alike, in percent.

    Args:
        confusion: (N, N).
        classes: the class indices to average over; None takes all.
    """
    chosen = np.arange(len(confusion)) if classes is None else np.asarray(classes, dtype=np.int64)
    present = chosen[confusion.sum(axis=1)[chosen] > 0]
    return float(f1_per_class(confusion)[present].mean()) if len(present) else None


def harmonic_mean(first: float | None, second: float | None) -> float | None:
    """Returns 2ab / (a + b), the usual single figure for base and novel; 0 where one is 0, None where one is None."""
    if first is None or second is None:
        return None
    return 2.0 * first * second / (first + second) if first and second else 0.0


def summarise(confusion: Confusion, novel_confusion: Confusion, vocabulary: Vocabulary) -> dict[str, Any]:
    """Computes every figure of a classification's ``summary.json`` from its two stored confusion matrices.

    Args:
        confusion: (N, N) over all segments in the joint label space, in ``vocabulary.names`` order.
        novel_confusion: (K, K) over the novel segments where only the K novel names compete, in
            ``vocabulary.novel`` order.
        vocabulary: says which names are base and which novel.

    Returns:
        ``acc``, ``w_f1``, ``b_f1``, ``n_f1``, ``macro_f1``, ``macro_n_f1``, ``harmonic_f1`` (of B-F1 and N-F1),
        ``novel_only`` (``acc``, ``w_f1``; None without novel names), in percent, and ``n_segments``.
    """
    novel_classes = [vocabulary.index[name] for name in vocabulary.novel]
    base = weighted_f1(confusion, [vocabulary.index[name] for name in vocabulary.base])
    novel = weighted_f1(confusion, novel_classes)
    scores: Mapping[str, float | None] = {
        "acc": accuracy(confusion),
        "w_f1": weighted_f1(confusion),
        "b_f1": base,
        "n_f1": novel,
        "macro_f1": macro_f1(confusion),
        "macro_n_f1": macro_f1(confusion, novel_classes),
        "harmonic_f1": harmonic_mean(base, novel),
    }
    alone = {"acc": accuracy(novel_confusion), "w_f1": weighted_f1(novel_confusion)}
    return {**scores, "novel_only": alone if vocabulary.novel else None, "n_segments": int(confusion.sum())}
