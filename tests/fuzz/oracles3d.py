"""AP of 3D instances by a second, plain reading: ScanNet's own loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.oracles import lines_of, load, refuse, text_of

OVERLAPS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.25)


def instances(protocol: str) -> Callable[[Path], Any]:
    def expected(folder: Path) -> Any:
        root = folder / "in"
        names = [line.strip() for line in text_of(root / "classes.txt").splitlines() if line.strip()]
        pairs = [name.split(maxsplit=1) for name in names] if protocol == "scannet" else list(enumerate(names))
        wanted = [line.strip() for line in text_of(root / "scored.txt").splitlines() if line.strip()]
        if not set(wanted) <= {name for _, name in pairs}:
            refuse("a scored name that is no class")
        ids = [int(number) for number, name in pairs if name in wanted]
        scenes = [_scene(root, path, protocol) for path in sorted((root / "gt").glob("*.txt"))]
        table, recalls, found, counted = [], [], 0, 0
        for class_id in ids:
            rows = [_class_ap(scenes, class_id, overlap, ids, protocol) for overlap in OVERLAPS]
            table.append([row[0] for row in rows])
            recalls.append([row[1] for row in rows])
            found += rows[0][2]
        counted = sum(sum(int(mask.sum()) >= 100 for mask, *_ in predictions) for _, predictions in scenes)
        ap, recall = 100 * np.array(table), 100 * np.array(recalls)
        return [
            float(np.nanmean(ap[:, :9])), float(np.nanmean(ap[:, 0])), float(np.nanmean(ap[:, 9])),
            float(np.nanmean(recall[:, :9])), len(scenes), found, counted,
        ]  # fmt: skip

    return expected


def _scene(root: Path, path: Path, protocol: str) -> Any:
    truth = np.array([int(word) for word in lines_of(path)])
    kept = np.ones(len(truth), bool)
    if protocol == "scannetpp":
        kept[[int(word) for word in lines_of(root / "removed" / path.name)]] = False
    predictions = {}
    for line in text_of(root / "predictions" / path.name).splitlines():
        if not line.strip():
            continue
        file, class_id, score = line.split()
        if not math.isfinite(float(score)) or float(class_id) != int(float(class_id)):
            refuse("a score or a class that is no number")
        if protocol == "scannet":
            mask = np.array([int(word) for word in lines_of(root / "predictions" / file)]) != 0
        else:
            code = load(root / "predictions" / file)
            mask, runs = np.zeros(code["length"], bool), [int(word) for word in code["counts"].split()]
            for start, length in zip(runs[::2], runs[1::2], strict=True):
                mask[start - 1 : start - 1 + length] = True
        if mask.shape != truth.shape:
            refuse("a mask of another cloud")
        predictions[(root / "predictions" / file).resolve()] = (mask[kept], int(float(class_id)), float(score))
    return truth[kept], list(predictions.values())


def _class_ap(scenes: Any, class_id: int, overlap: float, scored: list[int], protocol: str) -> tuple[float, float, int]:
    """ScanNet's evaluate_semantic_instance.py for one class at one overlap: AP, recall, instances."""
    first = 1000 if protocol == "scannet" else 0  # ScanNet's numbers below are groups, ScanNet++'s class 0
    y_true, y_score, missed, there, count = [], [], 0, False, 0
    for truth, predictions in scenes:
        own = [(mask, score) for mask, number, score in predictions if number == class_id and mask.sum() >= 100]
        there |= bool(own)
        ids = [number for number in np.unique(truth) if number // 1000 == class_id and number != 0]
        void = ~np.isin(truth // 1000, scored)
        wanted = [truth == number for number in ids if (truth == number).sum() >= 100 and number >= first]
        count += len(wanted)
        visited = set()
        for instance in wanted:
            best = None
            for place, (mask, score) in enumerate(own):
                if place in visited:
                    continue
                common = (mask & instance).sum()
                if common and common / (mask.sum() + instance.sum() - common) > overlap:
                    if best is None:
                        best = score
                        visited.add(place)
                    else:
                        y_true.append(0)
                        y_score.append(min(best, score))
                        best = max(best, score)
            if best is None:
                missed += 1
            else:
                y_true.append(1)
                y_score.append(best)
        for mask, score in own:
            shares = [
                (mask & (truth == number)).sum()
                / (mask.sum() + (truth == number).sum() - (mask & (truth == number)).sum())
                for number in ids
            ]
            if not any(share > overlap for share in shares):
                small = sum((mask & (truth == n)).sum() for n in ids if n < first or (truth == n).sum() < 100)
                if ((mask & void).sum() + small) / mask.sum() <= overlap:
                    y_true.append(0)
                    y_score.append(score)
    if not count:
        return math.nan, math.nan, 0
    if not there:
        return 0.0, 0.0, count
    return (*_area(np.array(y_true), np.array(y_score), missed), count)


def _area(y_true: np.ndarray, y_score: np.ndarray, missed: int) -> tuple[float, float]:
    order = np.argsort(y_score)
    y_true, y_score = y_true[order], y_score[order]
    summed = np.append(np.cumsum(y_true), 0)
    _, starts = np.unique(y_score, return_index=True)
    examples, right = len(y_score), summed[-2] if len(y_true) else 0
    precision, recall = [], []
    for start in starts:
        before = summed[start - 1] if start else 0
        true, false = right - before, examples - start - (right - before)
        precision.append(true / (true + false))
        recall.append(true / (true + before + missed))
    precision.append(1.0)
    recall.append(0.0)
    steps = np.convolve(np.concatenate([recall[:1], recall, [0.0]]), [-0.5, 0, 0.5], "valid")
    return float(np.dot(precision, steps)), float(recall[0])
