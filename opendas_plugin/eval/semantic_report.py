"""A semantic evaluation from predicted maps to its files: summary.json, per_class.csv and confusion.csv."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from opendas_plugin.errors import DataError
from opendas_plugin.eval import plots
from opendas_plugin.eval.classification import Confusion
from opendas_plugin.eval.label_maps import ClassMap, Labelling, map_files, pairs
from opendas_plugin.eval.report import align, percent
from opendas_plugin.eval.semantic import Protocol, per_class, pixel_confusion, summarise
from opendas_plugin.files import atomic_file, write_json

COLUMNS = {"miou": "mIoU", "macc": "mAcc", "fwiou": "fwIoU", "pacc": "pAcc", "hiou": "hIoU"}
NOTHING = "(none)"
"""The column of confusion.csv for pixels without a prediction."""


def evaluate_semantic(
    predictions: str | Path,
    ground_truth: str | Path,
    names: Sequence[str],
    protocol: Protocol,
    output: str | Path,
    *,
    labelling: Labelling,
    novel: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
    seen: Callable[[str, ClassMap, ClassMap, Confusion], None] | None = None,
    figure: bool = True,
) -> dict[str, Any]:
    """Scores predicted class maps against label maps and writes the report into ``output``.

    Args:
        predictions: ``sem_seg_predictions.json`` of detectron2 and OVSeg, or a folder of PNGs.
        ground_truth: folder of label PNGs or TIFFs, matched by stem; every one needs a prediction.
        names: the N class names.
        protocol: ``detectron2`` or ``ovseg``, see :func:`opendas_plugin.eval.semantic.mean_iou`.
        output: folder of the report; files of the same names in it are replaced.
        labelling: which numbers mean which name, on both sides.
        novel: those of ``names`` that were not seen in training.
        about: further facts for the summary, such as the adapter.
        seen: called for each picture with its stem, its true and predicted classes (H, W) and their confusion matrix.
        figure: draw the confusion matrix.

    Returns:
        What ``summary.json`` holds.

    Raises:
        MissingFileError, DataError: a file is missing or does not hold what it should; no pixel is left to score.
        OutputError: the report could not be written.
    """
    predictions, ground_truth = Path(predictions), Path(ground_truth)
    confusion = np.zeros((len(names), len(names) + 1), dtype=np.int64)
    images = len(map_files(ground_truth))
    maps = pairs(predictions, ground_truth, labelling)
    for stem, labels, predicted in tqdm(maps, total=images, desc="score", unit="image", disable=None):
        own = pixel_confusion(labels, predicted, len(names))
        confusion += own
        if seen is not None:
            seen(stem, labels, predicted, own)
    labelling.check_doubt(confusion)
    facts = {"n_images": images, "ignore": list(labelling.labels.ignored), **_numbers(labelling), **(about or {})}
    return write_report(output, confusion, names, protocol, novel, facts, figure=figure)


def _numbers(labelling: Labelling) -> dict[str, str]:
    """The numbers that were taken for the classes on both sides, for the summary."""
    return {"label_values": labelling.labels.describe(), "prediction_values": labelling.predictions.describe()}


def write_report(
    output: str | Path,
    confusion: Confusion,
    names: Sequence[str],
    protocol: Protocol,
    novel: Sequence[str],
    about: Mapping[str, Any],
    *,
    figure: bool = True,
) -> dict[str, Any]:
    """Scores a summed confusion matrix (N, N + 1) and writes the report's files, ``summary.json`` last.

    Returns:
        What ``summary.json`` holds: the scores of :func:`opendas_plugin.eval.semantic.summarise`, and ``about``.

    Raises:
        DataError: a novel name is not one of ``names``, or no pixel is left to score.
    """
    output = Path(output)
    unknown = sorted(set(novel) - set(names))
    if unknown:
        raise DataError(f"every novel name must be a class name, but {unknown[0]!r} is not")
    scores = summarise(confusion, protocol, [names.index(name) for name in novel])
    pixels = {"n_pixels": int(confusion.sum()), "n_unpredicted": int(confusion[:, -1].sum())}
    summary = {**scores, **pixels, "protocol": protocol, "confusion_matrix": "confusion.csv", **about}

    with atomic_file(output / "confusion.csv") as path, open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *names, NOTHING])
        writer.writerows([name, *row] for name, row in zip(names, confusion.tolist(), strict=True))
    with atomic_file(output / "per_class.csv") as path, open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "kind", "pixels", "predicted", "iou", "acc"])
        for name, row in zip(names, per_class(confusion), strict=True):
            shares = ["" if row[key] is None else f"{row[key]:.4f}" for key in ("iou", "acc")]
            writer.writerow([name, "novel" if name in novel else "base", row["pixels"], row["predicted"], *shares])
    if figure and plots.available():
        with atomic_file(output / "confusion.png") as path:
            plots.confusion_figure(path, confusion, [*names, NOTHING])
    write_json(output / "summary.json", summary)
    return summary


def format_semantic_table(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """Lays summaries out as a text table: a row each, the scores in percent, ``-`` where there is none."""
    rows = [[name, *(percent(summary[key]) for key in COLUMNS)] for name, summary in summaries.items()]
    return align([["", *COLUMNS.values()], *rows])


def read_confusion(path: Path) -> Confusion:
    """Reads the (N, N + 1) matrix that :func:`write_report` wrote."""
    with open(path, encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return np.array([row[1:] for row in rows], dtype=np.int64)
