"""Figures of a classification report; the one file that knows matplotlib (extra ``reports``)."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import MissingDependencyError

_LEGIBLE = 200  # class names beside a picture; more are left out
_LINE = 5  # pictures side by side


def available() -> bool:
    """Says whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def confusion_figure(path: Path, confusion: NDArray[np.int64], names: Sequence[str]) -> None:
    """Draws a confusion matrix as a PNG, each row as shares of its class.

    Args:
        path: where the PNG goes.
        confusion: (N, M) counts, rows true, columns predicted.
        names: of the M columns; the first N are those of the rows.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    legible = len(names) <= _LEGIBLE
    side = max(4.0, 0.2 * len(names) + 2) if legible else 12.0
    figure, axes = _subplots((side, side))
    drawn = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    if legible:
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
        axes.set_yticks(range(len(confusion)), names[: len(confusion)], fontsize=6)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    figure.colorbar(drawn, shrink=0.6, label="share of the true class")
    figure.savefig(path, dpi=120, format="png")


def class_figure(path: Path, names: Sequence[str], series: Mapping[str, Sequence[float]], score: str) -> None:
    """Draws a score of each class as a PNG: one row a class, one bar a series such as before and after.

    Args:
        path: where the PNG goes.
        names: N class names, top to bottom.
        series: legend entry -> N values in percent, NaN where there is none.
        score: its name, such as F1.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    figure, axes = _subplots((7.0, max(3.0, 0.22 * len(names) + 1)))
    height = 0.8 / len(series)
    for place, (title, values) in enumerate(series.items()):
        axes.barh(np.arange(len(names)) + (place - (len(series) - 1) / 2) * height, values, height, label=title)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"{score} (%)")
    axes.legend()
    figure.savefig(path, dpi=120, format="png")


def bars_figure(path: Path, series: Mapping[str, Mapping[str, tuple[float, float]]]) -> None:
    """Draws scores as a PNG: a group of bars for each system, a bar with its spread for each metric.

    Args:
        path: where the PNG goes.
        series: metric -> system -> mean and standard deviation, in percent.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    systems = list(next(iter(series.values())))
    figure, axes = _subplots((max(5.0, 0.7 * len(systems) + 2), 4.0))
    width = 0.8 / len(series)
    for place, (metric, values) in enumerate(series.items()):
        means, spreads = zip(*(values[system] for system in systems), strict=True)
        x = np.arange(len(systems)) + (place - (len(series) - 1) / 2) * width
        axes.bar(x, means, width, yerr=spreads, capsize=2, label=metric)
    axes.set_xticks(range(len(systems)), systems, rotation=35, ha="right", fontsize=8)
    axes.set_ylabel("%")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120, format="png")


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


def picture_grid(path: Path, rows: Sequence[Sequence[Panel]], legend: Mapping[str, tuple[int, int, int]]) -> None:
    """Draws rows of pictures as a PNG, long ones in several lines, with a legend of colours below.

    Args:
        path: where the PNG goes.
        rows: pictures that belong together, as many in each row.
        legend: entry -> its colour, 0 to 255.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    per_row = len(rows[0])
    lines = -(-per_row // _LINE)
    columns = -(-per_row // lines)
    height, width = rows[0][0].picture.shape[:2]
    entries = max(1, 2 * columns)
    side, legend_lines = 3.2, -(-len(legend) // entries)
    size = (side * columns, (side * height / width + 0.2) * lines * len(rows) + 0.2 * legend_lines)
    figure, grid = _subplots(size, lines * len(rows), columns)
    for axes in grid.flat:
        axes.set_axis_off()
    for place, row in enumerate(rows):
        for axes, panel in zip(grid[place * lines :].flat, row, strict=False):
            axes.imshow(panel.picture)
            axes.set_title(panel.title, fontsize=8)
            for note in panel.notes:
                _note(axes, note)
    handles = [_patch(np.array(colour) / 255, name) for name, colour in legend.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=entries, fontsize=7, frameon=False)
    figure.savefig(path, dpi=150, format="png")


def _note(axes, note: Note) -> None:  # type: ignore[no-untyped-def]
    """Writes the word with a dark edge, so that it can be read on any colour."""
    from matplotlib.patheffects import withStroke

    edge = [withStroke(linewidth=1.2, foreground="black")]
    where = {"ha": "center", "va": "center", "clip_on": True}
    axes.text(note.x, note.y, note.text, color=note.colour, fontsize=5, path_effects=edge, **where)


def _patch(colour, label):  # type: ignore[no-untyped-def]
    from matplotlib.patches import Patch

    return Patch(color=colour, label=label)


def _subplots(size: tuple[float, float], rows: int | None = None, columns: int = 1):  # type: ignore[no-untyped-def]  # matplotlib is optional, and so are its types
    try:
        from matplotlib.figure import Figure  # without pyplot: no display, no global state
    except ImportError as error:
        raise MissingDependencyError("figures need matplotlib; pip install 'opendas-plugin[reports]'") from error
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots() if rows is None else figure.subplots(rows, columns, squeeze=False)
