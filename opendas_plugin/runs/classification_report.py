"""The page of a classification: its scores beside plain CLIP's, with the segments that they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opendas_plugin.data.segments import Segment
from opendas_plugin.reports.examples import Examples
from opendas_plugin.reports.facts import command_section, facts_section
from opendas_plugin.reports.naming import Naming
from opendas_plugin.reports.notices import naming_notices, notice_section
from opendas_plugin.reports.page import Page
from opendas_plugin.reports.scores import class_section, headline, score_section
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reporting import REPORT
from opendas_plugin.vocabulary import Vocabulary
from opendas_plugin.wording import counted

if TYPE_CHECKING:
    from opendas_plugin.labeller import Labeller

PLAIN = "plain"
"""The folder of plain CLIP's report, in that of what it is compared with."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Labelled segments that were scored, and by whom; ``summary`` is what ``summary.json`` holds."""

    summary: dict[str, Any]
    labeller: Labeller
    segments: Sequence[Segment]
    vocabulary: Vocabulary
    data: str


def classification_page(
    record: RunRecord, scored: Scored, folders: Mapping[str, Path], settings: str, about: Sequence[tuple[str, Any]] = ()
) -> Page:
    """Makes the page.

    Args:
        record: of the run.
        scored: the result.
        folders: title of a system -> the folder of its report, plain CLIP first, the result last.
        settings: how the run is called from Python.
        about: further facts.
    """
    segments, vocabulary = scored.segments, scored.vocabulary
    naming = Naming.read(segments, vocabulary, folders)
    output = [*folders.values()][-1]
    examples, facts = Examples(naming, output / REPORT), record.facts
    figures, lead = headline(naming)
    images = len({segment.image for segment in segments})
    told = [
        *about_labeller(scored.labeller),
        *about,
        ("data", scored.data),
        ("judged by", f"{counted(len(segments), 'segment')} in {counted(images, 'image')}"),
        ("names", f"{len(vocabulary.base)} base, {len(vocabulary.novel)} novel"),
    ]
    sections = (
        facts_section(facts, told),
        score_section(naming),
        examples.changes(),
        examples.confusions(),
        class_section(naming),
        notice_section(record.warnings, naming_notices(naming)),
        examples.mistakes(),
        command_section(facts, settings),
    )
    return Page(f"Naming {scored.data}: {naming.last.title}", sections, lead, figures)


def about_labeller(labeller: Labeller) -> list[tuple[str, Any]]:
    """What names were given by, for a page."""
    from opendas_plugin.model.hashes import known_sha256

    clip, found = labeller.clip, labeller.facts()
    template = found["template"]
    return [
        ("device", str(clip.logit_scale.device)),
        ("backbone", clip.backbone.title),
        ("hash of its weights", known_sha256(clip.model)[:12]),
        ("method", clip.config.method if clip.is_saved else None),
        ("template", template if isinstance(template, str) else counted(len(template), "template")),
        ("crops", str(labeller.crops)),
    ]
