"""The training runs of a comparison: each in a process of its own, and done once for all."""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from opendas_plugin import methods
from opendas_plugin.data.domain import Domain, load_domain
from opendas_plugin.data.learnt_pictures import picture_digests
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.eval.crop_choice import CropChoice, choose_crops
from opendas_plugin.files import names_file, read_json, write_json
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.adapter import WEIGHTS_FILE
from opendas_plugin.model.devices import pick_device
from opendas_plugin.model.tiny_clips import TINY_CLIPS
from opendas_plugin.negatives.database import NegativeDatabase
from opendas_plugin.runs.adaptation import Adapt
from opendas_plugin.runs.cluster import Cluster
from opendas_plugin.runs.meters import Meter
from opendas_plugin.runs.processes import Task, run_in_processes
from opendas_plugin.runs.record import RunRecord, plain
from opendas_plugin.runs.sources import training_inputs
from opendas_plugin.runs.training import BEFORE, Training
from opendas_plugin.stamps import Inputs, changes, digest, stamp
from opendas_plugin.train import hold
from opendas_plugin.train.config import HoldConfig
from opendas_plugin.train.stage import active_towers
from opendas_plugin.train.state import fingerprint, flat

COST = "cost.json"
WITHOUT_EFFECT = (
    "data",
    "recipe",
    "negatives",
    "images_root",
    "output_dir",
    "unlabelled",
    "crop_cache",
    "resume",
    "device",
    "report",
    "log_to",
)
"""Options of a run that another machine or folder may have otherwise; what they name is compared by content."""
SAME_RESULT = ("grad_checkpointing", "workers", "checkpoint_every")
"""Fields of a recipe that change nothing of what is learnt."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A training run.

    Args:
        title: of its row.
        folder: where the run lies.
        run: the training.
    """

    title: str
    folder: Path
    run: Adapt

    @property
    def method(self) -> str:
        """How it learns."""
        return self.run.config.method


def with_crops(jobs: Sequence[Job], domain: Domain, path: Path) -> list[Job]:
    """Chooses the crops once for all rows of a backbone that leave them open.

    Args:
        jobs: all runs.
        domain: what is learnt from.
        path: the file that keeps what was chosen, which a comparison that is gone on with takes again.

    Raises:
        ConfigError: the file was chosen on other data.
    """
    data = fingerprint(domain.train, domain.vocabulary)[:12]
    pictures = picture_digests({segment.image for segment in domain.train})
    chosen_on = digest(" ".join([data, *pictures]))
    kept: Any = read_json(path, "remove it") if path.exists() else {"data": chosen_on, "backbones": {}}
    if not isinstance(kept, dict) or not isinstance(kept.get("backbones"), dict):
        raise DataError(f"{path} does not say which crops were chosen; remove it")
    if kept.get("data") != chosen_on:
        raise ConfigError(f"the crops in {path} were chosen on other data; choose another output folder")

    def resolved(job: Job) -> Job:
        config = job.run.config
        if not config.auto_crops:
            return job
        files = [name for name in (config.backbone, config.pretrained) if names_file(name)]
        weights = [stamp(name).rpartition(" ")[2] for name in files if name is not None]
        weights += [] if (known := TINY_CLIPS.get(config.backbone)) is None else [known.sha256[:12]]
        weights += [] if config.tokenizer is None else [config.tokenizer]
        name = " ".join(map(str, (config.backbone, config.pretrained, config.backbone_seed, *weights)))
        if name not in kept["backbones"]:
            device = pick_device(job.run.device)
            clip = OpenDASCLIP.from_backbone(
                config.backbone,
                config.pretrained,
                device=device,
                seed=config.backbone_seed,
                tokenizer=config.tokenizer,
            )
            choice = choose_crops(clip, domain.train, domain.vocabulary, workers=config.workers)
            kept["backbones"][name] = choice.record()
            write_json(path, kept)
        crops = CropChoice.of(kept["backbones"][name], path).chosen
        run = dataclasses.replace(job.run, config=dataclasses.replace(config, crops=crops, auto_crops=False))
        return dataclasses.replace(job, run=run)

    return [resolved(job) for job in jobs]


