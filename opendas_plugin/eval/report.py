"""A classification's results on disk: summary.json, per_class.csv, predictions.jsonl, confusion matrices, figures."""

from __future__ import annotations

import csv
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.eval import plots
from opendas_plugin.eval.classification import (
    Confusion,
    Protocol,
    accuracy,
    confusion_matrix,
    f1_per_class,
    harmonic_mean,
    summarise,
    weighted_f1,
)
from opendas_plugin.eval.learnt import check_learnt
from opendas_plugin.eval.openworld import openworld_auc
from opendas_plugin.eval.predict import Predictions, predict
from opendas_plugin.eval.prediction_file import write_predictions
from opendas_plugin.files import atomic_file, write_json
from opendas_plugin.labeller import Labeller
from opendas_plugin.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

COLUMNS = {"acc": "Acc", "w_f1": "W-F1", "b_f1": "B-F1", "n_f1": "N-F1", "macro_f1": "macro F1", "harmonic_f1": "H"}
COOP_COLUMNS = {"base_acc": "base Acc", "novel_acc": "novel Acc", "harmonic_acc": "H"}


def evaluate_classification(
    labeller: Labeller,
    segments: Sequence[Segment],
    vocabulary: Vocabulary,
    output: str | Path,
    *,
    split: str = "val",
    about: Mapping[str, Any] | None = None,
    figure: bool = True,
    protocol: Protocol = "joint",
) -> dict[str, Any]:
    """Classifies labelled segments, scores the predictions and writes the report into ``output``.

    Args:
        labeller: of the vocabulary's names.
        segments: labelled with them.
        vocabulary: says which names are novel.
        output: folder of the report; files of the same names in it are replaced.
        split: the segments' name in the summary.
        about: further facts for the summary, such as the adapter.
        figure: draw the confusion matrix, where matplotlib is installed; of many names it takes seconds.
        protocol: which names compete; coop needs novel names.

    Returns:
        What ``summary.json`` holds.

    Raises:
        DataError: no segments, or a label that is not in the vocabulary; the protocol coop without novel names.
        OutputError: the report could not be written.
    """
    if protocol == "coop" and not vocabulary.novel:
        raise DataError(
            f"the protocol coop scores base and novel names apart, and none of the {len(vocabulary.names)} names is "
            "novel; prepare the data with novel names, or take the protocol joint"
        )
    predictions = predict(labeller, segments, vocabulary)
    learnt = check_learnt(labeller.clip.config.training, {segment.image for segment in segments})
    facts = {"split": split, **labeller.facts(), **learnt, **(about or {})}
    return write_report(output, segments, predictions, vocabulary, facts, figure=figure, protocol=protocol)


def write_report(
    output: str | Path,
    segments: Sequence[Segment],
    predictions: Predictions,
    vocabulary: Vocabulary,
    about: Mapping[str, Any],
    *,
    figure: bool = True,
    protocol: Protocol = "joint",
) -> dict[str, Any]:
    """Scores predictions and writes the report's files, each whole or not at all, ``summary.json`` last.

    Returns:
        What ``summary.json`` holds: the scores of :func:`opendas_plugin.eval.classification.summarise`, the names of
        the files that they were computed from, and ``about``. Under the protocol coop all of them are of names that
        compete with those of their own kind, and ``base_acc``, ``novel_acc`` and ``harmonic_acc`` are added.
    """
    output = Path(output)
    if protocol == "coop":
        predictions = dataclasses.replace(predictions, predictions=predictions.own_kind(vocabulary))
    joint = confusion_matrix(predictions.labels, predictions.predictions, len(vocabulary.names))
    novel = _confusion_among(vocabulary.novel, predictions.novel_predictions, predictions, vocabulary)
    scores = {**summarise(joint, novel, vocabulary), **_apart(predictions, vocabulary)}
    if protocol == "coop":
        base, new = (scores[part]["acc"] if scores[part] else None for part in ("base_only", "novel_only"))
        scores |= {"base_acc": base, "novel_acc": new, "harmonic_acc": harmonic_mean(base, new)}
    summary = {**scores, "protocol": protocol, "confusion_matrix": "confusion.csv", **about}

    write_confusion(output / "confusion.csv", joint, vocabulary.names)
    (output / "confusion_novel.csv").unlink(missing_ok=True)
    if vocabulary.novel:
        write_confusion(output / "confusion_novel.csv", novel, vocabulary.novel)
        summary["novel_only"]["confusion_matrix"] = "confusion_novel.csv"
    _write_per_class(output / "per_class.csv", joint, vocabulary)
    write_predictions(output / "predictions.jsonl", segments, predictions, vocabulary)
    if figure and plots.available():
        with atomic_file(output / "confusion.png") as path:
            plots.confusion_figure(path, joint, vocabulary.names)
    write_json(output / "summary.json", summary)
    return summary


