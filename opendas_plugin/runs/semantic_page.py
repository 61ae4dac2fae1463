"""The page of a semantic evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opendas_plugin.eval.classification import Confusion
from opendas_plugin.eval.semantic_intervals import SemanticMetric, semantic_difference, semantic_interval
from opendas_plugin.eval.semantic_report import COLUMNS
from opendas_plugin.reports.facts import command_section, facts_section
from opendas_plugin.reports.notices import listed, notice_section
from opendas_plugin.reports.page import Page
from opendas_plugin.reports.semantic import SeenPictures
from opendas_plugin.reports.summaries import (
    change_section,
    headline_figures,
    per_class_section,
    read_per_class,
    read_summary,
    summary_section,
)
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reporting import REPORT
from opendas_plugin.wording import counted

FIELDS = {**COLUMNS, "b_miou": "mIoU base", "n_miou": "mIoU novel"}
WITH_INTERVALS: tuple[SemanticMetric, ...] = ("miou", "macc", "fwiou", "pacc")
_SCORE, _COUNT = ("iou", "IoU"), ("pixels", "pixels")


@dataclass(frozen=True, eq=False)
class SemanticSide:
    """One system's report: its title, its folder, and its pictures where they were seen."""

    title: str
    folder: Path
    seen: SeenPictures | None = None


def semantic_page(
    record: RunRecord,
    sides: Sequence[SemanticSide],
    confusion: Confusion,
    novel: Sequence[str],
    images: Path | None,
    about: Sequence[tuple[str, Any]],
    settings: str,
) -> Page:
    """Makes the page; of the sides the last is the result, and what is before it is set beside it."""
    last, first = sides[-1], sides[0] if len(sides) > 1 else None
    seen = last.seen
    if seen is None:
        raise ValueError("the pictures of the result were not looked at")
    summaries = {side.title: read_summary(side.folder) for side in sides}
    now, before = read_per_class(last.folder), None if first is None else read_per_class(first.folder)
    intervals, differences = _intervals(sides, summaries)
    title = "" if first is None else first.title
    facts, summary, page = record.facts, summaries[last.title], last.folder / REPORT
    told = [
        *about,
        ("protocol", summary.get("protocol")),
        ("judged by", f"{counted(summary['n_pixels'], 'pixel')} in {counted(summary['n_images'], 'image')}"),
        ("names", f"{len(seen.names) - len(novel)} base, {len(novel)} novel"),
        ("label values", summary.get("label_values")),
    ]
    note = "In brackets: the 95% interval over pictures; the names are taken as they are."
    sections = (
        facts_section(facts, told),
        summary_section(summaries, FIELDS, intervals, differences, (note,) if intervals else ()),
        change_section(now, before, _SCORE, title),
        seen.confusions(confusion, novel, images, page),
        per_class_section(now, before, _SCORE, _COUNT, title, {"acc": "Acc"}),
        notice_section(record.warnings, _notices(seen, confusion, novel)),
        seen.mistakes(images, page),
        command_section(facts, settings),
    )
    figures = headline_figures(summary, None if first is None else summaries[first.title], FIELDS)
    return Page(f"Class maps: {last.title}", sections, "", figures)


def _intervals(sides: Sequence[SemanticSide], summaries: Mapping[str, Mapping[str, Any]]) -> tuple[Any, Any]:
    """The figures with intervals, where the protocol's mean is over the classes that have pixels."""
    rule = summaries[sides[-1].title].get("protocol")
    metrics = [metric for metric in WITH_INTERVALS if metric != "miou" or rule == "detectron2"]
    known = {
        side.title: {metric: semantic_interval(metric, side.seen.counts) for metric in metrics}
        for side in sides
        if side.seen is not None
    }
    first, last = sides[0].seen, sides[-1].seen
    if len(sides) == 1 or first is None or last is None or not np.array_equal(first.counts.true, last.counts.true):
        return known, {}
    return known, {metric: semantic_difference(metric, last.counts, first.counts) for metric in metrics}


def _notices(seen: SeenPictures, confusion: Confusion, novel: Sequence[str]) -> list[str]:
    pixels, pictures = confusion.sum(axis=1), (seen.counts.true > 0).sum(axis=0)
    absent = [name for name, count in zip(seen.names, pixels, strict=True) if not count]
    once = [name for name, count in zip(seen.names, pictures, strict=True) if count == 1]
    unpredicted, total = int(confusion[:, -1].sum()), int(confusion.sum())
    found = [f"{counted(len(absent), 'name has', 'names have')} no pixel here: {listed(absent)}."] if absent else []
    found += [f"{counted(len(once), 'name is', 'names are')} in one picture alone: {listed(once)}."] if once else []
    if unpredicted:
        found.append(
            f"{unpredicted:,} of {total:,} pixels ({unpredicted / total:.1%}) have no prediction; they are missed."
        )
    if not novel:
        found.append("No name is novel, so nothing here says what happens to names that were never labelled.")
    return found
