"""The figures of reports, as SVG in the colours of the page; what is novel also has a pattern and a mark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.eval.canvas import BASE, BEFORE, INK, NOVEL, PAPER, SERIES, canvas, patch, shades
from opendas_plugin.eval.plots import draw_bars, occupied
from opendas_plugin.reports.page import Chart
from opendas_plugin.wording import some_of

Values = NDArray[np.float64]

MARK = "\u25c6"
"""What stands behind a novel name."""
_LONGEST = 32  # letters of a name beside a figure
_PIXELS = 96  # CSS pixels of an inch


def shortened(name: str, longest: int = _LONGEST) -> str:
    """A name as it fits beside a figure."""
    return name if len(name) <= longest else f"{name[: longest - 1]}\u2026"


def marked(name: str, novel: bool) -> str:
    """A shortened name with its mark, where it is novel."""
    return f"{shortened(name)} {MARK}" if novel else shortened(name)


def class_bars(
    names: Sequence[str],
    novel: Sequence[bool],
    values: Sequence[float],
    before: Sequence[float] | None,
    score: str,
    before_title: str = "plain CLIP",
) -> Chart:
    """A bar for each name, and where it stood before.

    Args:
        names: N names, top to bottom.
        novel: which of them are novel.
        values: (N,) percent, NaN where there is none.
        before: (N,) likewise, of what it is compared with.
        score: what the values are.
        before_title: what ``before`` is of.
    """
    y, shown = np.arange(len(names)), np.nan_to_num(np.asarray(values, dtype=np.float64))
    many = len(names) > 60
    with canvas((7.2, 0.9 + (0.15 if many else 0.2) * len(names))) as drawn:
        axes = drawn.axes
        colours = [NOVEL if own else BASE for own in novel]
        bars = axes.barh(y, shown, 0.68, color=colours, edgecolor=PAPER, linewidth=0)
        for bar, own in zip(bars, novel, strict=True):
            bar.set_hatch("////" if own else None)
        handles = [patch(BASE, "base"), patch(NOVEL, f"novel {MARK}", "////")] if any(novel) else []
        if before is not None:
            kept = np.asarray(before, dtype=np.float64)
            (line,) = axes.plot(kept, y, "|", color=INK, markersize=6 if many else 9, markeredgewidth=1.8)
            line.set_label(before_title)
            handles.append(line)
        labels = [marked(name, own) for name, own in zip(names, novel, strict=True)]
        axes.set_yticks(y, labels, fontsize=6.5 if many else 8)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, 100)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"{score} (%)")
        if handles:
            drawn.figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
        svg = drawn.svg(f"{score} of each name")
    strokes = "" if before is None else f" Bars: the result; strokes: {before_title}."
    return Chart(svg, f"{score} of each name in percent.{strokes}", least=520)


def score_intervals(rows: Mapping[str, Mapping[str, tuple[float, float, float] | None]], title: str) -> Chart:
    """Scores with their intervals: a panel a metric, a line a system.

    Args:
        rows: system -> metric -> (value, low, high) in percent; ends that are not known are infinite.
        title: of the figure.
    """
    metrics = [m for m in next(iter(rows.values()), {}) if any(found.get(m) for found in rows.values())]
    systems = list(rows)
    with canvas((7.2, 0.75 + 0.24 * len(systems)), 1, max(1, len(metrics))) as drawn:
        for column, (axes, metric) in enumerate(zip(drawn.axes[0], metrics, strict=False)):
            for place, system in enumerate(systems):
                found = rows[system].get(metric)
                if found is None:
                    continue
                value, low, high = found
                colour = BEFORE if place == 0 and len(systems) > 1 else BASE
                if math.isfinite(low) and math.isfinite(high):
                    axes.plot([low, high], [place, place], "-", color=colour, linewidth=2)
                axes.plot([value], [place], "o", color=colour, markersize=6)
                axes.annotate(
                    f"{value:.1f}", (value, place), (0, 5), textcoords="offset points", ha="center", fontsize=7
                )
            axes.set_title(metric)
            axes.set_ylim(len(systems) - 0.4, -0.75)
            axes.set_yticks(
                range(len(systems)), [shortened(s) for s in systems] if column == 0 else [""] * len(systems)
            )
            axes.tick_params(axis="y", length=0)
            axes.margins(x=0.18)
            axes.set_xlabel("%")
        svg = drawn.svg(title)
    return Chart(svg, f"{title}. Lines: 95% intervals, where there is one.", least=620)


def curves(stages: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]], warmup: str = "") -> Chart:
    """What was logged in each stage: a column a stage, a row a quantity.

    Args:
        stages: title of a stage -> quantity -> steps and values; a single value each where they are many.
        warmup: added to the caption.
    """
    quantities = list(dict.fromkeys(quantity for found in stages.values() for quantity in found))
    with canvas((3.7 * len(stages) + 0.6, 1.5 * len(quantities) + 0.4), len(quantities), len(stages)) as drawn:
        for column, (stage, found) in enumerate(stages.items()):
            for row, quantity in enumerate(quantities):
                axes = drawn.axes[row, column]
                if quantity not in found:
                    axes.set_axis_off()
                    continue
                steps, values = (np.asarray(part, dtype=np.float64) for part in found[quantity])
                colour, many = SERIES[row % len(SERIES)], len(values) >= 20
                shade = BEFORE if many else colour
                axes.plot(steps, values, "-" if many else "o-", color=shade, linewidth=0.7, markersize=3)
                if many:
                    axes.plot(*smoothed(steps, values), "-", color=colour, linewidth=1.8)
                axes.set_ylabel(quantity)
                axes.locator_params(axis="x", integer=True)  # steps
                if row == 0:
                    axes.set_title(stage)
                if row == len(quantities) - 1 or quantities[row + 1] not in found:
                    axes.set_xlabel("step")
        svg = drawn.svg("training curves")
    about = "Thin: every step that is drawn; thick: the mean over a twentieth of the stage."
    return Chart(svg, f"{about} {warmup}".strip(), least=300 * len(stages))


def smoothed(
    steps: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The running mean over a twentieth of the values, and the steps that it is the middle of."""
    width = max(2, len(values) // 20)
    return np.convolve(steps, np.ones(width) / width, "valid"), np.convolve(values, np.ones(width) / width, "valid")


def confusion_chart(confusion: NDArray[np.int64], names: Sequence[str], novel: Sequence[bool], unit: str) -> Chart:
    """A confusion matrix (N, M) of the classes that have any, each row as shares of its class; see
    :func:`~opendas_plugin.eval.plots.occupied`.
    """
    counts, rows, columns = occupied(confusion, names)
    own = dict(zip(names, novel, strict=False))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side, size = max(3.2, 0.17 * len(columns) + 1.6), 7
    with canvas((side + 0.5, side)) as drawn:
        axes = drawn.axes
        shown = axes.imshow(shares, vmin=0, vmax=1, cmap=shades(BASE), interpolation="none")
        axes.grid(visible=False)
        for edge in axes.spines.values():
            edge.set_visible(True)
        axes.set_xticks(
            range(len(columns)), [marked(c, own.get(c, False)) for c in columns], rotation=90, fontsize=size
        )
        axes.set_yticks(range(len(rows)), [marked(r, own.get(r, False)) for r in rows], fontsize=size)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        drawn.figure.colorbar(shown, shrink=0.5, label="share of the true class")
        svg = drawn.svg("confusion matrix", tight=True)
    said = f"{some_of(len(rows), len(confusion), 'name', 'has', 'have')} {unit}; the others are one column."
    about = said if len(rows) < len(confusion) else "The one name." if len(rows) == 1 else f"All {len(rows)} names."
    return Chart(svg, f"Confusion matrix: rows are true, columns predicted. {about}", least=int(_PIXELS * side))


def grouped_bars(series: Mapping[str, Mapping[str, tuple[float, float]]], title: str) -> Chart:
    """A group of bars for each system, a bar with its spread for each metric; see
    :func:`~opendas_plugin.eval.plots.bars_figure`.
    """
    shown = {metric: v for metric, v in series.items() if not all(math.isnan(mean) for mean, _ in v.values())}
    systems = len(next(iter(series.values()), {}))
    width = max(5.0, 0.7 * systems + 2)
    with canvas((width, 3.6)) as drawn:
        draw_bars(drawn.axes, shown, title)
        svg = drawn.svg(title)
    return Chart(svg, least=min(900, int(70 * width)))


def lines(x: Sequence[float], series: Mapping[str, Sequence[float | None]], x_title: str, y_title: str) -> Chart:
    """Lines over one quantity, each with its own mark."""
    with canvas((6.4, 3.4)) as drawn:
        axes = drawn.axes
        for place, (title, values) in enumerate(series.items()):
            known = [math.nan if value is None else value for value in values]
            axes.plot(x, known, marker="osD^v"[place % 5], markersize=4, color=SERIES[place % len(SERIES)], label=title)
        axes.set_xlabel(x_title)
        axes.set_ylabel(y_title)
        axes.legend()
        svg = drawn.svg(f"{y_title} over {x_title}")
    return Chart(svg, least=480)


def histogram(values: Sequence[float], title: str, unit: str) -> Chart:
    """How often shares from 0 to 1 occur, in twenty steps."""
    with canvas((6.4, 2.4)) as drawn:
        axes = drawn.axes
        axes.hist(values, bins=np.linspace(0, 1, 21), color=BASE, edgecolor=PAPER, linewidth=0.4)
        axes.set_xlim(0, 1)
        axes.set_xlabel(title)
        axes.set_ylabel(unit)
        axes.grid(visible=False, axis="x")
        svg = drawn.svg(f"{unit} by {title}")
    return Chart(svg, f"{unit} by {title}.".capitalize(), least=420)