def format_table(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """Lays summaries out as a text table: a row each, the scores in percent, ``-`` where there is none.

    Above it are the backbone and the crops; where rows differ in their crops, each says its own.
    """
    columns = COOP_COLUMNS if all(summary.get("protocol") == "coop" for summary in summaries.values()) else COLUMNS
    header = ["", *columns.values(), "segments"]
    crops = {name: crops_of(summary) for name, summary in summaries.items()}
    differ = len(set(crops.values())) > 1
    rows = [
        [
            f"{name} ({crops[name]} crops)" if differ else name,
            *(percent(summary[key]) for key in columns),
            str(summary["n_segments"]),
        ]
        for name, summary in summaries.items()
    ]
    backbones = dict.fromkeys(summary["backbone"] for summary in summaries.values() if "backbone" in summary)
    shared = "" if differ else next(iter(crops.values()), None)
    about = [f"backbone {' and '.join(backbones)}" if backbones else "", f"crops {shared}" if shared else ""]
    caption = ", ".join(part for part in about if part)
    return "\n".join([*([caption] if caption else []), align([header, *rows])])


def crops_of(summary: Mapping[str, Any]) -> str | None:
    """The crops that a summary's names were given by, in words: background, expansion, resizing."""
    return str(CropPolicy.from_dict(summary["crop"])) if summary.get("crop") else None


def percent(value: float | None) -> str:
    """A score as a table shows it: one decimal, ``-`` where there is none."""
    return "-" if value is None else f"{value:.1f}"


def align(rows: Sequence[Sequence[str]]) -> str:
    """Lays rows of cells out in columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)


def compare_reports(path: str | Path, reports: Mapping[str, str | Path]) -> bool:
    """Draws the per-class F1 of several reports side by side as a PNG, where matplotlib is installed.

    Args:
        path: the PNG.
        reports: legend entry, such as ``before``, -> report folder; all over the same names.

    Returns:
        Whether the figure was drawn.

    Raises:
        MissingFileError: a folder holds no report.
    """
    if not plots.available():
        logger.info("no figure %s: matplotlib is not installed; pip install 'opendas-plugin[reports]'", Path(path).name)
        return False
    confusions = {title: read_confusion(Path(folder) / "confusion.csv") for title, folder in reports.items()}
    names = next(iter(confusions.values()))[1]
    series = {
        title: np.where(confusion.sum(axis=1) > 0, f1_per_class(confusion), np.nan).tolist()
        for title, (confusion, _) in confusions.items()
    }
    with atomic_file(path) as temporary:
        plots.class_figure(temporary, names, series, "F1")
    return True


def write_confusion(path: str | Path, confusion: Confusion, names: Sequence[str]) -> None:
    """Writes an (N, N) confusion matrix as CSV: a header of predicted names, then a line for each true name."""
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *names])
        writer.writerows([name, *row] for name, row in zip(names, confusion.tolist(), strict=True))


def read_confusion(path: str | Path) -> tuple[Confusion, tuple[str, ...]]:
    """Reads what :func:`write_confusion` wrote: the (N, N) counts and the N names.

    Raises:
        MissingFileError: there is no such file.
        DataError: the file is not such a matrix.
    """
    odd = DataError(f"{path}: expected a square confusion matrix with the same names in rows and columns")
    try:
        with open(path, encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        names, counts = tuple(header[1:]), np.array([row[1:] for row in rows], dtype=np.int64)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist; run the evaluation first") from error
    except ValueError as error:
        raise odd from error
    if tuple(row[0] for row in rows) != names or counts.shape != (len(names), len(names)):
        raise odd
    return counts, names


def _confusion_among(
    names: Sequence[str], guesses: NDArray[np.int64], predictions: Predictions, vocabulary: Vocabulary
) -> Confusion:
    """The confusion matrix of the segments of some names, where only these competed."""
    place = {vocabulary.index[name]: number for number, name in enumerate(names)}
    pairs = [
        (place[label], place[guess])
        for label, guess in zip(predictions.labels.tolist(), guesses.tolist(), strict=True)
        if label in place
    ]
    labels, found = zip(*pairs, strict=True) if pairs else ((), ())
    return confusion_matrix(labels, found, len(names))


def _apart(predictions: Predictions, vocabulary: Vocabulary) -> dict[str, Any]:
    """``base_only`` and ``openworld_auc``; None without novel names."""
    if not vocabulary.novel:
        return {"base_only": None, "openworld_auc": None}
    alone = _confusion_among(vocabulary.base, predictions.base_predictions, predictions, vocabulary)
    base = ~np.isin(predictions.labels, [vocabulary.index[name] for name in vocabulary.novel])
    right = predictions.own_kind(vocabulary) == predictions.labels
    return {
        "base_only": {"acc": accuracy(alone), "w_f1": weighted_f1(alone)},
        "openworld_auc": openworld_auc(right, base, predictions.base_scores),
    }


def _write_per_class(path: Path, confusion: Confusion, vocabulary: Vocabulary) -> None:
    hits, support, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    columns = zip(vocabulary.names, support, predicted, hits, f1_per_class(confusion), strict=True)
    novel = set(vocabulary.novel)
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "kind", "segments", "predicted", "precision", "recall", "f1"])
        for name, segments, guesses, right, f1 in columns:
            precision, recall = (f"{100 * right / total:.4f}" if total else "" for total in (guesses, segments))
            kind = "novel" if name in novel else "base"
            writer.writerow([name, kind, int(segments), int(guesses), precision, recall, f"{f1:.4f}"])
