"""``reproduction.md``: ours, the paper's and the difference, and in sentences what holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from opendas_plugin.eval.tables import Table
from opendas_plugin.files import write_text
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


def write_page(output: Path, document: Document) -> None:
    """Writes the page into a folder."""
    write_text(output / NAME, markdown(document))


def markdown(document: Document) -> str:
    """The page."""
    made = document.made
    kind = "a rehearsal on made-up data and random weights" if document.is_rehearsal else f"tier {made.get('tier')}"
    lines = [
        f"# Reproduction of OpenDAS, {kind}",
        "",
        "## What holds",
        "",
        *(f"- {one}" for one in holds(document)),
        "",
    ]
    lines += ["## How it was made", "", *_made(document), ""]
    for step, done in document.steps.items():
        lines += [f"## {STEP_TITLES[step]}", "", *_step(step, done), ""]
    lines += [
        "Figures are in percent, in square brackets their 95% interval over pictures (rooms, drives), names and "
        "training seeds. *Paper* is quoted, never measured here; *difference* is ours less the paper's, and in round "
        "brackets where the row is not of the same kind as the paper's.",
        "",
    ]
    return "\n".join(lines)


def _made(document: Document) -> Iterator[str]:
    made = document.made
    gpu = f" ({made['gpu']}, {made['gpu_gib']} GiB)" if "gpu" in made else ""
    versions = ", ".join(f"{name} {version}" for name, version in dict(made.get("versions", {})).items())
    commit = made.get("git") or "unknown"
    yield f"On {made.get('device')}{gpu}, begun {made.get('started')}; {versions}; commit {commit}."
    yield ""
    rows = [
        (step, "done", f"{done.seconds:,.0f}", "-" if done.gib is None else f"{done.gib:.2f}")
        for step, done in document.steps.items()
    ]
    rows += [(step, "left out", "-", "-") for step in document.left_out]
    yield Table("", ("step", "state", "seconds", "GiB at most"), tuple(rows)).markdown().strip()
    for step, why in document.left_out.items():
        yield ""
        yield f"{step} is left out: {why}."


def _step(step: str, done: Done) -> Iterator[str]:
    for note in done.notes:
        yield f"- {note}"
    if done.notes:
        yield ""
    if step == ANCHOR:
        yield _anchor_table(done.results)
    elif done.results:
        yield _table(done.results)


def _table(rows: Sequence[Result]) -> str:
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
    return Table("", columns, tuple(cells), tuple(notes)).markdown().strip()


def _costs(rows: Sequence[Result]) -> Iterator[str]:
    found = [
        f"{row.title} on {row.data} {row.about['seconds']:,.0f} s"
        + (f", {row.about['gib']:.2f} GiB" * ("gib" in row.about))
        for row in rows
        if "seconds" in row.about
    ]
    if found:
        yield f"Training took: {'; '.join(found)}."


def _anchor_table(rows: Sequence[Result]) -> str:
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
    return Table("", columns, tuple(cells), (note,)).markdown().strip()


def _ours(one: Measured) -> str:
    ends = "" if one.low is None or one.high is None else f" [{one.low:.1f}, {one.high:.1f}]"
    return f"{one.ours:.1f}{ends}"


def _paper(one: Measured) -> str:
    return "-" if one.paper is None else f"{one.paper:.1f}"


def _difference(one: Measured, row: Result) -> str:
    if one.difference is None:
        return "-"
    return f"({one.difference:+.1f})" if row.why_not else f"{one.difference:+.1f}"
