"""The tables of office-bench-v2 from the files of its rows: figures with intervals, differences, the paper's claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.domain import load_domain
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.intervals import Interval, Metric, difference, interval
from opendas_plugin.eval.pooling import FoldPredictions
from opendas_plugin.eval.tables import Table
from opendas_plugin.files import write_text
from opendas_plugin.office.bench_folds import FOLDS, scored_names
from opendas_plugin.runs.bench_rows import Block, Scored, rows_of
from opendas_plugin.wording import counted

REFERENCE: Mapping[Block, str] = {"published": "opendas, own names", "quick": "opendas, own names", "tuned": "opendas"}
METRICS: Mapping[Metric, str] = {
    "w_f1": "W-F1",
    "b_f1": "B-F1",
    "n_f1": "N-F1",
    "acc": "Acc",
    "macro_n_f1": "macro N",
    "novel_only_acc": "novel alone",
    "openworld_auc": "OpenworldAUC",
}
COMPARED: tuple[Metric, ...] = ("w_f1", "b_f1", "n_f1")
RIVALS = ("vpt", "cocoop", "rpo", "maple")
CLAIM = {">": "holds", "<": "fails", "open": "open"}


@dataclass(frozen=True)
class Line:
    """A line of a table: a row, or an earlier stage of one."""

    title: str
    scored: Scored
    stage: str

    @property
    def folds(self) -> list[FoldPredictions]:
        """What it says of each fold."""
        return list(self.scored.found[self.stage].values())

    @property
    def values(self) -> int:
        """How many values it learns."""
        return int(self.scored.facts["learnt"][self.stage])


@dataclass(frozen=True)
class Judged:
    """The test segments that all lines are judged on: places of their names, and numbers of their rooms."""

    labels: NDArray[np.int64]
    rooms: NDArray[np.int64]

    @classmethod
    def of(cls, data: Path) -> Judged:
        """Those of a benchmark's folder."""
        segments = load_domain(data / FOLDS / "1-0").val
        names = {name: place for place, name in enumerate(scored_names())}
        rooms = {room: number for number, room in enumerate(dict.fromkeys(s.group for s in segments))}
        return cls(np.array([names[s.label] for s in segments]), np.array([rooms[s.group] for s in segments]))


def write_tables(results: Path, data: Path) -> dict[str, Table]:
    """Writes the tables of each block that has rows in ``results``, and returns them by the names of their files."""
    judged, tables = Judged.of(data), dict[str, Table]()
    for block in REFERENCE:
        lines = lines_of(results / block, block)
        if not lines:
            continue
        tables[f"{block}/figures"] = figures_table(lines, judged, block)
        reference = next((line for line in lines if line.title == REFERENCE[block]), None)
        if reference is not None:
            tables[f"{block}/differences"] = differences_table(lines, reference, judged)
            tables[f"{block}/claims"] = claims_table(lines, reference, judged)
    for name, table in tables.items():
        table.save(results / name)
    text = "\n".join(table.markdown() for table in tables.values())
    write_text(results / "tables.md", text)
    return tables


def require_one_tower(results: Path, tower: str) -> None:
    """Looks whether all rows in a folder are of one tower, so that they can stand in one table.

    Raises:
        ConfigError: one is of another.
        DataError: one is damaged.
    """
    for block in REFERENCE:
        for line in lines_of(results / block, block):
            own = str(line.scored.facts["tower"])
            if own != tower:
                raise ConfigError(
                    f"the row {line.title} in {results / block} is of another tower ({own[:12]}, now {tower[:12]}); "
                    "give each tower a `results` folder of its own"
                )


def lines_of(folder: Path, block: Block) -> list[Line]:
    """The lines of the rows that are in a folder, in the block's order; an earlier stage stands before its row."""
    lines: list[Line] = []
    for row in rows_of(block):
        path = row.file(folder)
        if path.exists():
            scored = Scored.load(path)
            *earlier, last = scored.found
            if block == "tuned" or row.title == REFERENCE[block]:  # published forms of OpenDAS share their visual stage
                lines += [Line(f"{row.title}, {s.removeprefix('after_')} stage alone", scored, s) for s in earlier]
            lines.append(Line(row.title, scored, last))
    return lines


def figures_table(lines: Sequence[Line], judged: Judged, block: Block) -> Table:
    """Every line's figures with their 95% intervals, and what it cost."""
    columns = ("method", "values", *METRICS.values(), "training, s a fold", "settings tried")
    rows = []
    for line in lines:
        found = (interval(metric, judged.labels, judged.rooms, line.folds) for metric in METRICS)
        seconds, tried = line.scored.facts["seconds"], line.scored.facts.get("tried")
        whole = line.stage == list(line.scored.found)[-1] and line.values
        cost = f"{median(seconds):.0f}" if whole else None  # a run may have had to wait for its machine
        settings = str(tried or 1) if whole or tried else None
        rows.append((line.title, f"{line.values:,}", *map(_with_ends, found), cost, settings))
    first = lines[0]
    about = (
        f"{counted(len(judged.labels), 'segment')}, {counted(len(first.folds), 'fold')}, tower "
        f"{first.scored.facts['tower'][:12]}"
    )
    note = (
        "Pooled over the folds: each name counts as novel where it was not trained. In brackets the 95% interval; "
        "seconds are the median fold's."
    )
    return Table(f"office-bench-v2, {block} rows, {about}", columns, tuple(rows), (note,))


def differences_table(lines: Sequence[Line], reference: Line, judged: Judged) -> Table:
    """Each line less the reference, with 95% intervals, and which is above the other where that leaves out 0."""
    rows = []
    for line in lines:
        if line is not reference:
            found = [compared(metric, line, reference, judged) for metric in COMPARED]
            rows.append((line.title, *map(_verdict, found)))
    return Table(
        f"Difference to {reference.title}, points, with 95% intervals",
        ("method", *(METRICS[metric] for metric in COMPARED)),
        tuple(rows),
        ("> and <: above and below it; open: the interval has 0 in it.",),
    )


def claims_table(lines: Sequence[Line], reference: Line, judged: Judged) -> Table:
    """What the paper claims, and whether it holds here, fails or stays open."""
    claims = {
        **{title: f"OpenDAS above {title}" for title in RIVALS},
        "opendas, cross-entropy alone": "the triplet loss above cross-entropy alone",
        "zero_shot": "OpenDAS above plain CLIP",
    }
    found = {line.title: line for line in lines}
    rows = [
        (words, *(claim(compared(metric, reference, found[title], judged)) for metric in COMPARED))
        for title, words in claims.items()
        if title in found
    ]
    columns = ("claim of the paper", *(METRICS[metric] for metric in COMPARED))
    return Table("What the paper claims, here", columns, tuple(rows), ("open: the 95% interval has 0 in it.",))


def compared(metric: Metric, line: Line, other: Line, judged: Judged) -> Interval | None:
    """The paired difference of two lines on the folds that both have."""
    mine, theirs = line.scored.found[line.stage], other.scored.found[other.stage]
    both = [key for key in mine if key in theirs]
    return difference(metric, judged.labels, judged.rooms, [mine[k] for k in both], [theirs[k] for k in both])


def claim(found: Interval | None) -> str:
    """What a difference says of a claim that it is above 0."""
    return CLAIM["open" if found is None else found.sign]


def _with_ends(found: Interval | None) -> str | None:
    return None if found is None else f"{found.value:.1f} [{found.low:.1f}, {found.high:.1f}]"


def _verdict(found: Interval | None) -> str | None:
    return None if found is None else f"{found.value:+.1f} [{found.low:+.1f}, {found.high:+.1f}] {found.sign}"
