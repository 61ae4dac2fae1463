"""The page of a comparison: its tables, its figures, and what the compared rows say of the same segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opendas_plugin.data.domain import Domain
from opendas_plugin.eval.evidence import Evidence
from opendas_plugin.eval.tables import Table
from opendas_plugin.reports.comparison import names_section, picture_section, tables_section
from opendas_plugin.reports.examples import Examples
from opendas_plugin.reports.facts import command_section, facts_section
from opendas_plugin.reports.figures import grouped_bars
from opendas_plugin.reports.naming import Naming
from opendas_plugin.reports.notices import naming_notices, notice_section
from opendas_plugin.reports.page import Page, Section
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reporting import REPORT
from opendas_plugin.wording import counted


def comparison_page(
    record: RunRecord,
    domain: Domain,
    output: Path,
    tables: Mapping[str, Table],
    evidence: Evidence,
    series: Mapping[str, Mapping[str, tuple[float, float]]],
    compared: Mapping[str, Path],
    about: Sequence[tuple[str, Any]],
    settings: str,
) -> Page:
    """Makes the page.

    Args:
        record: of the run.
        domain: what was learnt from and judged by.
        output: the comparison's folder.
        tables: as they are written.
        evidence: what the rows say of the validation segments.
        series: metric -> row -> mean and deviation.
        compared: two rows' folders of one seed, whose segments are shown: what is compared with, and the row itself.
        about: what was run on what.
        settings: how it is called from Python.
    """
    facts, page = record.facts, output / REPORT
    naming = Naming.read(domain.val, domain.vocabulary, compared)
    examples = Examples(naming, page)
    titles = [*evidence.answers]
    name = domain.info.get("name", "the data")
    said = " and ".join(compared)
    sections = (
        facts_section(facts, about),
        Section("Scores", (grouped_bars(series, "Mean over seeds; strokes: standard deviation"),)),
        tables_section("Tables", tables),
        Section(f"What changed most: {said}", examples.changes().blocks),
        Section(f"Confusions: {naming.last.title}", examples.confusions().blocks),
        names_section(evidence, domain.vocabulary, titles),
        picture_section(output / "predictions.png", "Validation pictures coloured by the names of each row."),
        notice_section(record.warnings, naming_notices(naming)),
        Section(f"Worst mistakes: {naming.last.title}", examples.mistakes().blocks),
        command_section(facts, settings),
    )
    rows = counted(len(titles), "row")
    return Page(f"Comparing {rows} on {name}", sections, f"{counted(len(domain.val), 'segment')}; {rows}.")
