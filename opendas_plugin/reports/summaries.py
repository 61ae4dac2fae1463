"""Scores of which the classes alone are known: tables of summaries and of classes, and what changed between two."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opendas_plugin.eval.intervals import Interval
from opendas_plugin.files import read_json
from opendas_plugin.reports.figures import class_bars, score_intervals
from opendas_plugin.reports.page import Block, Cell, Kind, Notes, Section, Table
from opendas_plugin.reports.scores import change_cell, difference_cell, interval_cell, percent_cell
from opendas_plugin.wording import counted

Rows = Sequence[Mapping[str, str]]
_MOST = 8  # names that gained, and that lost


def read_per_class(folder: Path) -> list[dict[str, str]]:
    """The rows of a report's ``per_class.csv``.

    Raises:
        OSError: there is none.
    """
    with open(folder / "per_class.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_summary(folder: Path) -> dict[str, Any]:
    """A report's ``summary.json``."""
    found: dict[str, Any] = read_json(folder / "summary.json")
    return found


def summary_section(
    summaries: Mapping[str, Mapping[str, Any]],
    columns: Mapping[str, str],
    intervals: Mapping[str, Mapping[str, Interval | None]] | None = None,
    differences: Mapping[str, Interval | None] | None = None,
    notes: Sequence[str] = (),
) -> Section:
    """The figures of one or more summaries, a row each.

    Args:
        summaries: title -> ``summary.json``, what is compared with first.
        columns: field -> its title.
        intervals: title -> field -> the figure with its interval, where it is known.
        differences: field -> the last less the first.
        notes: below the table.
    """
    known = intervals or {}

    def cell(title: str, field: str) -> Cell:
        found = known.get(title, {}).get(field)
        return percent_cell(summaries[title].get(field)) if found is None else interval_cell(found)

    used = [field for field in columns if any(summary.get(field) is not None for summary in summaries.values())]
    rows: list[tuple[Cell | str, ...]] = [(title, *(cell(title, field) for field in used)) for title in summaries]
    heads = ("result", *(columns[field] for field in used))
    blocks: list[Block] = [Table(heads, tuple(rows), notes=tuple(notes))]
    if len(summaries) > 1:
        first, *_, last = summaries
        cells = [_difference(summaries[first], summaries[last], field, differences or {}) for field in used]
        row: tuple[Cell | str, ...] = (last, *cells)
        blocks.append(
            Table(("result", *(columns[field] for field in used)), (row,), f"Difference to {first}, in points")
        )
    if known:
        drawn = {
            title: {columns[field]: _ends(found[field]) for field in used[:4] if field in found}
            for title, found in known.items()
        }
        blocks.append(score_intervals(drawn, "Scores in percent"))
    return Section("Scores", tuple(blocks))


def _ends(found: Interval | None) -> tuple[float, float, float] | None:
    return None if found is None else (found.value, found.low, found.high)


def _difference(
    first: Mapping[str, Any], last: Mapping[str, Any], field: str, known: Mapping[str, Interval | None]
) -> Cell:
    if known.get(field) is not None:
        return difference_cell(known[field])
    both = first.get(field), last.get(field)
    return Cell("-") if None in both else change_cell(float(both[1] or 0) - float(both[0] or 0))


def headline_figures(
    now: Mapping[str, Any], before: Mapping[str, Any] | None, columns: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """The figures for the top of a page, six at most, with what they were before."""
    found = []
    for field, title in columns.items():
        if (value := now.get(field)) is None:
            continue
        earlier = None if before is None else before.get(field)
        found.append((title, f"{value:.1f}" if earlier is None else f"{earlier:.1f} \u2192 {value:.1f}"))
    return tuple(found[:6])


def per_class_section(
    now: Rows,
    before: Rows | None,
    score: tuple[str, str],
    count: tuple[str, str],
    before_title: str,
    titles: Mapping[str, str],
) -> Section:
    """A bar and a row for each class that has any.

    Args:
        now: of ``per_class.csv``.
        before: of what it is compared with; None: nothing.
        score: field in percent, and its title.
        count: field of how many there are, and its title.
        before_title: what ``before`` is of.
        titles: other fields' titles; those that are left out have their name.
    """
    earlier = {row["name"]: number(row[score[0]]) for row in before or ()}
    shown = [row for row in now if int(row[count[0]]) > 0]
    values = {row["name"]: number(row[score[0]]) for row in shown}
    order = sorted(shown, key=lambda row: (row["kind"] == "novel", -_finite(values[row["name"]]), row["name"]))
    chart = class_bars(
        [row["name"] for row in order],
        [row["kind"] == "novel" for row in order],
        [values[row["name"]] for row in order],
        None if before is None else [earlier.get(row["name"], math.nan) for row in order],
        score[1],
        before_title,
    )
    others = [key for key in now[0] if key not in ("id", "name", "kind", score[0], count[0])] if now else []
    columns = ("name", count[1], *([f"{score[1]}, {before_title}"] if before else []), score[1])
    columns += (*(["change"] if before else []), *(titles.get(key, key) for key in others))
    rows = []
    for row in order:
        name, value = row["name"], values[row["name"]]
        kind: Kind = "novel" if row["kind"] == "novel" else "base"
        cells: list[Cell | str] = [Cell(name, kind=kind), Cell(f"{int(row[count[0]]):,}", int(row[count[0]]))]
        cells += [percent_cell(earlier.get(name))] if before else []
        cells += [percent_cell(value)]
        cells += [change_cell(_finite(value) - _finite(earlier.get(name, math.nan)))] if before else []
        rows.append((*cells, *(_other(row[key]) for key in others)))
    left_out = len(now) - len(shown)
    absent = counted(left_out, "class does not occur and is", "classes do not occur and are")
    notes = (f"{absent} not shown.",) if left_out else ()
    return Section("Every name", (chart, Table(columns, tuple(rows), notes=notes)))


def change_section(now: Rows, before: Rows | None, score: tuple[str, str], before_title: str) -> Section:
    """The classes that gained and lost most; empty where there is nothing to compare with."""
    if before is None:
        return Section("What changed most", ())
    earlier = {row["name"]: number(row[score[0]]) for row in before}
    changes = [
        (number(row[score[0]]) - earlier[row["name"]], row)
        for row in now
        if row["name"] in earlier and not math.isnan(number(row[score[0]]) - earlier[row["name"]])
    ]
    blocks: list[Block] = []
    for title, sign in (("Gained", 1), ("Lost", -1)):
        found = sorted((one for one in changes if sign * one[0] > 0.05), key=lambda one: -sign * one[0])
        rows = tuple(
            (
                Cell(row["name"], kind="novel" if row["kind"] == "novel" else "base"),
                percent_cell(earlier[row["name"]]),
                percent_cell(number(row[score[0]])),
                change_cell(change),
            )
            for change, row in found[:_MOST]
        )
        columns = ("name", f"{score[1]}, {before_title}", score[1], "change")
        blocks.append(Table(columns, rows, f"{title}: {len(found)} of {len(changes)} names."))
        if not rows:
            blocks.append(Notes((f"No name has {title.lower()}.",)))
    return Section("What changed most", tuple(blocks))


def number(text: str) -> float:
    """A number of a CSV file; NaN where it is empty."""
    return float(text) if text else math.nan


def _finite(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _other(text: str) -> Cell:
    try:
        value = float(text)
    except ValueError:
        return Cell(text or "-")
    return Cell(f"{value:.1f}" if "." in text else f"{value:,.0f}", value)
