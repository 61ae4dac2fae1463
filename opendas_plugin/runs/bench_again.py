"""Rows of office-bench-v2 that train nothing: another row's adapters at a share, calibrated, or beside segments."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.manifest import read_manifest
from opendas_plugin.data.subsets import few_shots
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.report import evaluate_classification
from opendas_plugin.files import read_json, write_json
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.devices import pick_device
from opendas_plugin.runs.bench_rows import ALL_TRAINING, Place, Row
from opendas_plugin.runs.comparison_runs import Job, folder_name
from opendas_plugin.runs.processes import Task, run_in_processes
from opendas_plugin.stamps import stamp

MADE_FROM = "made_from.json"


@dataclass(frozen=True)
class Reading:
    """How an adapter is read again.

    Args:
        weights: share of the learnt weights.
        features: share of the adapted features in both towers'.
        segments: labelled segments of each name, of all training rooms, that it is known by beside its words; 0: none.
        support_weight: share of what they say.
        calibration: what is taken from the cosines of the names that were trained with.
    """

    weights: float = 1.0
    features: float = 1.0
    segments: int = 0
    support_weight: float = 0.0
    calibration: float = 0.0

    def of(self, clip: OpenDASCLIP, data: Path, training: Path) -> Labeller:
        """The labeller of a fold's names by an adapter."""
        clip.weight_mix = self.weights
        if self.features != 1:
            clip.interpolate(self.features, self.features)
        clip.config = replace(clip.config, calibration=self.calibration)
        labeller = Labeller(clip, load_domain(data).vocabulary, calibrated=self.calibration != 0)
        if not self.segments:
            return labeller
        chosen = few_shots(read_manifest(training), self.segments, seed=0)
        return labeller.with_segments(chosen, weight=self.support_weight)


def read_again(row: Row, setting: str, jobs: Sequence[Job], place: Place, at_once: int) -> list[Path]:
    """Scores finished runs again by one setting of a row; what was scored before stays.

    Args:
        row: it says of which row the adapters are.
        setting: of the row.
        jobs: the runs of that other row.
        place: where the block is worked on.
        at_once: how many are scored at a time.

    Returns:
        The folder of the report for each job.
    """
    reading = Reading(**(row.settings or {})[setting])
    folders = [
        place.output / "again" / folder_name(f"{row.title}, {setting}") / job.folder.parent.name / job.folder.name
        for job in jobs
    ]
    threads = max(1, torch.get_num_threads() // at_once)
    tasks = [
        Task(f"the scores in {folder}", functools.partial(_score, reading, job, place, folder, threads))
        for job, folder in zip(jobs, folders, strict=True)
        if not _is_done(folder, reading, job, place.data)
    ]
    run_in_processes(iter(tasks), at_once, preload=__name__)
    return folders


def _score(reading: Reading, job: Job, place: Place, folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    clip = OpenDASCLIP.from_pretrained(job.folder / "adapter", device=pick_device(place.device))
    domain = load_domain(job.run.data)
    labeller = reading.of(clip, job.run.data, place.data / ALL_TRAINING)
    labeller.crop_cache = job.run.crop_cache
    evaluate_classification(labeller, domain.val, domain.vocabulary, folder, figure=False)
    write_json(folder / MADE_FROM, _made_from(reading, job, place.data))


def _made_from(reading: Reading, job: Job, data: Path) -> Mapping[str, object]:
    adapter = {path.name: stamp(path).split(" ")[-1] for path in sorted((job.folder / "adapter").glob("adapter*"))}
    read = {"segments": job.run.data / "val.jsonl", "support": data / ALL_TRAINING}
    return {"reading": vars(reading), "adapter": adapter, **{n: stamp(p).split(" ")[-1] for n, p in read.items()}}


def _is_done(folder: Path, reading: Reading, job: Job, data: Path) -> bool:
    """Whether the scores are there.

    Raises:
        ConfigError: they are of another adapter, setting or data.
    """
    path = folder / MADE_FROM
    if not path.is_file():
        return False
    if read_json(path) != _made_from(reading, job, data):
        raise ConfigError(f"{folder} holds scores of something else; remove it, or choose another output folder")
    return True
