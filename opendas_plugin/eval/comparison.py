"""Comparing systems that were scored on the same segments, over several training seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opendas_plugin.crops import CropPolicy
from opendas_plugin.eval.paper import SOURCE, TABLE_1, TABLE_3
from opendas_plugin.eval.tables import Cell, Figure, Table

HOST_METRICS = {"miou": "mIoU", "macc": "mAcc", "ap": "AP", "ap50": "AP50", "ap25": "AP25"}
METRICS = {"acc": "Acc", "w_f1": "W-F1", "b_f1": "B-F1", "n_f1": "N-F1"}


@dataclass(frozen=True)
class System:
    """One row: a method, or a stage of one, over its training seeds.

    Args:
        title: of the row.
        parameters: how many values it learns.
        scores: seed -> ``summary.json``; a system without training has the seed None alone.
        seconds: of training, one figure a run; empty where they are another row's.
        memory: peak of the process in MB, likewise.
    """

    title: str
    parameters: int
    scores: Mapping[int | None, Mapping[str, Any]]
    seconds: Sequence[float] = field(default_factory=tuple)
    memory: Sequence[float] = field(default_factory=tuple)

    def values(self, metric: str) -> list[float]:
        """The metric over the seeds, where it is known."""
        return [score[metric] for score in self.scores.values() if score[metric] is not None]

    @property
    def crops(self) -> str | None:
        """The crops that it was scored by, in words; None where its summaries do not say."""
        found = {str(CropPolicy.from_dict(s["crop"])) for s in self.scores.values() if s.get("crop")}
        return " or ".join(sorted(found)) or None

    def figure(self, metric: str) -> Figure | None:
        """Its mean and standard deviation."""
        values = self.values(metric)
        return Figure.of(values) if values else None


def marked(systems: Sequence[System], reference: System | None = None) -> tuple[dict[str, str], tuple[str, ...]]:
    """The titles of a table's rows, those with other crops than the reference marked, and the note that says so.

    Args:
        systems: the rows.
        reference: None: the first of them.
    """
    reference = reference or systems[0]
    other = [system for system in systems if system.crops not in (reference.crops, None)] if reference.crops else []
    titles = {system.title: system.title for system in systems}
    titles |= {system.title: f"{system.title} ({system.crops} crops)" for system in other}
    note = (
        f"Rows with crops in brackets have other ones than {reference.title} ({reference.crops}), which is part of "
        "their difference."
    )
    return titles, (note,) if other else ()


def paired_difference(system: System, other: System, metric: str) -> Figure | None:
    """The mean of ``system - other`` over the seeds that both have, and its standard error.

    A system without training is the same at every seed.
    """
    seeds = [seed for seed in system.scores if seed in other.scores or None in other.scores]
    if None in system.scores:
        seeds = list(other.scores)
    differences = []
    for seed in seeds:
        mine = system.scores.get(seed, system.scores.get(None, {})).get(metric)
        theirs = other.scores.get(seed, other.scores.get(None, {})).get(metric)
        if mine is not None and theirs is not None:
            differences.append(mine - theirs)
    if not differences:
        return None
    figure = Figure.of(differences)
    return figure if figure.std is None else Figure(figure.mean, figure.std / math.sqrt(len(differences)))


def base_and_novel_table(systems: Sequence[System], about: str, quoted: bool = True) -> Table:
    """The paper's Table 1: parameters, W-F1, B-F1, N-F1; then what training cost; then the paper's own rows, marked."""
    columns = ("method", "parameters", "W-F1", "B-F1", "N-F1", "training (s)", "peak memory (MB)")
    titles, notes = marked(systems)
    rows: list[tuple[Cell, ...]] = [
        (
            titles[system.title],
            f"{system.parameters:,}",
            *(system.figure(metric) for metric in ("w_f1", "b_f1", "n_f1")),
            Figure.of(system.seconds, digits=0) if system.seconds else None,
            Figure.of(system.memory, digits=0) if system.memory else None,
        )
        for system in systems
    ]
    if quoted:
        rows += [
            (f"{row.method} *", row.parameters, *map(_quoted, (row.w_f1, row.b_f1, row.n_f1)), None, None)
            for row in TABLE_1
        ]
    notes = (*notes, f"\\* {SOURCE}.") if quoted else notes
    return Table(f"Base and novel names, {about}", columns, tuple(rows), notes)


def _quoted(value: float | None) -> Figure | None:
    return None if value is None else Figure(value)


def accuracy_table(systems: Sequence[System], about: str) -> Table:
    """The paper's Table 2: Acc and W-F1."""
    titles, notes = marked(systems)
    rows = tuple(
        (titles[system.title], f"{system.parameters:,}", system.figure("acc"), system.figure("w_f1"))
        for system in systems
    )
    return Table(f"All names, {about}", ("method", "parameters", "Acc", "W-F1"), rows, notes)


def host_table(summaries: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """The paper's Table 3: what segmentation pipelines score with and without an adapter.

    Args:
        summaries: title of a row -> the ``summary.json`` of a semantic or a 3D evaluation, one a seed.
    """
    rows: list[tuple[Cell, ...]] = []
    for title, scored in summaries.items():
        values = {metric: [s[metric] for s in scored if s.get(metric) is not None] for metric in HOST_METRICS}
        rows.append((title, *(Figure.of(found) if found else None for found in values.values())))
    for quoted in TABLE_3:
        figures = (Figure(quoted.scores[metric]) if metric in quoted.scores else None for metric in HOST_METRICS)
        rows.append((f"{quoted.title} *", *figures))
    note = "\\* quoted from the paper; other data and masks, so no row to compare with the measured ones."
    return Table("Segmentation with and without an adapter", ("pipeline", *HOST_METRICS.values()), tuple(rows), (note,))


def difference_table(systems: Sequence[System], reference: System, about: str) -> Table:
    """Each system less the reference, seed by seed: the mean and its standard error."""
    titles, notes = marked(systems, reference)
    rows = tuple(
        (titles[system.title], *(paired_difference(system, reference, metric) for metric in METRICS))
        for system in systems
        if system is not reference
    )
    return Table(
        f"Difference to {reference.title} (mean and standard error over paired seeds), {about}",
        ("method", *METRICS.values()),
        rows,
        notes,
    )
