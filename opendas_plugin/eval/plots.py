"""Figures of reports as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.eval import canvas

_LEGIBLE = 200  # class names beside a picture; more are left out
_LINE = 5  # pictures side by side
_OF_METRICS = (canvas.SERIES[2], canvas.BASE, canvas.NOVEL, *canvas.SERIES[3:])  # all names, base, novel


def available() -> bool:
    """Says whether matplotlib is installed."""
    return canvas.available()


def confusion_figure(path: Path, confusion: NDArray[np.int64], names: Sequence[str]) -> None:
    """Draws a confusion matrix as a PNG, each row as shares of its class, and only those that have anything.

    Args:
        path: where the PNG goes.
        confusion: (N, M) counts, rows true, columns predicted.
        names: of the M columns; the first N are those of the rows.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    counts, rows, columns = occupied(confusion, names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    legible = len(columns) <= _LEGIBLE
    side = max(4.0, 0.2 * len(columns) + 2) if legible else 12.0
    with canvas.canvas((side, side)) as drawn:
        axes = drawn.axes
        shown = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        axes.grid(visible=False)
        if legible:
            axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=6)
            axes.set_yticks(range(len(rows)), rows, fontsize=6)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        if len(rows) < len(confusion):
            axes.set_title(f"{len(rows)} of {len(confusion)} classes occur", fontsize=8)
        drawn.figure.colorbar(shown, shrink=0.6, label="share of the true class")
        drawn.png(path)


def occupied(confusion: NDArray[np.int64], names: Sequence[str]) -> tuple[NDArray[np.int64], list[str], list[str]]:
    """The part of a confusion matrix (N, M) of the R classes that occur, and what is predicted in their place.

    Returns:
        Counts (R, C), the names of the rows, and those of the columns: the same, the M - N that no class stands for,
        and ``others``, the sum of the classes that do not occur, if any was predicted.
    """
    rows = np.flatnonzero(confusion.sum(axis=1)).tolist()
    further = range(len(confusion), confusion.shape[1])
    counts = confusion[rows][:, [*rows, *further]]
    others = confusion[rows].sum(axis=1) - counts.sum(axis=1)
    names_of_rows = [names[row] for row in rows]
    columns = [*names_of_rows, *(names[column] for column in further)]
    if others.any():
        counts, columns = np.column_stack([counts, others]), [*columns, "others"]
    return counts, names_of_rows, columns


def class_figure(path: Path, names: Sequence[str], series: Mapping[str, Sequence[float]], score: str) -> None:
    """Draws a score of each class that has any as a PNG: one row a class, one bar a series such as before and after.

    Args:
        path: where the PNG goes.
        names: N class names, top to bottom.
        series: legend entry -> N values in percent, NaN where there is none.
        score: its name, such as F1.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    shown = np.flatnonzero(~np.isnan(np.array(list(series.values()), dtype=np.float64)).all(axis=0)).tolist()
    names = [names[place] for place in shown]
    height = 0.8 / len(series)
    with canvas.canvas((7.0, max(3.0, 0.22 * len(names) + 1))) as drawn:
        axes = drawn.axes
        for place, (title, values) in enumerate(series.items()):
            y = np.arange(len(names)) + (place - (len(series) - 1) / 2) * height
            colour = canvas.SERIES[place % len(canvas.SERIES)]
            axes.barh(y, np.asarray(values)[shown], height, label=title, color=colour)
        axes.grid(visible=False, axis="y")
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel(f"{score} (%)")
        axes.legend()
        drawn.png(path)


def bars_figure(path: Path, series: Mapping[str, Mapping[str, tuple[float, float]]], title: str) -> None:
    """Draws scores as a PNG: a group of bars for each system, a bar with its spread for each metric.

    Args:
        path: where the PNG goes.
        series: metric -> system -> mean and standard deviation, in percent; NaN where there is none. A metric that no
            system has is left out.
        title: above the figure.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    systems = list(next(iter(series.values())))
    shown = {metric: v for metric, v in series.items() if not all(np.isnan(mean) for mean, _ in v.values())}
    with canvas.canvas((max(5.0, 0.7 * len(systems) + 2), 4.0)) as drawn:
        draw_bars(drawn.axes, shown, title)
        drawn.png(path)


def draw_bars(axes: Any, series: Mapping[str, Mapping[str, tuple[float, float]]], title: str) -> None:
    """Draws the groups of :func:`bars_figure` on axes of matplotlib's."""
    systems = list(next(iter(series.values()), {}))
    width = 0.8 / max(1, len(series))
    for place, (metric, values) in enumerate(series.items()):
        means, spreads = zip(*(values[system] for system in systems), strict=True)
        x = np.arange(len(systems)) + (place - (len(series) - 1) / 2) * width
        axes.bar(x, means, width, label=metric, color=_OF_METRICS[place % len(_OF_METRICS)])
        spread = ~np.isnan(spreads)
        axes.errorbar(
            x[spread], np.array(means)[spread], np.array(spreads)[spread], fmt="none", capsize=2, ecolor=canvas.INK
        )
    axes.grid(visible=False, axis="x")
    axes.set_xticks(range(len(systems)), systems, rotation=35, ha="right", fontsize=8)
    axes.set_ylabel("%")
    axes.set_title(title, pad=20)
    axes.legend(ncols=max(1, len(series)), loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)


@dataclass(frozen=True)
class Note:
    """A word in a picture: where it is centred, in pixels, what it says, and in which colour of matplotlib's."""

    x: float
    y: float
    text: str
    colour: str


@dataclass(frozen=True)
class Panel:
    """A picture (H, W, 3) with a title above it and words in it."""

    title: str
    picture: NDArray[np.uint8]
    notes: Sequence[Note] = ()


def picture_grid(
    path: Path, rows: Sequence[Sequence[Panel]], legend: Mapping[str, tuple[int, int, int]], caption: str | None = None
) -> None:
    """Draws rows of pictures as a PNG, long ones in several lines, with a legend of colours below.

    Args:
        path: where the PNG goes.
        rows: pictures that belong together, as many in each row.
        legend: entry -> its colour, 0 to 255.
        caption: above the legend.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    per_row = len(rows[0])
    lines = -(-per_row // _LINE)
    columns = -(-per_row // lines)
    height, width = rows[0][0].picture.shape[:2]
    entries = max(1, 2 * columns)
    side, legend_lines = 3.2, -(-len(legend) // entries)
    size = (side * columns, (side * height / width + 0.2) * lines * len(rows) + 0.2 * (legend_lines + bool(caption)))
    with canvas.canvas(size, lines * len(rows), columns) as drawn:
        grid = drawn.axes
        for axes in grid.flat:
            axes.set_axis_off()
        for place, row in enumerate(rows):
            for axes, panel in zip(grid[place * lines :].flat, row, strict=False):
                axes.imshow(panel.picture)
                axes.set_title(panel.title, fontsize=8, loc="center")
                for note in panel.notes:
                    _note(axes, note)
        handles = [canvas.patch(np.array(colour) / 255, name) for name, colour in legend.items()]
        style = {"fontsize": 7, "title_fontsize": 8, "frameon": False}
        drawn.figure.legend(handles=handles, loc="outside lower center", ncols=entries, title=caption, **style)
        drawn.png(path, dpi=150)


def _note(axes: Any, note: Note) -> None:
    """Writes the word with a dark edge, so that it can be read on any colour."""
    where = {"ha": "center", "va": "center", "clip_on": True}
    axes.text(note.x, note.y, note.text, color=note.colour, fontsize=5, path_effects=canvas.rim(), **where)
