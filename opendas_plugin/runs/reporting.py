"""Pages of runs: written where they can be, and never in the way of the results that they tell of."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from opendas_plugin.eval import canvas
from opendas_plugin.files import holds_text
from opendas_plugin.reports.facts import command_section, facts_section, sentence
from opendas_plugin.reports.notices import notice_section
from opendas_plugin.reports.page import Page, write_page
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import Result, Run, changed

REPORT = "report.html"
FAILED = "<strong>The run failed.</strong>"
"""What the page of a run that failed holds."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReportedRun(Run[Result]):
    """A run that leaves a page of what it found, also where it fails half-way."""

    _: KW_ONLY
    report: bool = True
    """Draw the figures and write report.html, a page with all that is worth seeing of the run."""

    def stopped(self, record: RunRecord, error: BaseException) -> None:
        """See :meth:`Run.stopped`. The page of an earlier run that did not fail stays, as its results do."""
        if self.report and record.begun is not None and os.environ.get("RANK", "0") == "0":
            earlier = record.begun / REPORT
            if not earlier.exists() or holds_text(earlier, FAILED):
                save_page(lambda: failed_page(record, error), record.begun)


def failed_page(record: RunRecord, error: BaseException) -> Page:
    """The page of a run that ended before it had scores."""
    facts = record.facts
    about = [(name.replace("_", " "), value) for name, value in facts["config"].items() if isinstance(value, str)]
    sections = (facts_section(facts, about), notice_section(record.warnings), command_section(facts))
    return Page("A run that did not end", sections, failure=said(error))


def save_page(make: Callable[[], Page], folder: Path) -> None:
    """Writes ``report.html`` into a run's folder; where it cannot be made the log says so, and the run goes on."""
    if not canvas.available():
        logger.info("no %s: matplotlib is not installed; pip install matplotlib", REPORT)
        return
    try:
        write_page(make(), folder / REPORT)
    except Exception as error:  # hours of work are there, and this is only about them
        logger.warning("%s could not be written (%s: %s)", folder / REPORT, type(error).__name__, error)
        logger.debug("the page of %s", folder, exc_info=True)


def call_of(name: str, run: Run[Any], config: Mapping[str, Any] | None = None) -> str:
    """How a run is called from Python.

    Args:
        name: of its function, as in ``opendas.adapt``.
        run: its settings; those at their default are left out.
        config: fields that stand in for the run's ``config``.
    """
    chosen = changed(run)
    given = {f.name: getattr(run, f.name) for f in dataclasses.fields(run) if f.name in chosen and f.name != "config"}
    parts = [f"{key}={plain_text(value)}" for key, value in {**given, **(config or {})}.items()]
    return f"import opendas_plugin as opendas\n\n{name}({', '.join(parts)})"


def plain_text(value: Any) -> str:
    """A setting as Python reads it; a path as text."""
    if isinstance(value, tuple):
        return repr([str(one) if isinstance(one, Path) else one for one in value])
    return repr(str(value) if isinstance(value, Path) else value)


def said(error: BaseException) -> str:
    """What a run stopped at, for its page."""
    if isinstance(error, KeyboardInterrupt):
        return "It was interrupted."
    return sentence(str(error)) or type(error).__name__
