"""Comparing systems that were scored on the same segments, over several training seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opendas_plugin.crops import CropPolicy
from opendas_plugin.eval.evidence import Evidence
from opendas_plugin.eval.influences import Metric
from opendas_plugin.eval.intervals import Interval
from opendas_plugin.eval.paper import SOURCE, TABLE_1, TABLE_3
from opendas_plugin.eval.tables import Cell, Figure, Table

HOST_METRICS = {"miou": "mIoU", "macc": "mAcc", "ap": "AP", "ap50": "AP50", "ap25": "AP25"}
METRICS: Mapping[Metric, str] = {"acc": "Acc", "w_f1": "W-F1", "b_f1": "B-F1", "n_f1": "N-F1"}
APART: Mapping[Metric, str] = {
    "macro_n_f1": "macro N-F1",
    "base_only_acc": "base-only Acc",
    "novel_only_acc": "novel-only Acc",
    "openworld_auc": "OpenworldAUC",
}
"""How well base and novel names are told apart, and named where they do not compete."""
INTERVALS = (
    "In brackets: the 95% interval over groups of segments (rooms, scenes or images), names and training seeds; of one "
    "seed, it does not say what another training would change."
)


@dataclass(frozen=True)
class System:
    """One row: a method, or a stage of one, over its training seeds.

    Args:
        title: of the row.
        parameters: how many values it learns.
        scores: seed -> ``summary.json``; a system without training has the seed None alone.
        seconds: of training, one figure a run; empty where they are another row's.
        memory: peak of the process in MB, likewise; None of a run whose peak is not known.
    """

    title: str
    parameters: int
    scores: Mapping[int | None, Mapping[str, Any]]
    seconds: Sequence[float] = field(default_factory=tuple)
    memory: Sequence[float | None] = field(default_factory=tuple)

    @property
    def known_memory(self) -> list[float]:
        """The peaks that are known."""
        return [peak for peak in self.memory if peak is not None]

    def values(self, metric: str) -> list[float]:
        """The metric over the seeds, where it is known."""
        found = [score_of(score, metric) for score in self.scores.values()]
        return [value for value in found if value is not None]

    @property
    def crops(self) -> str | None:
        """The crops that it was scored by, in words; None where its summaries do not say."""
        found = {str(CropPolicy.from_dict(s["crop"])) for s in self.scores.values() if s.get("crop")}
        return " or ".join(sorted(found)) or None

    def figure(self, metric: Metric, evidence: Evidence | None = None) -> Figure | None:
        """Its mean and standard deviation, and its interval where there is evidence."""
        values = self.values(metric)
        found = evidence.interval(self.title, metric) if evidence and values else None
        return Figure.of(values, ends=_ends(found)) if values else None


def score_of(summary: Mapping[str, Any], metric: str) -> float | None:
    """A metric of a ``summary.json``; None where there is none, as in files of before it was computed."""
    kind, _, field_of_kind = metric.partition("_only_")
    found: float | None = (summary.get(f"{kind}_only") or {}).get(field_of_kind) if field_of_kind else None
    return found if field_of_kind else summary.get(metric)


def _ends(found: Interval | None) -> tuple[float, float] | None:
    return (found.low, found.high) if found and found.known else None


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


def base_and_novel_table(
    systems: Sequence[System], about: str, quoted: bool = True, evidence: Evidence | None = None
) -> Table:
    """The paper's Table 1: parameters, W-F1, B-F1, N-F1; then what training cost; then the paper's own rows, marked."""
    columns = ("method", "parameters", "W-F1", "B-F1", "N-F1", "training (s)", "peak memory (MB)")
    titles, notes = marked(systems)
    rows: list[tuple[Cell, ...]] = [
        (
            titles[system.title],
            f"{system.parameters:,}",
            system.figure("w_f1", evidence),
            system.figure("b_f1", evidence),
            system.figure("n_f1", evidence),
            Figure.of(system.seconds, digits=0) if system.seconds else None,
            Figure.of(system.known_memory, digits=0) if system.known_memory else None,
        )
        for system in systems
    ]
    if quoted:
        rows += [
            (f"{row.method} *", row.parameters, *map(_quoted, (row.w_f1, row.b_f1, row.n_f1)), None, None)
            for row in TABLE_1
        ]
    notes = (*notes, *([INTERVALS] if evidence else []), *([f"\\* {SOURCE}."] if quoted else []))
    return Table(f"Base and novel names, {about}", columns, tuple(rows), notes)


def _quoted(value: float | None) -> Figure | None:
    return None if value is None else Figure(value)


def accuracy_table(systems: Sequence[System], about: str, evidence: Evidence | None = None) -> Table:
    """The paper's Table 2: Acc and W-F1."""
    return _figures(f"All names, {about}", systems, {"acc": "Acc", "w_f1": "W-F1"}, evidence)


def apart_table(systems: Sequence[System], about: str, evidence: Evidence | None = None) -> Table:
    """How well base and novel names are told apart, and named where they do not compete."""
    return _figures(f"Base and novel names apart, {about}", systems, APART, evidence)


def _figures(
    caption: str, systems: Sequence[System], metrics: Mapping[Metric, str], evidence: Evidence | None
) -> Table:
    titles, notes = marked(systems)
    rows = tuple(
        (titles[system.title], f"{system.parameters:,}", *(system.figure(metric, evidence) for metric in metrics))
        for system in systems
    )
    notes = (*notes, INTERVALS) if evidence else notes
    return Table(caption, ("method", "parameters", *metrics.values()), rows, notes)


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


def difference_table(systems: Sequence[System], reference: System, about: str, evidence: Evidence) -> Table:
    """Each system less the reference with the interval of the difference, and what may be said of the two."""
    titles, notes = marked(systems, reference)
    others = [system for system in systems if system is not reference]
    found = [
        {metric: evidence.difference(system.title, reference.title, metric) for metric in METRICS} for system in others
    ]
    rows = tuple(
        (titles[system.title], *(_difference(cells[metric]) for metric in METRICS), _verdict(cells))
        for system, cells in zip(others, found, strict=True)
    )
    said = (
        f"> and <: above and below {reference.title}, where the 95% interval of the difference, in brackets, does not "
        "hold 0; all else is open. The interval is over groups of segments (rooms, scenes or images), names and "
        "training seeds, the same for both rows; of one seed, it does not say what another training would change."
    )
    return Table(
        f"Difference to {reference.title}, {about}",
        ("method", *METRICS.values(), f"against {reference.title}"),
        rows,
        (*notes, said),
    )


def _difference(found: Interval | None) -> Figure | None:
    return None if found is None else Figure(found.value, ends=_ends(found))


def _verdict(found: Mapping[Metric, Interval | None]) -> str:
    return ", ".join(f"{METRICS[metric]} {cell.sign}" for metric, cell in found.items() if cell)
