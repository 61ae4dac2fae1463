"""A 3D instance evaluation from scenes to its files: summary.json, per_class.csv and a figure."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.eval import plots
from opendas_plugin.eval.instance3d import Instance, InstanceAccumulator, InstanceScores
from opendas_plugin.eval.instance_files import Classes
from opendas_plugin.eval.oracle import OracleScores
from opendas_plugin.eval.report import align, percent
from opendas_plugin.files import atomic_file, write_json

COLUMNS = {"ap": "AP", "ap50": "AP50", "ap25": "AP25", "recall": "AR", "recall50": "R50", "recall25": "R25"}


@dataclass(frozen=True, eq=False)
class ScoredScene:
    """One scene to score.

    Attributes:
        name: for messages.
        truth: (N,) class * 1000 + instance of each point.
        instances: the predictions, made or read one at a time.
        kept: (N,) the points that are evaluated; None: all.
    """

    name: str
    truth: NDArray[np.int64]
    instances: Iterable[Instance]
    kept: NDArray[np.bool_] | None = None


def evaluate_instances(
    scenes: Iterable[ScoredScene],
    classes: Classes,
    output: str | Path,
    *,
    protocol: str,
    novel: Collection[str] = (),
    about: Mapping[str, Any] | None = None,
    oracle: OracleScores | None = None,
    figure: bool = True,
) -> dict[str, Any]:
    """Scores predicted instances and writes the report into ``output``; one scene at a time is in memory.

    Args:
        scenes: the scenes; a generator may read each when its turn comes.
        classes: those that are scored; the points of others are void.
        output: folder of the report; files of the same names in it are replaced.
        protocol: the rule's name in the summary. ``scannetpp`` numbers classes from 0, and so numbers below 1000 are
            instances of class 0 where that is scored; in ``scannet`` they are groups.
        novel: the names that were not seen in training; others of ``classes`` are base.
        about: further facts for the summary, such as the adapter.
        figure: draw the scores of each class.
        oracle: what ``scenes`` fills where the masks are the ground truth's own; its scores stand under ``oracle``.

    Returns:
        What ``summary.json`` holds: ``ap``, ``ap50``, ``ap25``, ``recall``, ``recall50``, ``recall25`` in percent, the
        same under ``base`` and ``novel`` (None without novel names) and, of the masks alone, under ``agnostic``.

    Raises:
        DataError: a scene cannot be scored, or there is no instance to find.
        OutputError: the report could not be written.
    """
    accumulator, count = InstanceAccumulator(classes.ids, groups=protocol != "scannetpp"), 0
    for scene in scenes:
        try:
            accumulator.add(scene.truth, scene.instances, scene.kept)
        except DataError as error:
            raise DataError(f"{scene.name}: {error}") from error
        count += 1
    scores, agnostic = accumulator.scores(), accumulator.agnostic_scores()
    kinds = ["novel" if name in novel else "base" for name in classes.names]
    parts = {kind: [row for row, own in enumerate(kinds) if own == kind] for kind in ("base", "novel")}
    summary: dict[str, Any] = {
        **scores.means(),
        **{kind: scores.means(parts[kind]) if parts["novel"] else None for kind in ("base", "novel")},
        "agnostic": agnostic.means(),
        "n_scenes": count,
        "n_instances": sum(scores.instances),
        "n_predictions": sum(agnostic.predictions),
        "protocol": protocol,
        **(about or {}),
    }
    if oracle is not None:
        summary["oracle"] = oracle.write(Path(output))
    _write_per_class(Path(output) / "per_class.csv", scores, classes, kinds)
    if figure and plots.available():
        series = {"AP": scores.ap[:, :9].mean(axis=1).tolist(), "AP25": scores.ap[:, 9].tolist()}
        with atomic_file(Path(output) / "per_class.png") as path:
            plots.class_figure(path, classes.names, series, "average precision")
    write_json(Path(output) / "summary.json", summary)
    return summary


def format_instance_table(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """Lays summaries out as a text table: a row each, the scores in percent, ``-`` where there is none.

    A summary's ``base``, ``novel`` and ``agnostic`` scores follow it in rows of their own.
    """
    rows = []
    for name, summary in summaries.items():
        rows.append((name, summary))
        rows += [(f"  {part}", summary[part]) for part in ("base", "novel", "agnostic") if summary.get(part)]
    cells = [[name, *(percent(scores[key]) for key in COLUMNS)] for name, scores in rows]
    return align([["", *COLUMNS.values()], *cells])


def _write_per_class(path: Path, scores: InstanceScores, classes: Classes, kinds: Sequence[str]) -> None:
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "name", "kind", "instances", "predictions", *COLUMNS])
        for row, (number, name) in enumerate(zip(classes.ids, classes.names, strict=True)):
            means = scores.means([row])
            shares = ["" if means[key] is None else f"{means[key]:.4f}" for key in COLUMNS]
            writer.writerow([number, name, kinds[row], scores.instances[row], scores.predictions[row], *shares])
