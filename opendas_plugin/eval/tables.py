"""Tables of measured and quoted figures, as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opendas_plugin.files import atomic_file, write_text


@dataclass(frozen=True)
class Figure:
    """A figure over several runs: mean, and standard deviation where there is more than one run.

    Args:
        mean: over the runs.
        std: the standard deviation over the runs.
        digits: behind the point.
        ends: of the interval that the mean may lie in, where it is known.
    """

    mean: float
    std: float | None = None
    digits: int = 1
    ends: tuple[float, float] | None = None

    @classmethod
    def of(cls, values: Sequence[float], digits: int = 1, ends: tuple[float, float] | None = None) -> Figure:
        """The mean and sample standard deviation of at least one value."""
        mean = sum(values) / len(values)
        if len(values) == 1:
            return cls(mean, None, digits, ends)
        return cls(mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1)), digits, ends)

    def text(self, between: str = " ± ") -> str:
        """The figure as people read it."""
        spread = "" if self.std is None else f"{between}{self.std:.{self.digits}f}"
        ends = "" if self.ends is None else " [{:,.{digits}f}, {:,.{digits}f}]".format(*self.ends, digits=self.digits)
        return f"{self.mean:,.{self.digits}f}{spread}{ends}"


Cell = Figure | str | None
"""None: there is no such figure."""


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        caption: one line.
        columns: their titles; the first is that of the rows' titles.
        rows: a cell for each column.
        notes: lines below it.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """The table in GitHub's Markdown."""
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *(map(_text, row) for row in self.rows)]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"{self.caption}\n\n{table}\n" + "".join(f"\n{note}\n" for note in self.notes)

    def latex(self) -> str:
        """The table as a LaTeX ``table`` with booktabs' rules."""
        lines = [" & ".join(map(_escape, self.columns)) + r" \\ \midrule"]
        lines += [" & ".join(map(_latex, row)) + r" \\" for row in self.rows]
        notes = "".join(f"\n\\par\\small {_escape(note)}" for note in self.notes)
        return (
            f"\\begin{{table}}\n\\caption{{{_escape(self.caption)}}}\n"
            f"\\begin{{tabular}}{{l{'r' * (len(self.columns) - 1)}}}\n\\toprule\n"
            + "\n".join(lines)
            + f"\n\\bottomrule\n\\end{{tabular}}{notes}\n\\end{{table}}\n"
        )

    def save(self, path: Path) -> None:
        """Writes ``path`` with the suffixes .md, .tex and .csv; in the last, each number has a column of its own."""
        write_text(path.with_suffix(".md"), self.markdown())
        write_text(path.with_suffix(".tex"), self.latex())
        parts = [_parts([row[place] for row in self.rows]) for place in range(len(self.columns))]
        csv_file = path.with_suffix(".csv")
        with atomic_file(csv_file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            titles = zip(self.columns, parts, strict=True)
            writer.writerow([f"{name} {part}".strip() for name, own in titles for part in own])
            for row in self.rows:
                cells = zip(row, parts, strict=True)
                writer.writerow([value for cell, own in cells for value in _values(cell, own)])


def _parts(cells: Sequence[Cell]) -> list[str]:
    """The numbers of a column, by what is added to its title."""
    figures = [cell for cell in cells if isinstance(cell, Figure)]
    ends = ["low", "high"] if any(figure.ends for figure in figures) else []
    return ["", *(["std"] if figures else []), *ends]


def _values(cell: Cell, parts: Sequence[str]) -> list[str]:
    if not isinstance(cell, Figure):
        return ["" if cell is None else cell, *[""] * (len(parts) - 1)]
    low, high = cell.ends or (None, None)
    numbers = {"": cell.mean, "std": cell.std, "low": low, "high": high}
    found = [numbers[part] for part in parts]
    return ["" if number is None else repr(round(number, 6)) for number in found]


def _text(cell: Cell) -> str:
    return "-" if cell is None else cell if isinstance(cell, str) else cell.text()


def _latex(cell: Cell) -> str:
    if not isinstance(cell, Figure):
        return _escape(_text(cell))
    return "$" + re.sub(r",(?=\d)", "{,}", cell.text(r" \pm ")) + "$"


def _escape(text: str) -> str:
    return re.sub(r"[<>]", r"$\g<0>$", re.sub(r"[&%_#]", r"\\\g<0>", text))
