"""Figures of a classification report; the one file that knows matplotlib (extra ``reports``)."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import MissingDependencyError


def available() -> bool:
    """Says whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def confusion_figure(path: Path, confusion: NDArray[np.int64], names: Sequence[str]) -> None:
    """Draws the (N, N) confusion matrix as a PNG, each row as shares of its class's segments.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = max(4.0, 0.2 * len(names) + 2)
    figure, axes = _subplots((side, side))
    drawn = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
    axes.set_yticks(range(len(names)), names, fontsize=6)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    figure.colorbar(drawn, shrink=0.6, label="share of the true class")
    figure.savefig(path, dpi=120, format="png")


def f1_figure(path: Path, names: Sequence[str], series: Mapping[str, Sequence[float]]) -> None:
    """Draws per-class F1 as a PNG: one row a class, one bar a series such as before and after.

    Args:
        path: where the PNG goes.
        names: N class names, top to bottom.
        series: legend entry -> N values in percent.

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
    axes.set_xlabel("F1 (%)")
    axes.legend()
    figure.savefig(path, dpi=120, format="png")


def _subplots(size: tuple[float, float]):  # type: ignore[no-untyped-def]  # matplotlib is optional, and so are its types
    try:
        from matplotlib.figure import Figure  # without pyplot: no display, no global state
    except ImportError as error:
        raise MissingDependencyError("figures need matplotlib; pip install 'opendas-plugin[reports]'") from error
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots()
