"""What holds, in sentences: which figures are the paper's, which are not, and which way adaptation goes here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opendas_plugin.runs.reproduce.document import Document
from opendas_plugin.runs.reproduce.place import ANCHOR
from opendas_plugin.runs.reproduce.published import TOLERANCE
from opendas_plugin.runs.reproduce.results import TITLES, Measured, Result
from opendas_plugin.wording import counted

_SHOWN = 8


def holds(document: Document) -> list[str]:
    """The sentences, the most important one first."""
    if document.is_rehearsal:
        done = ", ".join(document.steps) or "no step"
        return [
            f"Nothing of the paper: this is a rehearsal on made-up data and random weights, which says that {done} "
            f"{'runs' if len(document.steps) == 1 else 'run'} here from end to end. Its figures mean nothing."
        ]
    found = list(_against_paper(document))
    for step in (ANCHOR, "rivals"):
        if step in document.steps and document.steps[step].notes:
            found.append(str(document.steps[step].notes[0 if step == ANCHOR else -1]))
    found += list(_directions(document))
    if document.left_out:
        found.append(f"Not looked at: {', '.join(document.left_out)}.")
    return found or ["Nothing yet: no step with figures is done."]


def _against_paper(document: Document) -> Iterator[str]:
    """How many comparable figures are the paper's, and which are not."""
    pairs = [(row, metric, one) for row, metric, one in _comparable(document)]
    if not pairs:
        if any(one.paper is not None for _, row in document.rows() for one in row.figures.values()):
            yield (
                "No row is of the paper's own kind, so no figure of it is confirmed or refuted; the reasons stand by "
                "the rows."
            )
        return
    near = [one for _, _, one in pairs if one.fits]
    inside = [one for _, _, one in pairs if _holds_paper(one)]
    yield (
        f"Of {counted(len(pairs), 'figure that has', 'figures that have')} a published one of the same kind, "
        f"{counted(len(near), 'is', 'are')} within {TOLERANCE:g} "
        f"points of it, and of {len(inside)} the 95% interval holds it."
    )
    others = [
        f"{row.title} on {row.data}, {TITLES[metric]} {one.ours:.1f} for {one.paper:.1f}"
        for row, metric, one in pairs
        if not one.fits
    ]
    if others:
        more = f"; and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        yield f"Not within {TOLERANCE:g} points: {'; '.join(others[:_SHOWN])}{more}."


def _comparable(document: Document) -> Iterator[tuple[Result, str, Measured]]:
    for step, row in document.rows():
        if row.why_not or (step == ANCHOR and not row.about.get("chosen")):
            continue
        for metric, one in row.figures.items():
            if one.paper is not None:
                yield row, metric, one


def _holds_paper(one: Measured) -> bool:
    return one.low is not None and one.high is not None and one.paper is not None and one.low <= one.paper <= one.high


def _directions(document: Document) -> Iterator[str]:
    """Whether OpenDAS is above plain CLIP here, by W-F1, whatever tier it is; beside the paper's own gain."""
    for done in document.steps.values():
        for row in done.results:
            plain = _plain_of(row, done.results)
            if plain is None or not {"w_f1"} <= row.figures.keys() & plain.figures.keys():
                continue
            after, before = row.figures["w_f1"], plain.figures["w_f1"]
            paper = ""
            if after.paper is not None and before.paper is not None:
                paper = f" (the paper: {after.paper - before.paper:+.1f})"
            gain = f"{after.ours - before.ours:+.1f} points of W-F1 over plain CLIP here"
            yield f"{row.title}, on {row.data}: {gain}{paper}."


def _plain_of(row: Result, rows: Sequence[Result]) -> Result | None:
    """The row of plain CLIP that a row of OpenDAS stands beside."""
    if not row.title.startswith("opendas") or "stage" in row.title:
        return None
    title = row.title.replace("opendas", "zero_shot", 1)
    return next((other for other in rows if (other.title, other.data) == (title, row.data)), None)
