"""Semantic segmentation metrics as pure functions of a confusion matrix, under named protocols.

A confusion matrix is (N, N + 1) pixel counts: row = true class, column = predicted class, and a last column for pixels
that got no class. Ignored pixels are in none of its cells. Matrices of several images add up. Scores are in percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from opendas_plugin import label_values
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.eval.classification import Confusion, harmonic_mean

Protocol = Literal["detectron2", "ovseg"]

NONE = label_values.NONE
"""In a label map: a pixel to ignore. In a predicted map: a pixel without a class, which counts as missed."""


def pixel_confusion(labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int) -> Confusion:
    """Counts the pixels of one image: (N, N + 1), rows true, columns predicted, the last one without a prediction.

    Args:
        labels: (H, W) true class indices in 0..N-1, or :data:`NONE` where the pixel is ignored.
        predictions: (H, W) predicted class indices, or :data:`NONE` where there is no prediction.
        classes: N.

    Raises:
        DataError: the two differ in size, or an index is out of range.
    """
    if labels.shape != predictions.shape:
        raise DataError(f"expected a prediction of the label map's size, got {predictions.shape} and {labels.shape}")
    for name, values in (("label", labels), ("predicted", predictions)):
        if values.size and not (values.min() >= NONE and values.max() < classes):
            raise DataError(f"expected {name} classes in 0..{classes - 1}, got {values.min()}..{values.max()}")
    counted = labels != NONE
    columns = np.where(predictions == NONE, classes, predictions)[counted]
    pairs = np.bincount(labels[counted] * (classes + 1) + columns, minlength=classes * (classes + 1))
    return pairs.reshape(classes, classes + 1)


def iou_per_class(confusion: Confusion) -> NDArray[np.float64]:
    """Intersection over union of each class, (N,) in percent; NaN for a class that is neither there nor predicted."""
    hits, true, predicted = _counts(confusion)
    return 100 * _ratio(hits, true + predicted - hits)


def accuracy_per_class(confusion: Confusion) -> NDArray[np.float64]:
    """The share of each class's pixels that got it, (N,) in percent; NaN for a class without pixels."""
    hits, true, _ = _counts(confusion)
    return 100 * _ratio(hits, true)


def mean_iou(confusion: Confusion, protocol: Protocol, classes: Sequence[int] | None = None) -> float | None:
    """Averages the IoU of some classes; the protocols differ in which of them are counted.

    ``detectron2`` averages over the classes that have pixels. ``ovseg`` divides by the number of classes that have
    pixels or were predicted: one that was predicted and is not there counts as 0.

    Args:
        confusion: (N, N + 1).
        protocol: ``detectron2`` is its ``SemSegEvaluator`` since 2022, ``ovseg`` its ``GeneralizedSemSegEvaluator``.
        classes: the class indices to average over; None takes all.

    Returns:
        Percent, or None where no class is counted.
    """
    _, true, predicted = _counts(confusion)
    there = true > 0
    counted = there if protocol == "detectron2" else there | (predicted > 0)
    chosen = np.zeros_like(there)
    chosen[np.arange(len(true)) if classes is None else np.asarray(classes, dtype=np.int64)] = True
    counted = counted & chosen
    # a class that is not there has no hit: its IoU is 0
    return float(np.nan_to_num(iou_per_class(confusion))[counted].mean()) if counted.any() else None


def summarise(confusion: Confusion, protocol: Protocol, novel: Sequence[int] = ()) -> dict[str, float | None]:
    """Computes every figure of a semantic evaluation's ``summary.json``.

    Args:
        confusion: (N, N + 1), summed over the images.
        protocol: see :func:`mean_iou`.
        novel: the class indices that were not seen in training.

    Returns:
        ``miou``, ``macc``, ``fwiou`` (IoU weighted by the classes' pixels), ``pacc`` (share of right pixels),
        ``b_miou``, ``n_miou``, ``b_pacc``, ``n_pacc`` of the base and the novel classes, and ``hiou``, the harmonic
        mean of ``b_miou`` and ``n_miou``; None where there is nothing to average.

    Raises:
        ConfigError: an unknown protocol.
        DataError: no pixel is left to score.
    """
    if protocol not in get_args(Protocol):
        raise ConfigError(f"expected the protocol detectron2 or ovseg, got {protocol!r}")
    hits, true, _ = _counts(confusion)
    if not true.sum():
        raise DataError("expected labelled pixels, but all of them are ignored; check the labels and what is ignored")
    iou, accuracy, there = iou_per_class(confusion), accuracy_per_class(confusion), true > 0
    base = [index for index in range(len(true)) if index not in set(novel)]
    base_miou, novel_miou = (mean_iou(confusion, protocol, part) if novel else None for part in (base, list(novel)))
    return {
        "miou": mean_iou(confusion, protocol),
        "macc": float(accuracy[there].mean()),
        "fwiou": float(np.average(iou[there], weights=true[there])),
        "pacc": _share(hits, true),
        "b_miou": base_miou,
        "n_miou": novel_miou,
        "hiou": harmonic_mean(base_miou, novel_miou),
        "b_pacc": _share(hits[base], true[base]) if novel else None,
        "n_pacc": _share(hits[list(novel)], true[list(novel)]) if novel else None,
    }


def per_class(confusion: Confusion) -> list[dict[str, Any]]:
    """One row a class for ``per_class.csv``: ``pixels``, ``predicted``, ``iou``, ``acc`` (percent; None: undefined)."""
    _, true, predicted = _counts(confusion)
    columns = zip(true, predicted, iou_per_class(confusion), accuracy_per_class(confusion), strict=True)
    return [
        {"pixels": int(pixels), "predicted": int(guesses), "iou": _or_none(iou), "acc": _or_none(accuracy)}
        for pixels, guesses, iou, accuracy in columns
    ]


def _counts(confusion: Confusion) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Right, true and predicted pixels of each class, (N,) each."""
    return np.diagonal(confusion), confusion.sum(axis=1), confusion[:, :-1].sum(axis=0)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def _share(hits: NDArray[np.int64], true: NDArray[np.int64]) -> float | None:
    return 100.0 * int(hits.sum()) / int(true.sum()) if true.sum() else None


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
