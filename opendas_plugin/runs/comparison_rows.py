"""The rows of a comparison: what finished runs have scored, what they cost, and what they say of each segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opendas_plugin.data.domain import Domain
from opendas_plugin.eval.comparison import System
from opendas_plugin.eval.evidence import Evidence, group_numbers, read_answers
from opendas_plugin.eval.prediction_file import read_predictions
from opendas_plugin.files import read_json
from opendas_plugin.runs.comparison_runs import COST, Job, learnt_by
from opendas_plugin.runs.training import BEFORE, score_folders


@dataclass(frozen=True)
class Row:
    """A row: a method, or a stage of one alone.

    Args:
        title: of the row.
        stage: what it ends with, of the method's milestones.
        jobs: the runs behind it.
        folders: training seed -> the folder of its report; the seed None alone where nothing is learnt.
        values: how many are learnt by the end of an earlier stage; None: the last.
    """

    title: str
    stage: str
    jobs: tuple[Job, ...]
    folders: Mapping[int | None, Path]
    values: int | None = None


def rows_of(jobs: Sequence[Job]) -> list[Row]:
    """One row for each title, after a row for each earlier stage of it alone."""
    rows = []
    for title in dict.fromkeys(job.title for job in jobs):
        own = tuple(job for job in jobs if job.title == title)
        *earlier, (last, folder) = score_folders(own[0].method).items()
        for number, (stage, stage_folder) in enumerate(earlier[1:]):  # the first is plain CLIP
            folders: dict[int | None, Path] = {job.run.config.seed: job.folder / stage_folder for job in own}
            about = f"up to the {stage} stage" if number else f"{stage} stage alone"
            rows.append(Row(f"{title}, {about}", stage, own, folders, learnt_by(own[0], number)))
        folders = {None if last == BEFORE else job.run.config.seed: job.folder / folder for job in own}
        rows.append(Row(title, last, own, folders))
    return rows


def systems_of(jobs: Sequence[Job]) -> list[System]:
    """The scores and costs of all rows."""
    systems = []
    for row in rows_of(jobs):
        scores = {seed: read_json(folder / "summary.json") for seed, folder in row.folders.items()}
        costs = [read_json(job.folder / COST) for job in row.jobs]
        parameters = costs[0]["parameters"]
        if row.title != row.jobs[0].title:
            systems.append(System(row.title, row.values or 0, scores))
            continue
        trained = [] if row.stage == BEFORE else costs
        seconds = tuple(cost["seconds"] for cost in trained)
        memory = tuple(cost["peak_memory_mb"] for cost in trained)
        systems.append(System(row.title, sum(parameters.values()), scores, seconds, memory))
    return systems


def evidence_of(jobs: Sequence[Job], domain: Domain) -> Evidence:
    """What all rows say of the domain's validation segments.

    Raises:
        DataError: a report is of other segments.
    """
    vocabulary, labels = domain.vocabulary, [segment.label for segment in domain.val]
    answers = {
        row.title: {seed: read_answers(folder, labels, vocabulary) for seed, folder in row.folders.items()}
        for row in rows_of(jobs)
    }
    places = np.array([vocabulary.index[label] for label in labels], dtype=np.int64)
    return Evidence(places, group_numbers(domain.val), answers)


def predictions_of(job: Job) -> tuple[str, ...]:
    """The names that a finished run gives the validation segments."""
    return read_predictions(last_folder(job) / "predictions.jsonl").predictions


def last_folder(job: Job) -> Path:
    """The folder of a run's report on what it has learnt."""
    return job.folder / list(score_folders(job.method).values())[-1]
