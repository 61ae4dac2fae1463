"""A training run: its stages one after the other, on one GPU, one machine or several, and on after an interruption.

One process, on a GPU if there is one::

    opendas-train --data DIR --output-dir RUN

Four GPUs of one machine (or four processes on a CPU, with ``--device cpu``)::

    torchrun --no-python --nproc_per_node 4 opendas-train --data DIR --output-dir RUN

Two machines of four, the data at the same path on both; the second has ``--node_rank 1``, else the same::

    torchrun --no-python --nnodes 2 --node_rank 0 --nproc_per_node 4 --master_addr FIRST opendas-train --data DIR ...

``batch_size`` is that of all processes together, so their number changes the speed and, but for rounding, not the
result. Only the first process writes and prints. After an interruption the same command with ``--resume`` goes on from
the last checkpoint; on a CPU, with as many threads, to the same bits.

From Python, many variants of the second stage on one first stage, with the segments encoded once::

    data = TrainingData(SegmentCrops(domain.train, policy, pixels=clip.pixels), domain.vocabulary)
    first = OpenDASCLIP.from_pretrained("runs/one/adapter")
    features = segment_features(first, data, config)
    for variant in variants:  # a TrainConfig each
        clip = OpenDASCLIP.from_backbone("office-tiny", prompts=variant.prompts, prompt_seed=variant.seed)
        clip.visual_prompts.load_state_dict(first.visual_prompts.state_dict())
        train_stage(clip, data, variant, "text", negatives=negatives, features=features)
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from opendas_plugin import methods
from opendas_plugin.errors import ConfigError, TrainingError
from opendas_plugin.methods import Stage
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.checkpoint import backbone_sha256
from opendas_plugin.model.tower import TowerName
from opendas_plugin.negatives.database import NegativeDatabase
from opendas_plugin.train import hold
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.distributed import World
from opendas_plugin.train.inputs import TrainingData
from opendas_plugin.train.loggers import StepLog, truncate
from opendas_plugin.train.sampling import steps_per_epoch
from opendas_plugin.train.stage import active_towers, segment_features, train_stage
from opendas_plugin.train.state import Checkpoint, Position, fingerprint, remove_leftovers
from opendas_plugin.train.trackers import Trackers

logger = logging.getLogger(__name__)

LOG = "log.jsonl"
PROMPTS, OPTIMISER = "prompts:", "optimiser:"
CACHE = "cache"
"""The milestone behind the last stage of a method that stores features."""
WITHOUT_EFFECT = ("grad_checkpointing", "checkpoint_every", "workers", "auto_crops", "tokenizer")
"""Fields that a resumed run may change; what crops were chosen is compared, and so is what a tokenizer makes."""


def train(
    clip: OpenDASCLIP,
    data: TrainingData,
    config: TrainConfig,
    output: Path,
    *,
    negatives: NegativeDatabase | None = None,
    resume: bool = False,
    facts: Mapping[str, Any] | None = None,
    milestone: Callable[[str, tuple[TowerName, ...]], None] | None = None,
    world: World | None = None,
    trackers: Trackers | None = None,
) -> None:
    """Learns the prompts of ``clip`` in all stages of the method.

    Args:
        clip: the backbone and new prompts, on the device to use.
        data: what to learn from.
        config: how.
        output: folder for ``checkpoint.safetensors`` and ``log.jsonl``.
        negatives: related names; needed where the triplet loss mines in them.
        resume: go on from the checkpoint in ``output``.
        facts: what else a resumed run must have in common with the first one, as plain JSON.
        milestone: called by the writing process as ``("before", ())`` and after each stage with its name and the towers
            whose prompts were at work; in a resumed run for the stages done earlier, too. Where the method stores
            features, at the end as ``("cache", ("visual", "text"))``.
        world: the processes that share the work.
        trackers: take the log's lines as well; begun here.

    Raises:
        ConfigError: ``output`` holds a run and ``resume`` is False, or it is a run of something else.
        TrainingError: a loss was not a finite number, or the frozen backbone has changed.
        OutputError: a file could not be written.
    """
    world = world or World()
    if min(config.batch_size, len(data.labels)) < world.size:
        raise ConfigError(f"expected at least {world.size} segments a batch, one for each process; raise batch_size")
    data.crops.require(clip.pixels)
    method = methods.get(config.method)
    stages = method.stages
    identity = _identity(clip, data, config, negatives, facts)
    checkpoint = world.broadcast(lambda: _open(output, clip, identity, resume, [stage.name for stage in stages]))
    start, log = checkpoint.position, StepLog(output / LOG, world, trackers)
    if trackers is not None and world.writes:
        ends = {"before": 0, **_ends(stages, data, config)}
        trackers.begin(ends, [*ends.values()][start.stage] + start.step)
    clip.load_state_dict(_part(checkpoint.tensors, PROMPTS), strict=False)  # the backbone is not in it

    def save(stage: int, step: int, remembered: Mapping[str, Tensor]) -> None:
        if world.writes:
            _checkpoint(clip, Position(stage, step), identity, remembered).save(output)

    def reach(name: str, towers: tuple[TowerName, ...]) -> None:
        if milestone is not None and world.writes:
            milestone(name, towers)
        world.wait()

    if config.compile and not any("visual" in stage.learns for stage in stages):
        logger.warning("compile changes nothing: %s does not learn in the image tower", config.method)
    reach("before", ())
    for number, stage in enumerate(stages):
        if number >= start.stage:
            begun = number == start.stage
            train_stage(
                clip,
                data,
                config,
                stage.name,
                negatives=negatives,
                log=log,
                save=functools.partial(save, number),
                done=start.step if begun else 0,
                remembered=_part(checkpoint.tensors, OPTIMISER) if begun else {},
                world=world,
            )
            save(number + 1, 0, {})
        reach(stage.name, active_towers(stages, number))
    if method.cache is not None:
        texts = data.vocabulary.texts(data.vocabulary.base)
        method.store(clip, segment_features(clip, data, config, world), data.labels, texts)
        reach(CACHE, ("visual", "text"))
    if backbone_sha256(clip) != clip.config.backbone_sha256:
        raise TrainingError("the frozen backbone has changed during training; this is a defect, please report it")


def _ends(stages: Sequence[Stage], data: TrainingData, config: TrainConfig) -> dict[str, int]:
    """How many steps all stages up to each have together."""
    found, total = dict[str, int](), 0
    for stage in stages:
        others = None if stage.labels else data.unlabelled
        count = len(data.labels) if others is None else len(others)
        total += steps_per_epoch(count, config.batch_size) * getattr(config, stage.name).epochs
        found[stage.name] = total
    return found


def require_empty(output: Path) -> None:
    """Checks that a new run's folder holds nothing.

    Raises:
        ConfigError: it holds something.
    """
    if output.is_dir() and any(output.iterdir()):
        raise ConfigError(f"{output} is not empty; give `resume` to go on with the run in it, or choose another folder")


def _identity(
    clip: OpenDASCLIP,
    data: TrainingData,
    config: TrainConfig,
    negatives: NegativeDatabase | None,
    facts: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What two runs must have in common for one to go on with the other, as plain JSON."""
    fields = {name: value for name, value in dataclasses.asdict(config).items() if name not in WITHOUT_EFFECT}
    if config.loss == "softmax":  # a setting that runs begun earlier do not have
        del fields["loss"]
    if not config.compile:  # likewise
        del fields["compile"]
    identity = {
        **fields,
        "crops": data.crops.policy.to_dict(),
        "backbone weights": clip.config.backbone_sha256[:12],
        "training data": fingerprint(data.crops.segments, data.vocabulary)[:12],
        "negatives": negatives.digest()[:12] if negatives else None,
        "names to hold": hold.digest(data.vocabulary, config.hold),
        **({"tokenizer": words[:12]} if (words := clip.config.tokenizer_sha256) else {}),
        **(facts or {}),
    }
    if data.unlabelled is not None:
        identity["unlabelled data"] = fingerprint(data.unlabelled.segments, data.vocabulary)[:12]
    return json.loads(json.dumps(identity))


