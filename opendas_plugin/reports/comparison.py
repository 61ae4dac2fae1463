"""Tables of comparisons on a page, and the F1 of each name by each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from opendas_plugin.eval.classification import confusion_matrix, f1_per_class
from opendas_plugin.eval.evidence import Evidence
from opendas_plugin.eval.tables import Cell as Figure
from opendas_plugin.eval.tables import Table as FigureTable
from opendas_plugin.reports.page import Cell, Gallery, Kind, Picture, Section, Table
from opendas_plugin.reports.pictures import data_uri
from opendas_plugin.reports.scores import percent_cell
from opendas_plugin.vocabulary import Vocabulary

_WIDEST = 1500  # pixels of a picture of overlays


def as_block(table: FigureTable) -> Table:
    """A table of figures as one that the reader can sort."""
    rows = tuple(tuple(_cell(value) for value in row) for row in table.rows)
    return Table(table.columns, rows, table.caption, tuple(note.replace("\\*", "*") for note in table.notes))


def tables_section(title: str, tables: Mapping[str, FigureTable]) -> Section:
    """Tables below each other."""
    return Section(title, tuple(as_block(table) for table in tables.values()))


def names_section(evidence: Evidence, vocabulary: Vocabulary, titles: Sequence[str]) -> Section:
    """The F1 of each name by each row, the mean over its seeds."""
    names, support = vocabulary.names, np.bincount(evidence.labels, minlength=len(vocabulary.names))
    means = {}
    for title in titles:
        seeds = [row for answers in evidence.answers.get(title, {}).values() for row in answers.predictions]
        if seeds:
            found = [f1_per_class(confusion_matrix(evidence.labels, row, len(names))) for row in seeds]
            means[title] = np.mean(found, axis=0)
    novel = set(vocabulary.novel)
    rows = []
    for place in np.argsort(-support, kind="stable").tolist():
        if support[place]:
            kind: Kind = "novel" if names[place] in novel else "base"
            cells = [percent_cell(values[place]) for values in means.values()]
            rows.append((Cell(names[place], kind=kind), Cell(f"{support[place]:,}", int(support[place])), *cells))
    notes = ("\u25c6 novel: not in training.",) if novel else ()
    return Section("Every name", (Table(("F1 of", "segments", *means), tuple(rows), notes=notes),))


def picture_section(path: Path, caption: str) -> Section:
    """A picture that was drawn beside the page."""
    if not path.exists():
        return Section("Pictures", ())
    with Image.open(path) as picture:
        shown = picture.convert("RGB")
    shown.thumbnail((_WIDEST, 4 * _WIDEST), Image.Resampling.LANCZOS)
    found = Picture(data_uri(shown), (), "", path.name)
    return Section("Pictures", (Gallery((found,), caption, least=1000),))


def _cell(value: Figure) -> Cell:
    if value is None:
        return Cell("-")
    return Cell(value) if isinstance(value, str) else Cell(value.text(), value.mean)
