"""``reproduction.md`` and ``report.html``: ours, the paper's and the difference, and in sentences what holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from opendas_plugin.eval.tables import Table
from opendas_plugin.files import write_text
from opendas_plugin.reports.facts import command_section, facts_section
from opendas_plugin.reports.notices import notice_section
from opendas_plugin.reports.page import Cell, Notes, Page, Section
from opendas_plugin.reports.page import Table as HtmlTable
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reproduce.document import Document
from opendas_plugin.runs.reproduce.holds import holds
from opendas_plugin.runs.reproduce.place import ANCHOR
from opendas_plugin.runs.reproduce.published import TOLERANCE
from opendas_plugin.runs.reproduce.results import TITLES, Measured, Result
from opendas_plugin.runs.reproduce.store import Done

NAME = "reproduction.md"
STEP_TITLES = {
    "check": "check: weights, features and names",
    "anchor": "anchor: which crops the paper's figures speak for",
    "rivals": "rivals: what other methods reach beside their own papers",
    "ade20k": "ade20k: trained on ADE20K-150",
    "kitti360": "kitti360: trained on KITTI-360",
    "scannetpp": "scannetpp: trained on ScanNet++ Offices",
    "hosts": "hosts: OVSeg and OpenMask3D with and without an adapter (the paper's Table 3)",
}


READING = (
    "Figures are in percent, in square brackets their 95% interval over pictures (rooms, drives), names and "
    "training seeds. {paper} is quoted, never measured here; {difference} is ours less the paper's, and in round "
    "brackets where the row is not of the same kind as the paper's."
)


def write_page(output: Path, document: Document) -> None:
    """Writes the page into a folder."""
    write_text(output / NAME, markdown(document))


def title(document: Document) -> str:
    """What was reproduced, and in which way."""
    rehearsal = "a rehearsal on made-up data and random weights"
    kind = rehearsal if document.is_rehearsal else f"tier {document.made.get('tier')}"
    return f"Reproduction of OpenDAS, {kind}"


def html_page(document: Document, record: RunRecord) -> Page:
    """The same as a page of its own."""
    steps = [
        Section(
            STEP_TITLES[step],
            (
                Notes(tuple(document.notes(step))),
                *(_block(one, 1 if step == ANCHOR else 3) for one in tables(step, done)),
            ),
        )
        for step, done in document.steps.items()
    ]
    made = _block(_state(document), texts=2)
    left_out = Notes(tuple(f"{step} is left out: {why}." for step, why in document.left_out.items()))
    about = Notes((READING.format(paper="Paper", difference="difference"),))
    sections = (
        facts_section(record.facts, [("device", document.made.get("device")), ("GPU", document.made.get("gpu"))]),
        Section("What holds", (Notes(tuple(holds(document))), about)),
        Section("Steps", (made, left_out)),
        *steps,
        notice_section(record.warnings),
        command_section(record.facts),
    )
    return Page(title(document), sections)


def _block(table: Table, texts: int) -> HtmlTable:
    """A table that can be sorted: what a row leaves to the one above it is said in each."""
    rows: list[tuple[Cell, ...]] = []
    for row in table.rows:
        above = rows[-1] if rows else ()
        words = [str(cell or "").replace("**", "") for cell in row]
        cells = [Cell(one or (above[place].text if above else "")) for place, one in enumerate(words[:texts])]
        rows.append((*cells, *(_number(one) for one in words[texts:])))
    return HtmlTable(table.columns, tuple(rows), notes=table.notes, texts=texts)


def _number(text: str) -> Cell:
    found = re.match(r"\(?([+-]?[\d,]+(?:\.\d+)?)", text)
    return Cell(text, float(found.group(1).replace(",", "")) if found else None)


def markdown(document: Document) -> str:
    """The page."""
    lines = [
        f"# {title(document)}",
        "",
        "## What holds",
        "",
        *(f"- {one}" for one in holds(document)),
        "",
    ]
    lines += ["## How it was made", "", *_made(document), ""]
    for step, done in document.steps.items():
        lines += [f"## {STEP_TITLES[step]}", "", *_step(step, done, document.notes(step)), ""]
    lines += [READING.format(paper="*Paper*", difference="*difference*"), ""]
    return "\n".join(lines)


def _made(document: Document) -> Iterator[str]:
    made = document.made
    gpu = f" ({made['gpu']}, {made['gpu_gib']} GiB)" if "gpu" in made else ""
    versions = ", ".join(f"{name} {version}" for name, version in dict(made.get("versions", {})).items())
    commit = made.get("git") or "unknown"
    yield f"On {made.get('device')}{gpu}, begun {made.get('started')}; {versions}; commit {commit}."
    yield ""
    yield _state(document).markdown().strip()
    for step, why in document.left_out.items():
        yield ""
        yield f"{step} is left out: {why}."


def _state(document: Document) -> Table:
    rows = [
        (step, "done", f"{done.seconds:,.0f}", "-" if done.gib is None else f"{done.gib:.2f}")
        for step, done in document.steps.items()
    ]
    rows += [(step, "left out", "-", "-") for step in document.left_out]
    return Table("", ("step", "state", "seconds", "GiB at most"), tuple(rows))


def _step(step: str, done: Done, notes: Sequence[str]) -> Iterator[str]:
    for note in notes:
        yield f"- {note}"
    if notes:
        yield ""
    for table in tables(step, done):
        yield table.markdown().strip()


def tables(step: str, done: Done) -> list[Table]:
    """The table of a step; none where it has no row."""
    if step == ANCHOR:
        return [_anchor_table(done.results)]
    return [_table(done.results)] if done.results else []


def _table(rows: Sequence[Result]) -> Table:
    cells = []
    for row in rows:
        for place, (metric, one) in enumerate(row.figures.items()):
            head = (row.title, row.data) if place == 0 else ("", "")
            cells.append((*head, TITLES[metric], _ours(one), _paper(one), _difference(one, row)))
    reasons = dict.fromkeys(row.why_not for row in rows if row.why_not)
    notes = [f"In round brackets, not of the paper's kind: {'; '.join(reasons)}."] if reasons else []
    sources = dict.fromkeys(one.source for row in rows for one in row.figures.values() if one.source)
    notes += [f"Published: {'; '.join(sources)}."] if sources else []
    notes += list(_costs(rows))
    columns = ("row", "data", "figure", "ours", "paper", "difference")
    return Table("", columns, tuple(cells), tuple(notes))


def _costs(rows: Sequence[Result]) -> Iterator[str]:
    found = [
        f"{row.title} on {row.data} {row.about['seconds']:,.0f} s"
        + (f", {row.about['gib']:.2f} GiB" * ("gib" in row.about))
        for row in rows
        if "seconds" in row.about
    ]
    if found:
        yield f"Training took: {'; '.join(found)}."


def _anchor_table(rows: Sequence[Result]) -> Table:
    datasets = list(dict.fromkeys(row.data for row in rows))
    by_title: dict[str, dict[str, Result]] = {}
    for row in rows:
        by_title.setdefault(row.title, {})[row.data] = row
    metrics = [(data, metric) for data in datasets for metric in ("acc", "w_f1")]
    columns = ("crops and backbone", *(f"{data} {TITLES[metric]}" for data, metric in metrics), "largest difference")
    some = next(iter(by_title.values()))
    cells = [("**the paper**", *(_paper(some[data].figures[metric]) for data, metric in metrics), "")]
    for title, of in by_title.items():
        figures = [of[data].figures.get(metric) for data, metric in metrics]
        worst = max((abs(one.difference) for one in figures if one and one.difference is not None), default=None)
        chosen = any(row.about.get("chosen") for row in of.values())
        name = f"**{title}** (taken)" if chosen else title
        cells.append(
            (
                name,
                *("-" if one is None else _ours(one) for one in figures),
                f"{worst:.1f}" if worst is not None else "-",
            )
        )
    fits = f"A policy fits if no figure is over {TOLERANCE:g} points away."
    note = f"Acc and W-F1 of plain CLIP, where all names are known. {fits}"
    return Table("", columns, tuple(cells), (note,))


def _ours(one: Measured) -> str:
    ends = "" if one.low is None or one.high is None else f" [{one.low:.1f}, {one.high:.1f}]"
    return f"{one.ours:.1f}{ends}"


def _paper(one: Measured) -> str:
    return "-" if one.paper is None else f"{one.paper:.1f}"


def _difference(one: Measured, row: Result) -> str:
    if one.difference is None:
        return "-"
    return f"({one.difference:+.1f})" if row.why_not else f"{one.difference:+.1f}"