def _open(
    output: Path, clip: OpenDASCLIP, identity: Mapping[str, Any], resume: bool, stages: Sequence[str]
) -> Checkpoint:
    """The checkpoint to go on from; in a new run the one before its first step, which it writes."""
    if not resume:
        require_empty(output)
    remove_leftovers(output)
    checkpoint = Checkpoint.load(output) if resume else None
    if checkpoint is None:
        if resume:
            logger.info("nothing to resume in %s: starting at the beginning", output)
        checkpoint = _checkpoint(clip, Position(), identity, {})
        checkpoint.save(output)
    else:
        checkpoint.require(identity, output)
        place = checkpoint.position
        where = (
            f"stage {stages[place.stage]}, step {place.step}" if place.stage < len(stages) else "the end of training"
        )
        logger.info("going on in %s from %s", output, where)
    truncate(output / LOG, checkpoint.position, stages)
    return checkpoint


def _checkpoint(
    clip: OpenDASCLIP, position: Position, identity: Mapping[str, Any], remembered: Mapping[str, Tensor]
) -> Checkpoint:
    tensors = {PROMPTS + name: tensor for name, tensor in clip.learnt_state().items()}
    tensors |= {OPTIMISER + name: tensor for name, tensor in remembered.items()}
    return Checkpoint(position, {name: tensor.detach().cpu() for name, tensor in tensors.items()}, identity)


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