def run_all(jobs: Sequence[Job], at_once: int = 1, done: Sequence[Job] = (), cluster: Cluster | None = None) -> None:
    """Trains what is not done yet, in the order of the jobs; a run that was interrupted is started again.

    Args:
        jobs: all runs.
        at_once: how many train at a time; they share the CPU's threads evenly.
        done: finished runs of other rows, whose scores of plain CLIP hold for these, too.
        cluster: where the runs are handed to; None: processes of this machine.

    Raises:
        ConfigError: a folder holds a run of something else.
        TrainingError: a run's process was killed, such as for its memory.
        OpenDASError: what training raises.
    """
    waiting = [(number, job) for number, job in enumerate(jobs, start=1) if not _is_done(job)]
    done = [job for job in done if _is_done(job)]
    on_others = cluster is not None and cluster.kind == "slurm"
    threads = None if on_others else max(1, torch.get_num_threads() // at_once)

    def tasks() -> Iterator[Task]:
        for number, job in waiting:
            logger.info("run %d of %d: %s, seed %d", number, len(jobs), job.title, job.run.config.seed)
            shutil.rmtree(job.folder, ignore_errors=True)
            work = functools.partial(run_one, job, _known_before(job, [*done, *jobs]), threads)
            yield Task(f"the run in {job.folder}", work)

    if cluster is not None:
        cluster.run(tasks(), at_once)
    else:
        run_in_processes(tasks(), at_once, preload=__name__)


def run_one(job: Job, before: Path | None, threads: int | None) -> None:
    """Trains and scores one run in this process, and notes what it cost.

    Args:
        job: the run.
        before: the report of its backbone without an adapter, where it is known.
        threads: of this process on the CPU; None: as torch finds the machine.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    logging.getLogger("opendas_plugin").setLevel(logging.WARNING)
    record = RunRecord(job.run, command="opendas-compare", seed=job.run.seed)
    device, domain = pick_device(job.run.device), load_domain(job.run.data, job.run.images_root)
    inputs = job_inputs(job).record()
    meter = Meter(device)
    Training(job.run, domain, job.folder, device, before=before, watch=meter, figures=False)()
    record.write(job.folder)
    cost = {
        "identity": _identity(job),
        "inputs": inputs,
        "parameters": _count(job.folder / "adapter" / WEIGHTS_FILE),
        "seconds": meter.seconds,
        "peak_memory_mb": None if math.isnan(meter.peak) else meter.peak,
    }
    write_json(job.folder / COST, cost)


def folder_name(title: str) -> str:
    """The folder of a row's runs."""
    return "".join(c if c.isalnum() or c in "-_@." else "_" for c in title)


def _is_done(job: Job) -> bool:
    """Whether the run is there, and is this one.

    Raises:
        ConfigError: it is another one.
    """
    if not _is_finished(job):
        return False
    known = read_json(job.folder / COST, f"remove {job.folder} to have its run made again")
    if difference := next(changes(flat(_compared(known["identity"])), flat(_identity(job))), None):
        raise ConfigError(
            f"{job.folder} holds a run with another recipe, or on other data: {difference}; choose another output "
            "folder"
        )
    if "inputs" not in known:
        logger.warning("%s does not say which pictures and names it was learnt from; it is taken as it is", job.folder)
    elif difference := job_inputs(job).difference(known["inputs"]):
        raise ConfigError(
            f"{job.folder} holds a run that was made from something else: {difference}; choose another output folder"
        )
    return True


def job_inputs(job: Job) -> Inputs:
    """What a run is made from beside its settings: pictures, weights, and related names by their content."""
    domain, config = load_domain(job.run.data, job.run.images_root), job.run.config
    pictures = training_inputs(domain, domain.train, job.run.start).files
    if job.run.unlabelled is not None:
        pictures = {**pictures, "the segments whose names are not looked at": job.run.unlabelled}
    weights = {name: Path(name) for name in (config.backbone, config.pretrained) if name and Path(name).is_file()}
    negatives = job.run.negatives or domain.negatives
    names = None if negatives is None else NegativeDatabase.load(negatives).digest()[:12]
    values = {"the file of related names": f"sha256 {names}"}
    if (known := TINY_CLIPS.get(config.backbone)) is not None:  # office-tiny has been another one before
        values["the weights of the backbone"] = known.sha256[:12]
    return Inputs({**pictures, **weights}, values)


def _is_finished(job: Job) -> bool:
    return (job.folder / COST).exists()  # what a run writes last


def _identity(job: Job) -> dict[str, Any]:
    domain = load_domain(job.run.data, job.run.images_root)
    options = plain(job.run)
    del options["config"]["auto_crops"]  # they are chosen by now
    if options["start"] is None:  # a setting that earlier comparisons do not have
        del options["start"]
    if job.run.config.hold == HoldConfig():  # likewise
        del options["config"]["hold"]
    if all(stage.labels for stage in methods.get(job.method).stages):
        del options["config"]["unlabelled"]
    if job.run.config.loss == "softmax":
        del options["config"]["loss"]
    if job.run.config.tokenizer is None:
        del options["config"]["tokenizer"]
    if not job.run.config.compile:
        del options["config"]["compile"]
    segments = [*domain.train, *domain.val]
    held = hold.digest(domain.vocabulary, job.run.config.hold)
    found = {"options": options, "segments": fingerprint(segments, domain.vocabulary)[:12]}
    return _compared(found | ({"names to hold": held[:12]} if held else {}))


def _compared(identity: dict[str, Any]) -> dict[str, Any]:
    """What two runs are compared by, of files of earlier versions, too, which kept more of it."""
    options = {name: value for name, value in identity["options"].items() if name not in WITHOUT_EFFECT}
    config = {name: value for name, value in options["config"].items() if name not in SAME_RESULT}
    return {**identity, "options": {**options, "config": config}}


def _known_before(job: Job, jobs: Sequence[Job]) -> Path | None:
    """Plain CLIP's report on the same crops by a run that is done by now."""

    def same(other: Job) -> bool:
        fields = ("backbone", "pretrained", "backbone_seed", "tokenizer", "crops")
        alike = all(getattr(job.run.config, name) == getattr(other.run.config, name) for name in fields)
        return alike and job.run.data == other.run.data

    return next((other.folder / BEFORE for other in jobs if _is_finished(other) and same(other)), None)


def learnt_by(job: Job, number: int) -> int:
    """How many values a run has learnt by the end of its stage ``number``."""
    stages = methods.get(job.method).stages[: number + 1]
    counts = _count(job.folder / "adapter" / WEIGHTS_FILE, low_rank=any(stage.low_rank for stage in stages))
    return sum(counts[tower] for tower in active_towers(stages, number))


def _count(path: Path, *, low_rank: bool = True) -> dict[str, int]:
    """How many values an adapter's file holds for each tower, with or without low-rank updates."""
    counts = {"visual": 0, "text": 0}
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 (it is no dict)
            if low_rank or not {"down", "up"} & {*name.split(".")}:
                counts[name.partition("_")[0]] += file.get_tensor(name).numel()
    return counts
