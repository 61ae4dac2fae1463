"""The scores of a classification with their intervals, beside plain CLIP, and which names they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from opendas_plugin.eval.comparison import METRICS
from opendas_plugin.eval.influences import Metric
from opendas_plugin.eval.intervals import Interval
from opendas_plugin.reports.figures import class_bars, score_intervals
from opendas_plugin.reports.naming import Naming
from opendas_plugin.reports.page import Block, Cell, Chart, Kind, Section, Table
from opendas_plugin.wording import counted

COLUMNS: Mapping[Metric, str] = {**METRICS, "macro_f1": "macro F1"}
INTERVALS = (
    "In brackets: the 95% interval over groups of segments (rooms, scenes or images) and names. One training: what "
    "another seed would change is not in it."
)
RULE = (
    "W-F1, B-F1 and N-F1: the F1 of each name, over all segments and with all names competing, averaged by segments "
    "over all names, over those of the training (base) and over the others (novel)."
)


def score_section(naming: Naming) -> Section:
    """A row a system, and below it the result less plain CLIP."""
    found = {
        named.title: {metric: naming.evidence.interval(named.title, metric) for metric in COLUMNS}
        for named in naming.systems
    }
    count = len(naming.labels)
    rows = tuple(
        _row(title, [interval_cell(cells[metric]) for metric in COLUMNS], Cell(f"{count:,}", count))
        for title, cells in found.items()
    )
    table = Table(("named by", *COLUMNS.values(), "segments"), rows, notes=(INTERVALS, RULE))
    return Section("Scores", (table, *_difference(naming), *_chart(found)))


def interval_cell(found: Interval | None) -> Cell:
    """A score with its interval."""
    if found is None:
        return Cell("-")
    ends = f" [{found.low:.1f}, {found.high:.1f}]" if found.known else ""
    return Cell(f"{found.value:.1f}{ends}", found.value)


def difference_cell(found: Interval | None) -> Cell:
    """A difference with its interval, marked where that does not hold 0."""
    if found is None:
        return Cell("-")
    ends = f" [{found.low:+.1f}, {found.high:+.1f}]" if found.known else ""
    kinds: dict[str, Kind] = {">": "good", "<": "bad"}
    return Cell(f"{found.value:+.1f}{ends}", found.value, kinds.get(found.sign, "") if found.known else "")


def headline(naming: Naming) -> tuple[tuple[tuple[str, str], ...], str]:
    """The figures for the top of a page, and a sentence on what was gained."""
    last, first = naming.last, naming.first
    figures, sentences = [], []
    for metric, title in METRICS.items():
        now = naming.evidence.interval(last.title, metric)
        if now is None:
            continue
        before = None if first is None else naming.evidence.interval(first.title, metric)
        figures.append((title, f"{now.value:.1f}" if before is None else f"{before.value:.1f} \u2192 {now.value:.1f}"))
        if first is not None and metric in ("b_f1", "n_f1"):
            change = naming.evidence.difference(last.title, first.title, metric)
            sentences += [] if change is None else [f"{title} {_said(change)}"]
    if first is None:
        about = f"{counted(len(naming.labels), 'segment')}, {counted(len(naming.vocabulary.names), 'name')}"
        return tuple(figures), f"Named by {last.title}: {about}."
    said = "; ".join(sentences)
    segments = counted(len(naming.labels), "segment")
    return tuple(figures), f"Against {first.title}, on {segments}: {said}." if said else ""


def _said(change: Interval) -> str:
    ends = f" (95%: {change.low:+.1f} to {change.high:+.1f})" if change.known else ""
    if not change.known:
        return f"{change.value:+.1f} points, with too few groups or names for an interval"
    verdict = {">": "a gain", "<": "a loss", "open": "which may be chance"}[change.sign]
    return f"{change.value:+.1f} points{ends}, {verdict}"


def _difference(naming: Naming) -> tuple[Block, ...]:
    first = naming.first
    if first is None:
        return ()
    change = naming.evidence.difference
    rows = tuple(
        _row(named.title, [difference_cell(change(named.title, first.title, metric)) for metric in COLUMNS])
        for named in naming.systems[1:]
    )
    note = "Green and red: above and below it where the 95% interval of the paired difference does not hold 0."
    return (Table(("named by", *COLUMNS.values()), rows, f"Difference to {first.title}, in points", (note,)),)


def _row(title: str, cells: Sequence[Cell], *more: Cell) -> tuple[Cell | str, ...]:
    return (title, *cells, *more)


def _chart(found: Mapping[str, Mapping[Metric, Interval | None]]) -> tuple[Chart, ...]:
    rows = {
        title: {
            COLUMNS[metric]: None if one is None else (one.value, one.low, one.high)
            for metric, one in cells.items()
            if metric in METRICS
        }
        for title, cells in found.items()
    }
    return (score_intervals(rows, "Scores in percent"),)


def class_section(naming: Naming) -> Section:
    """The F1 of each name as bars, base and novel marked, and as a table."""
    names, last, first = naming.vocabulary.names, naming.last, naming.first
    now, before = naming.f1(last), None if first is None else naming.f1(first)
    scored = [place for place in range(len(names)) if naming.support[place]]
    order = sorted(scored, key=lambda place: (naming.novel[place], -now[place], names[place]))
    chart = class_bars(
        [names[place] for place in order],
        [bool(naming.novel[place]) for place in order],
        now[order].tolist(),
        None if before is None else before[order].tolist(),
        "F1",
        "" if first is None else first.title,
    )
    columns = ["name", "segments", *([] if first is None else [f"F1, {first.title}"]), "F1", "precision", "recall"]
    columns += [] if first is None else ["change"]
    columns += [] if naming.trained is None else ["trained on"]
    rows = tuple(_class_row(naming, place, now, before) for place in order)
    unjudged = len(names) - len(scored)
    notes = [f"{unjudged} names have no segment here and are not shown."] if unjudged else []
    notes += ["\u25c6 novel: not in training."] if naming.novel.any() else []
    return Section("Every name", (chart, Table(tuple(columns), rows, notes=tuple(notes))))


def _class_row(naming: Naming, place: int, now: np.ndarray, before: np.ndarray | None) -> tuple[Cell | str, ...]:
    confusion = naming.confusion(naming.last)
    name, hits = naming.vocabulary.names[place], int(confusion[place, place])
    predicted, support = int(confusion[:, place].sum()), int(naming.support[place])
    kind: Kind = "novel" if naming.novel[place] else "base"
    cells: list[Cell | str] = [Cell(name, kind=kind), Cell(f"{support:,}", support)]
    cells += [] if before is None else [percent_cell(before[place])]
    cells += [percent_cell(now[place]), percent_cell(100 * hits / predicted if predicted else math.nan)]
    cells += [percent_cell(100 * hits / support)]
    cells += [] if before is None else [change_cell(now[place] - before[place])]
    if naming.trained is not None:
        count = naming.trained.get(name, 0)
        cells.append(Cell(f"{count:,}", count))
    return tuple(cells)


def percent_cell(value: float | None) -> Cell:
    """A score in percent, ``-`` where there is none."""
    return Cell("-") if value is None or math.isnan(value) else Cell(f"{value:.1f}", float(value))


def change_cell(value: float) -> Cell:
    """A difference in points."""
    kind: Kind = "good" if value > 0.05 else "bad" if value < -0.05 else ""
    return Cell(f"{value:+.1f}", float(value), kind)


def of_folders(titles: Sequence[str]) -> dict[str, str]:
    """What the folders of a training's scores are called on a page."""
    known = {"before": "plain CLIP", "start": "the adapter to start from", "after": "after training"}
    stage = "after_"
    return {
        title: known.get(title, f"after the {title.removeprefix(stage)} stage" if title.startswith(stage) else title)
        for title in titles
    }
