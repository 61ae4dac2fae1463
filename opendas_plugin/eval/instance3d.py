"""ScanNet's average precision of 3D instances; a mask is the list of its points, and a scene leaves only its overlaps.

The rule is that of ScanNet's benchmark as OpenMask3D (evaluation/eval_semantic_instance.py) and ScanNet++'s toolbox
(semantic/eval/eval_instance.py) keep it, number for number. Ground truth is one integer a point, class * 1000 +
instance: 0 is nothing, a class that is not scored is *void*, and a number below 1000 is a group of instances.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError

THRESHOLDS = np.append(np.arange(0.5, 0.95, 0.05), 0.25)
"""What the IoU of a match has to exceed: nine values that AP averages over, 0.5 the first of them, and 0.25."""
_AT_50, _AT_25, _OF_AP = 0, 9, slice(0, 9)
MIN_POINTS = 100
"""Smaller predictions are left out, and smaller instances are not asked for."""


@dataclass(frozen=True, eq=False)
class Instance:
    """A predicted instance.

    Attributes:
        points: (n,) the rows of its points in the scene's cloud, each once.
        class_id: its class.
        score: how sure the prediction is.
    """

    points: NDArray[np.integer]
    class_id: int
    score: float


@dataclass(frozen=True, eq=False)
class Overlaps:
    """How the P predictions and G instances of one class lie over each other in one scene.

    Attributes:
        iou: (P, G) intersection over union.
        scores: (P,).
        ignored: (P,) the share of each prediction that lies on points which do not speak against it.
        counted: (G,) whether the instance is asked for: large enough, and no group.
    """

    iou: NDArray[np.float64]
    scores: NDArray[np.float64]
    ignored: NDArray[np.float64]
    counted: NDArray[np.bool_]


class InstanceAccumulator:
    """Takes scenes one by one and scores them together, class by class and as if all classes were one."""

    def __init__(self, class_ids: Sequence[int], *, min_points: int = MIN_POINTS, groups: bool = True) -> None:
        """Prepares.

        Args:
            class_ids: the classes that are scored; others are void.
            min_points: of a prediction or an instance that counts.
            groups: whether numbers below 1000 are groups; else they are instances of class 0.
        """
        self.class_ids, self.min_points, self.groups = tuple(class_ids), min_points, groups
        self._by_class: list[list[Overlaps]] = [[] for _ in self.class_ids]
        self._agnostic: list[Overlaps] = []

    def add(
        self, truth: NDArray[np.integer], instances: Iterable[Instance], kept: NDArray[np.bool_] | None = None
    ) -> None:
        """Adds a scene.

        Args:
            truth: (N,) class * 1000 + instance of each point.
            instances: the predictions, of which one at a time is needed; the order decides between equals.
            kept: (N,) the points that are evaluated; None: all.

        Raises:
            DataError: an instance has a point that the cloud lacks.
        """
        ids, place, sizes = _truth(truth, kept)
        classes, scores, rows = [], [], []
        for instance in instances:
            covered = _covered(instance, place, len(ids))
            if covered.sum() >= self.min_points:
                classes.append(instance.class_id)
                scores.append(instance.score)
                rows.append(covered)
        shared = np.array(rows, dtype=np.int64).reshape(len(rows), len(ids))  # (P, U) common points
        scored = np.isin(ids // 1000, self.class_ids)

        def overlaps(chosen: NDArray[np.bool_], own: NDArray[np.bool_]) -> Overlaps:
            common, areas = shared[np.ix_(chosen, own)], shared[chosen].sum(axis=1)
            group, small = (ids[own] < 1000) & self.groups, sizes[own] < self.min_points
            void = shared[chosen][:, ~scored].sum(axis=1)
            ignored = void + common[:, group].sum(axis=1) + common[:, small].sum(axis=1)
            iou = common / (sizes[own] + areas[:, None] - common)
            return Overlaps(iou, np.array(scores, dtype=np.float64)[chosen], ignored / areas, ~group & ~small)

        for class_id, found in zip(self.class_ids, self._by_class, strict=True):
            chosen, own = np.array(classes) == class_id, (ids // 1000 == class_id) & (ids != 0)
            if own.any() or chosen.any():
                found.append(overlaps(chosen, own))
        self._agnostic.append(overlaps(np.ones(len(rows), dtype=bool), scored & (ids != 0)))

    def scores(self) -> InstanceScores:
        """Scores all scenes so far, class by class.

        Raises:
            DataError: no scene has an instance to find.
        """
        return _score(self._by_class, self.min_points)

    def agnostic_scores(self) -> InstanceScores:
        """Scores the masks alone: all scored classes are one, and every prediction is of it, whatever its class.

        Raises:
            DataError: no scene has an instance to find.
        """
        return _score([self._agnostic], self.min_points)


@dataclass(frozen=True, eq=False)
class InstanceScores:
    """Scores in percent; NaN for a class without an instance to find.

    Attributes:
        ap: (C, 10) average precision at each of :data:`THRESHOLDS`.
        recall: (C, 10) likewise the share of instances that were found.
        instances: (C,) how many there are to find.
        predictions: (C,) how many predictions were counted.
    """

    ap: NDArray[np.float64]
    recall: NDArray[np.float64]
    instances: tuple[int, ...]
    predictions: tuple[int, ...]

    def means(self, classes: Sequence[int] | None = None) -> dict[str, float | None]:
        """``ap`` (over 0.50:0.05:0.90), ``ap50``, ``ap25`` and the same of ``recall``, averaged over classes.

        Args:
            classes: rows to average; None: all. Those without an instance to find do not count; None where none does.
        """
        rows = np.arange(len(self.ap)) if classes is None else np.asarray(classes, dtype=np.int64)
        found: dict[str, float | None] = {}
        for name, values in (("ap", self.ap[rows]), ("recall", self.recall[rows])):
            for end, columns in (("", _OF_AP), ("50", _AT_50), ("25", _AT_25)):
                chosen = values[:, columns]
                found[name + end] = None if np.isnan(chosen).all() else float(np.nanmean(chosen))
        return found


def average_precision(scenes: Sequence[Overlaps], threshold: float) -> tuple[float, float]:
    """The average precision and the recall of one class at one threshold, in 0..1; NaN without instances to find.

    Predictions of one score enter the curve together; its area is summed by ScanNet's centred steps.
    """
    instances = sum(int(scene.counted.sum()) for scene in scenes)
    if not instances:
        return float("nan"), float("nan")
    if not any(len(scene.scores) for scene in scenes):
        return 0.0, 0.0
    parts = [_judge(scene, threshold) for scene in scenes]
    right = np.concatenate([right for right, _, _ in parts])
    scores = np.concatenate([scores for _, scores, _ in parts])
    missed = sum(missed for _, _, missed in parts)

    order = np.argsort(scores)
    _, starts = np.unique(scores[order], return_index=True)
    before = np.concatenate([[0], np.cumsum(right[order])])[starts]  # true positives with a lower score
    true_positives = right.sum() - before
    precision = np.append(true_positives / (len(scores) - starts), 1.0)
    recall = np.append(true_positives / (right.sum() + missed), 0.0)
    steps = np.convolve(np.concatenate([recall[:1], recall, [0.0]]), [-0.5, 0, 0.5], "valid")
    return float(precision @ steps), float(recall[0])


def _score(by_class: Sequence[Sequence[Overlaps]], min_points: int) -> InstanceScores:
    results = np.array([[average_precision(scenes, threshold) for threshold in THRESHOLDS] for scenes in by_class])
    if np.isnan(results).all():
        raise DataError(
            f"the ground truth has no instance of at least {min_points} points of the scored classes; check their ids"
        )
    instances = tuple(sum(int(scene.counted.sum()) for scene in scenes) for scenes in by_class)
    predictions = tuple(sum(len(scene.scores) for scene in scenes) for scenes in by_class)
    return InstanceScores(100 * results[..., 0], 100 * results[..., 1], instances, predictions)


def _judge(scene: Overlaps, threshold: float) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Which predictions are right (1) or wrong (0), their scores, and how many instances nothing was found for.

    Greedy: an instance takes the first free prediction that matches. A second match is wrong with the lower of both
    scores, and stays free.
    """
    match = scene.iou > threshold
    taken = np.zeros(len(match), dtype=bool)
    found, wrong, missed = [], [], 0
    for column in match.T[scene.counted]:
        best: float | None = None
        for row in np.flatnonzero(column & ~taken).tolist():
            score = float(scene.scores[row])
            if best is None:
                best, taken[row] = score, True
            else:
                wrong.append(min(best, score))
                best = max(best, score)
        if best is None:
            missed += 1
        else:
            found.append(best)
    wrong += scene.scores[~match.any(axis=1) & (scene.ignored <= threshold)].tolist()
    return np.repeat([1.0, 0.0], [len(found), len(wrong)]), np.array(found + wrong), missed


def _truth(
    truth: NDArray[np.integer], kept: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The different numbers (U,), the place of each point among them (N,), -1 where it is left out, and sizes (U,)."""
    ids, place = np.unique(np.asarray(truth, dtype=np.int64), return_inverse=True)
    place = place if kept is None else np.where(kept, place, -1)
    return ids, place, np.bincount(place[place >= 0], minlength=len(ids))


def _covered(instance: Instance, place: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """How many of the instance's points lie on each number of the ground truth, (U,)."""
    points = instance.points
    if len(points) and not (points.min() >= 0 and points.max() < len(place)):
        raise DataError(f"expected points 0 to {len(place) - 1} in a mask, got {points.min()} to {points.max()}")
    places = place[points]
    return np.bincount(places[places >= 0], minlength=count)
