"""A page: a title, facts, and sections of blocks, rendered to one HTML file that needs nothing else.

::

    page = Page("Training on office", lead="W-F1 36.3 -> 48.2", sections=(Section("Scores", (table, chart)),))
    write_page(page, "report.html")

A new kind of report is a function that makes a :class:`Page`; nothing here knows what is reported.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from opendas_plugin.errors import OutputError
from opendas_plugin.files import write_text
from opendas_plugin.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

LARGEST = 5_000_000
"""Bytes of a page; one that would be larger shows fewer pictures, and says so."""
ROWS = 500
"""Rows of a table that are shown; more are in the files beside the page."""

logger = logging.getLogger(__name__)

Kind = Literal["", "base", "novel", "good", "bad"]


@dataclass(frozen=True)
class Cell:
    """What stands in a table.

    Args:
        text: as people read it.
        value: what the column is sorted by; None: the text.
        kind: how it is marked.
    """

    text: str
    value: float | None = None
    kind: Kind = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells, which the reader can sort.

    Args:
        columns: their titles.
        rows: a cell or a text for each column.
        caption: above it.
        notes: below it.
        texts: how many columns, from the first, are texts and not numbers.
    """

    block: ClassVar[str] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell | str, ...], ...]
    caption: str = ""
    notes: tuple[str, ...] = ()
    texts: int = 1


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    block: ClassVar[str] = "facts"
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Chart:
    """A figure as SVG (:meth:`~opendas_plugin.eval.canvas.Canvas.svg`).

    Args:
        svg: trusted; it goes into the page as it is.
        caption: below it.
        least: the narrowest that it can be read at, in CSS pixels; it scrolls where the page is narrower.
    """

    block: ClassVar[str] = "chart"
    svg: str
    caption: str = ""
    least: int = 0


@dataclass(frozen=True)
class Picture:
    """A picture in a gallery.

    Args:
        source: a data URI.
        lines: what is said below it; the first is the most important.
        kind: how it is marked.
        link: where it leads: a place on the page, such as ``#photo-1``, or a file.
        anchor: by which other pictures lead to it.
    """

    source: str
    lines: tuple[str, ...] = ()
    kind: Kind = ""
    link: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Gallery:
    """Pictures, the most important first.

    Args:
        pictures: what is shown.
        caption: above them.
        least: CSS pixels that each is wide at least, as far as the page is.
    """

    block: ClassVar[str] = "gallery"
    pictures: tuple[Picture, ...]
    caption: str = ""
    least: int = 118


@dataclass(frozen=True)
class Notes:
    """Sentences: warnings, or what is good to know."""

    block: ClassVar[str] = "notes"
    lines: tuple[str, ...]
    kind: Literal["warning", "plain"] = "plain"


@dataclass(frozen=True)
class Code:
    """Text to copy."""

    block: ClassVar[str] = "code"
    text: str
    caption: str = ""

    @property
    def pieces(self) -> list[str]:
        """The text in pieces of which every second is a flag, which no line is to break at its hyphens."""
        return re.split(r"(?<!\S)(-[\w.-]+)", self.text)


Block = Table | Facts | Chart | Gallery | Notes | Code


@dataclass(frozen=True)
class Section:
    """A part of a page with a title; one without blocks is left out."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """A report.

    Args:
        title: what was done to what.
        sections: its parts.
        lead: the result in a sentence or two.
        figures: what stands in large letters at the top: names and values.
        failure: why the run stopped; empty: it did not.
        unfinished: whether the run goes on, or was killed while it did.
    """

    title: str
    sections: tuple[Section, ...]
    lead: str = ""
    figures: tuple[tuple[str, str], ...] = ()
    failure: str = ""
    unfinished: bool = False


def write_page(page: Page, path: str | Path) -> None:
    """Renders a page and writes it, whole or not at all.

    Raises:
        OutputError: it could not be written, or is larger than :data:`LARGEST` without any picture.
    """
    text = render(page)
    share = 1.0
    while len(text.encode()) > LARGEST:
        share /= 2
        if share < 0.01:
            raise OutputError(f"{path} would have {len(text):,} letters, more than {LARGEST:,}; this is a defect")
        text = render(_with_fewer_pictures(page, share))
    write_text(path, text)


def render(page: Page) -> str:
    """The HTML of a page."""
    shown = tuple(
        dataclasses.replace(section, blocks=blocks)
        for section in page.sections
        if (blocks := tuple(block for block in section.blocks if not _is_empty(block)))
    )
    page = dataclasses.replace(page, sections=shown)
    template = _environment().get_template("page.html")
    return template.render(page=page, version=__version__, rows=ROWS)


def _is_empty(block: Block) -> bool:
    content = {"table": "rows", "facts": "rows", "gallery": "pictures", "notes": "lines"}
    return block.block in content and not getattr(block, content[block.block])


def _with_fewer_pictures(page: Page, share: float) -> Page:
    """The first of each gallery's pictures; those that led to one that is left out lead nowhere."""

    def fewer(block: Block) -> Block:
        if not isinstance(block, Gallery):
            return block
        kept = block.pictures[: max(1, int(share * len(block.pictures)))]
        said = f"{block.caption} The first {len(kept)} of {len(block.pictures)}, for the size of this page.".strip()
        return dataclasses.replace(block, pictures=kept, caption=said)

    sections = tuple(dataclasses.replace(one, blocks=tuple(map(fewer, one.blocks))) for one in page.sections)
    return dataclasses.replace(page, sections=sections)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent / "templates"
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["style"] = (folder / "page.css").read_text(encoding="utf-8")
    made.globals["script"] = (folder / "page.js").read_text(encoding="utf-8")
    return made
