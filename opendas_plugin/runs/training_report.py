"""The page of a training, written at milestones, too, so that a long run that was killed leaves one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from opendas_plugin import methods
from opendas_plugin.errors import OpenDASError
from opendas_plugin.model.adapter import WEIGHTS_FILE
from opendas_plugin.reports.examples import Examples
from opendas_plugin.reports.facts import command_section, facts_section
from opendas_plugin.reports.naming import Naming
from opendas_plugin.reports.notices import naming_notices, notice_section
from opendas_plugin.reports.page import Page, Section
from opendas_plugin.reports.scores import class_section, headline, of_folders, score_section
from opendas_plugin.reports.training import curve_section, read_log
from opendas_plugin.runs.record import RunRecord, plain
from opendas_plugin.runs.reporting import REPORT, call_of, said, save_page
from opendas_plugin.runs.training import Training, score_folders
from opendas_plugin.stamps import stamp
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.recipe import read_recipe
from opendas_plugin.train.run import LOG
from opendas_plugin.wording import counted

PATIENCE = 120.0
"""Seconds of a run that may be lost without leaving a page."""


class TrainingReport:
    """Writes ``report.html`` of one training."""

    def __init__(self, record: RunRecord) -> None:
        self.record, self.told = record, time.monotonic()

    def reached(self, training: Training) -> None:
        """Writes the page as of a milestone, but for one soon after the start or the last page; that of the whole run
        follows the last milestone at once.
        """
        every = set(score_folders(training.config.method).values())
        ends = not training.run.calibration_folds and every <= training.scores.keys()
        if not ends and time.monotonic() - self.told > PATIENCE:
            save_page(lambda: self.page(training, unfinished=True), training.output)
            self.told = time.monotonic()

    def finished(self, training: Training) -> None:
        """Writes the page of the whole run."""
        save_page(lambda: self.page(training), training.output)

    def failed(self, training: Training, error: BaseException) -> None:
        """Writes the page of what there is, with the reason why there is not more."""
        save_page(lambda: self.page(training, failure=said(error)), training.output)

    def page(self, training: Training, failure: str = "", unfinished: bool = False) -> Page:
        """Makes the page of what a training has done so far."""
        domain, output = training.domain, training.output
        name = domain.info.get("name", training.run.data.resolve().name)
        titles = of_folders([*training.scores])
        folders = {titles[folder]: output / folder for folder in training.scores}
        trained = Counter(segment.label for segment in training.segments)
        stages: dict[str, str] = {one.name: f"{one.name} stage" for one in methods.get(training.config.method).stages}
        log = read_log(output / LOG)
        facts, run = self.record.facts, training.run
        sections: list[Section] = [facts_section(facts, self._about(training))]
        figures, lead = tuple[tuple[str, str], ...](), ""
        if folders:
            naming = Naming.read(domain.val, domain.vocabulary, folders, trained)
            examples = Examples(naming, output / REPORT)
            figures, lead = headline(naming)
            sections += [score_section(naming), examples.changes(), examples.confusions(), class_section(naming)]
            sections += [
                curve_section(log, stages),
                notice_section(self.record.warnings, naming_notices(naming)),
                examples.mistakes(),
            ]
        else:
            sections += [curve_section(log, stages), notice_section(self.record.warnings)]
        settings = call_of("opendas.adapt", run, {"recipe": run.recipe, **_changes(run.config, run.recipe)})
        sections.append(command_section(facts, settings))
        title = f"Adapting {training.clip.backbone.title} to {name}"
        return Page(title, tuple(sections), lead, figures, failure, unfinished)

    def _about(self, training: Training) -> list[tuple[str, Any]]:
        config, clip, domain = training.config, training.clip, training.domain
        weights = training.output / "adapter" / WEIGHTS_FILE
        learnt = sum(value.numel() for value in clip.learnt_state().values())
        images = len({segment.image for segment in training.segments})
        judged = len({segment.image for segment in domain.val})
        vocabulary, crops = domain.vocabulary, training.crops
        chosen = (
            "" if training.choice is None else f", chosen on {counted(training.choice.segments, 'training segment')}"
        )
        epochs = {stage.name: getattr(config, stage.name).epochs for stage in methods.get(config.method).stages}
        return [
            ("device", str(clip.logit_scale.device)),
            ("backbone", clip.backbone.title),
            ("hash of its weights", clip.config.backbone_sha256[:12]),
            ("method", f"{config.method}, {learnt:,} learnt values"),
            ("recipe", training.run.recipe),
            ("epochs", ", ".join(f"{name} {count}" for name, count in epochs.items())),
            ("data", training.run.data.resolve()),
            ("learnt from", f"{counted(len(training.segments), 'segment')} in {counted(images, 'image')}"),
            ("judged by", f"{counted(len(domain.val), 'segment')} in {counted(judged, 'image')}"),
            ("names", f"{len(vocabulary.base)} base, {len(vocabulary.novel)} novel"),
            ("template", vocabulary.template),
            ("crops", f"{crops}{chosen}"),
            ("adapter", f"sha256 {stamp(weights).rpartition(' ')[2]}" if weights.exists() else None),
        ]


def _changes(config: TrainConfig, recipe: str) -> dict[str, Any]:
    """What was changed in a recipe, as nested fields."""
    try:
        start = plain(read_recipe(recipe, config.method))
    except OpenDASError:  # the file is gone
        return {"method": config.method}
    return {"method": config.method, **_differences(plain(config), start)}


def _differences(now: Mapping[str, Any], start: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in now.items():
        if isinstance(value, Mapping) and isinstance(start.get(name), Mapping):
            if inner := _differences(value, start[name]):
                found[name] = inner
        elif value != start.get(name):
            found[name] = value
    return found
