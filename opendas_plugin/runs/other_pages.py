"""The pages of evaluations with a table and a figure alone: 3D instances, shares, gates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opendas_plugin.reports.facts import command_section, facts_section
from opendas_plugin.reports.figures import lines
from opendas_plugin.reports.notices import listed, notice_section
from opendas_plugin.reports.page import Cell, Page, Section, Table
from opendas_plugin.reports.scores import percent_cell
from opendas_plugin.reports.summaries import (
    change_section,
    headline_figures,
    per_class_section,
    read_per_class,
    read_summary,
    summary_section,
)
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.wording import counted, some_of

_SCORE, _COUNT = ("ap", "AP"), ("instances", "instances")


def instance_page(
    record: RunRecord, output: Path, title: str, beside: Path | None, about: Sequence[tuple[str, Any]], settings: str
) -> Page:
    """The page of a 3D evaluation; ``beside`` is another one's folder, of the same scenes."""
    from opendas_plugin.eval.instance_report import COLUMNS

    summary = read_summary(output)
    summaries = {title: summary} if beside is None else {beside.name: read_summary(beside), title: summary}
    now, before = read_per_class(output), None if beside is None else read_per_class(beside)
    other = "" if beside is None else beside.name
    parts = [(part, summary[part]) for part in ("base", "novel", "agnostic") if summary.get(part)]
    rows: tuple[tuple[Cell | str, ...], ...] = tuple(
        (part, *(percent_cell(found.get(key)) for key in COLUMNS)) for part, found in parts
    )
    kinds = Table(("of", *COLUMNS.values()), rows, "By kind of name; agnostic: the masks alone, whatever their names")
    scores = summary_section(summaries, COLUMNS, notes=("No interval: few scenes carry none.",))
    absent = [row["name"] for row in now if int(row["instances"]) == 0]
    found = [f"{counted(len(absent), 'name has', 'names have')} no instance here: {listed(absent)}."] if absent else []
    few = [row["name"] for row in now if 0 < int(row["instances"]) < 5]
    found += (
        [
            f"{counted(len(few), 'name has', 'names have')} fewer than 5 instances; such an AP says little: "
            f"{listed(few)}."
        ]
        if few
        else []
    )
    told = [
        *((name.replace("_", " "), value) for name, value in about),
        ("protocol", summary.get("protocol")),
        ("judged by", f"{counted(summary['n_instances'], 'instance')} in {counted(summary['n_scenes'], 'scene')}"),
        ("predictions", f"{summary['n_predictions']:,}"),
    ]
    oracle = summary.get("oracle") or {}
    named = {"acc": "Acc", "w_f1": "W-F1", "b_f1": "B-F1", "n_f1": "N-F1"}
    of_oracle = Table(
        ("names of the true masks", *named.values()),
        (("oracle", *(percent_cell(oracle.get(key)) for key in named)),) if oracle else (),
    )
    sections = (
        facts_section(record.facts, told),
        Section("Scores", (*scores.blocks, kinds, of_oracle)),
        change_section(now, before, _SCORE, other),
        per_class_section(now, before, _SCORE, _COUNT, other, COLUMNS),
        notice_section(record.warnings, found),
        command_section(record.facts, settings),
    )
    figures = headline_figures(summary, None if beside is None else summaries[beside.name], COLUMNS)
    return Page(f"3D instances: {title}", sections, "", figures)


def shares_page(
    record: RunRecord, rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, str], of: str,
    about: Sequence[tuple[str, Any]], settings: str,
) -> Page:  # fmt: skip
    """The page of an adapter at shares between plain CLIP and itself."""
    shares = [float(row["share"]) for row in rows]
    series = {title: [row[key] for row in rows] for key, title in metrics.items() if rows[-1].get(key) is not None}
    cells = tuple(
        (Cell(f"{row['share']:g}", row["share"]), *(percent_cell(row[key]) for key in metrics)) for row in rows
    )
    best = max(rows, key=lambda row: row["harmonic_f1"] if row.get("harmonic_f1") is not None else row["w_f1"] or 0)
    sections = (
        facts_section(record.facts, about),
        Section(
            "Scores",
            (lines(shares, series, f"share of the adapter ({of})", "%"), Table(("share", *metrics.values()), cells)),
        ),
        notice_section(record.warnings, ["A share chosen on these segments flatters it; choose it on others."]),
        command_section(record.facts, settings),
    )
    return Page("Between plain CLIP and the adapter", sections, f"The best share here is {best['share']:g}.")


def gates_page(record: RunRecord, gates: Sequence[Any], backbone: str, settings: str) -> Page:
    """The page of the gates of a tiny CLIP."""
    rows = tuple((gate.name, _verdict(gate), _bounds(gate), gate.detail) for gate in gates)
    missed = [gate.name for gate in gates if not gate.holds]
    failure = f"{some_of(len(missed), len(gates), 'gate', 'is', 'are')} missed: {listed(missed)}." if missed else ""
    sections = (
        facts_section(record.facts, [("backbone", backbone)]),
        Section("Gates", (Table(("gate", "value", "bounds", "about"), rows, texts=4),)),
        notice_section(record.warnings),
        command_section(record.facts, settings),
    )
    return Page(f"Gates of {backbone}", sections, "" if missed else f"All {len(gates)} gates hold.", failure=failure)


def _verdict(gate: Any) -> Cell:
    value = "not known" if math.isnan(gate.value) else f"{gate.value:.3f}"
    return Cell(f"{value}, holds", kind="good") if gate.holds else Cell(f"{value}, missed", kind="bad")


def _bounds(gate: Any) -> str:
    above, below = gate.above > -float("inf"), gate.below < float("inf")
    return " and ".join([*([f"above {gate.above:g}"] if above else []), *([f"below {gate.below:g}"] if below else [])])
