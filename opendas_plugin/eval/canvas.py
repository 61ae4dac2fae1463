"""The one file that knows matplotlib: the style of all figures, as PNG files or as SVG in the colours of a page."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opendas_plugin.errors import MissingDependencyError

# Okabe and Ito's colours, which all common kinds of colour vision tell apart (https://jfly.uni-koeln.de/color/).
INK, MUTED, RULE, PAPER = "#1b1f23", "#59636d", "#d4dae0", "#fefefe"
BASE, NOVEL, BEFORE = "#0072b2", "#d55e00", "#8a9199"
SERIES = (BASE, NOVEL, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of series that are neither base nor novel; the first two are theirs all the same."""
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    RULE: "rule",
    PAPER: "paper",
    BEFORE: "before",
    **{colour: f"series{place}" for place, colour in enumerate(SERIES, 1)},
}
"""The names that a page's style sheet has for the colours, as in ``var(--ink)``."""
_STYLE: Any = {
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "figure.titlesize": 10,
    "font.size": 8,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # a name may hold dollars
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


_ENLARGED = 1.35  # times its own size that a figure grows to on a page at most


def available() -> bool:
    """Says whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


@dataclass(frozen=True)
class Canvas:
    """A figure of matplotlib's and its axes, one or an array (rows, columns) of them."""

    figure: Any
    axes: Any

    def png(self, path: Path, dpi: int = 120) -> None:
        """Writes the figure as a PNG."""
        with _quiet():
            self.figure.savefig(path, dpi=dpi, format="png")

    def svg(self, title: str, tight: bool = False) -> str:
        """The figure as an ``<svg>`` for the inside of an HTML page: its colours are the page's, its words are text.

        Args:
            title: what those hear who do not see it; it also keeps the marks of several figures on a page apart.
            tight: cut off what is empty around the drawing.
        """
        import matplotlib

        file = io.StringIO()
        with _quiet(), matplotlib.rc_context({"svg.hashsalt": title}):
            about = {"Date": None, "Creator": None}
            box = "tight" if tight else None
            self.figure.savefig(file, format="svg", transparent=True, metadata=about, bbox_inches=box, pad_inches=0.05)
        return _inline(file.getvalue(), title)


@contextlib.contextmanager
def canvas(size: tuple[float, float], rows: int | None = None, columns: int = 1) -> Iterator[Canvas]:
    """Yields a figure in the style of all figures; draw on it, and save it, inside the block.

    Args:
        size: width and height in inches.
        rows: None: one axes; else an array (rows, columns).
        columns: of the array.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure  # without pyplot: no display, no global state
    except ImportError as error:
        raise MissingDependencyError("figures need matplotlib; pip install matplotlib") from error
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        yield Canvas(figure, figure.subplots() if rows is None else figure.subplots(rows, columns, squeeze=False))


def patch(colour: Any, label: str, hatch: str | None = None) -> Any:
    """An entry of a legend."""
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, label=label, hatch=hatch, edgecolor=PAPER if hatch else colour)


def rim() -> list[Any]:
    """A dark edge around words, so that they can be read on any colour."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=1.2, foreground="black")]


def shades(colour: str) -> Any:
    """A colour map from nothing to a colour, which any background may lie under."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    return LinearSegmentedColormap.from_list("shades", [(*to_rgb(colour), 0.0), (*to_rgb(colour), 1.0)])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Letters that matplotlib's own font lacks are drawn by the reader's browser, or as boxes in a PNG."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def _inline(svg: str, title: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    used = set(re.findall(r"#([\w-]+)[\")]", svg))
    svg = re.sub(r' id="([\w-]+)"', lambda found: found[0] if found[1] in used else "", svg)
    svg = re.sub(r"font: (?:normal |bold )?(\d+(?:\.\d+)?px)[^;\"]*", r"font-size: \1", svg)
    for colour, name in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{name})")
    svg = re.sub(r"\n\s*", "\n", svg)
    width = re.search(r' width="([\d.]+)pt"', svg)
    widest = round(float(width[1]) * 4 / 3 * _ENLARGED) if width else 0  # in CSS pixels
    said = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    return svg.replace("<svg", f'<svg role="img" aria-label="{said}" style="max-width:{widest}px"', 1)
