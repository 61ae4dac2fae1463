"""What a training will cost on this machine, by a few steps of each of its stages."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import torch

from opendas_plugin import methods
from opendas_plugin.data.domain import Domain
from opendas_plugin.data.loader import SegmentCrops
from opendas_plugin.data.subsets import few_shots
from opendas_plugin.runs.training import build_clip
from opendas_plugin.train.config import StageConfig, TrainConfig
from opendas_plugin.train.inputs import TrainingData
from opendas_plugin.train.sampling import steps_per_epoch
from opendas_plugin.train.stage import train_stage

STAGES = ("visual", "text", "joint", "unlabelled")
STEPS = 3
"""Steps of each stage that are tried."""


@dataclass(frozen=True)
class Cost:
    """What a training costs.

    Args:
        stages: name of a stage -> steps, and seconds a step.
        forward: seconds that a segment takes to be named.
        named: segments that are named or encoded on the way.
        memory: peak of the GPU's memory in MB; None: on a CPU.
    """

    stages: dict[str, tuple[int, float]]
    forward: float
    named: int
    memory: float | None

    @property
    def seconds(self) -> float:
        """Of the whole training."""
        return sum(steps * each for steps, each in self.stages.values()) + self.forward * self.named


def measure_cost(domain: Domain, config: TrainConfig, device: torch.device, forward: float) -> Cost:
    """Takes a few steps of each stage.

    Args:
        domain: what would be learnt from.
        config: how; its crops are chosen by now.
        device: where.
        forward: seconds that a segment takes to be named.

    Raises:
        OpenDASError: the method cannot work on the backbone.
    """
    clip = build_clip(config, device)
    short = dataclasses.replace(
        config,
        batch_size=min(config.batch_size, len(domain.train)),
        triplet=dataclasses.replace(config.triplet, mining="training"),  # costs as much, and needs no related names
        **{name: dataclasses.replace(getattr(config, name), epochs=1) for name in STAGES},
    )
    tried = few_shots(domain.train, max(1, STEPS * short.batch_size // max(1, len(domain.vocabulary.base))), 0)
    tried = tried[: STEPS * short.batch_size]
    policy = config.crops.at(clip.image_size)
    data = TrainingData(SegmentCrops(tried, policy, pixels=clip.pixels), domain.vocabulary)
    found, cuda = dict[str, tuple[int, float]](), device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    steps = steps_per_epoch(len(domain.train), config.batch_size)
    for stage in methods.get(config.method).stages:
        begun = time.perf_counter()
        train_stage(clip, data, short, stage.name)
        if cuda:
            torch.cuda.synchronize(device)
        each = (time.perf_counter() - begun) / steps_per_epoch(len(tried), short.batch_size)
        settings: StageConfig = getattr(config, stage.name)
        found[stage.name] = (steps * settings.epochs, each)
    memory: Any = torch.cuda.max_memory_allocated(device) / 2**20 if cuda else None
    named = len(domain.val) * (1 + len(found))
    return Cost(found, forward, named, memory)
