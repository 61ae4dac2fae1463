"""What training and scoring cost on this device, measured on a few steps with random pixels before anything starts."""

from __future__ import annotations

import gc
import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from opendas_plugin import methods
from opendas_plugin.data.loader import SegmentCrops
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import ConfigError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.naming import RANDOM
from opendas_plugin.runs.meters import Meter
from opendas_plugin.runs.reproduce.tiers import Weights
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.inputs import TrainingData
from opendas_plugin.train.recipe import read_recipe
from opendas_plugin.train.run import train
from opendas_plugin.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

LONG = 10.0
"""Seconds of a batch beyond which it is not timed again without what a run costs once."""


@dataclass(frozen=True)
class Pace:
    """What a method costs on a backbone.

    Args:
        seconds: of a batch, through one epoch of each stage.
        epochs: of the longest stage.
        batch: segments in it.
        gib: peak of the memory, the device's on a GPU, else the process's; None: not known.
        values: that are learnt.
    """

    seconds: float
    epochs: int
    batch: int
    gib: float | None
    values: int

    def hours(self, segments: int) -> float:
        """Of a training on so many segments."""
        return self.seconds * self.epochs * max(1, segments // self.batch) / 3600


def crops_a_second(weights: Weights, device: torch.device, batch: int = 64) -> float:
    """How many crops the visual tower encodes in a second, in batches as in scoring; reading pictures is apart."""
    clip = _build(weights, device)
    pixels = torch.randn(batch, 3, clip.image_size, clip.image_size, device=device)
    spent = []
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        for _ in range(2):
            _wait(device)
            begin = time.perf_counter()
            clip.encode_image(pixels)
            _wait(device)
            spent.append(time.perf_counter() - begin)
            if spent[0] > LONG:
                break
    return batch / spent[-1]


def pace(weights: Weights, method: str, names: int, recipe: Path, device: torch.device) -> Pace | None:
    """Trains a method on a few batches of made-up segments; None: it learns nothing.

    Args:
        weights: the backbone; a tag's architecture gets random weights, which are as fast.
        method: how to learn.
        names: how many names compete, which the text tower's part depends on.
        recipe: its recipe.
        device: where.

    Raises:
        ConfigError: not even one batch fits into the memory; the message says how many segments do.
    """
    stages = methods.get(method).stages
    if not stages:
        return None
    config = _short(read_recipe(recipe, method), weights, method)
    epochs = max(getattr(read_recipe(recipe, method), stage.name).epochs for stage in stages)
    try:
        first, gib, values = _train(config, 1, names, device)
        second = first if first > LONG else _train(config, 3, names, device)[0]
        fits = True
    except (RuntimeError, MemoryError) as error:
        if "out of memory" not in str(error) and not isinstance(error, MemoryError):
            raise
        fits = False  # the error's frames hold the memory that smaller batches are to be tried in
    if not fits:
        _free(device)
        raise ConfigError(_too_large(config, method, names, device))
    seconds = first if second is first else max((second - first) / 2, 1e-4)
    return Pace(seconds, epochs, config.batch_size, gib, values)


def fitting_batch(peaks: Sequence[tuple[int, float]], free: float) -> int:
    """The largest batch that fits, by the peaks of two smaller ones; memory grows linearly with the batch.

    Args:
        peaks: (batch, GiB) of two batches, the smaller one first.
        free: GiB.

    Returns:
        0: none fits.
    """
    (small, low), (large, high) = peaks
    each = (high - low) / (large - small)
    return small if each <= 0 else max(0, int((free - (low - small * each)) / each))


def _too_large(config: TrainConfig, method: str, names: int, device: torch.device) -> str:
    batch, fits = config.batch_size, 0
    peaks: list[tuple[int, float]] = []
    for smaller in (1, 2):
        try:
            _, gib, _ = _train(replace(config, batch_size=smaller), 1, names, device)
            peaks.append((smaller, gib or 0.0))
            fits = smaller
        except (RuntimeError, MemoryError):
            break
        _free(device)
    if len(peaks) == 2 and device.type == "cuda":
        fits = max(fits, min(batch - 1, fitting_batch(peaks, torch.cuda.mem_get_info(device)[1] / 2**30 * 0.95)))
    name = Path(config.backbone).stem
    if not fits:
        return f"{device} has too little memory for {method} on {name}, even a segment at a time; take a larger one"
    return (
        f"{device} has too little memory for {method} on {name} with {batch} segments a step; give `batch_size` "
        f"{fits}, which fits"
    )


def _train(config: TrainConfig, batches: int, names: int, device: torch.device) -> tuple[float, float | None, int]:
    """Seconds, peak in GiB, and values learnt of a training of so many batches an epoch."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
        words = [f"thing {number}" for number in range(max(2, names))]
        mask = np.ones((64, 64), bool)
        segments = [Segment.from_mask(path, mask, words[n % len(words)]) for n in range(batches * config.batch_size)]
        clip = OpenDASCLIP.from_backbone(
            config.backbone, config.pretrained, prompts=config.prompts, weights=config.weights, device=device
        )
        crops = SegmentCrops(segments, config.crops.at(clip.image_size), pixels=clip.pixels)
        meter = Meter(device)
        train(clip, TrainingData(crops, Vocabulary(tuple(words))), config, Path(folder) / "run")
        _wait(device)
        seconds = meter.seconds
        with meter.paused():
            gib = meter.peak / 1024
        values = sum(tensor.numel() for tensor in clip.learnt_state().values())
    return seconds, gib if gib == gib else None, values


def _short(config: TrainConfig, weights: Weights, method: str) -> TrainConfig:
    """The recipe with one epoch, on a backbone of random weights, and without related names, which cost as much."""
    name, pretrained = _untrained(weights)
    stages = {stage.name: replace(getattr(config, stage.name), epochs=1) for stage in methods.get(method).stages}
    return replace(
        config, backbone=name, pretrained=pretrained, auto_crops=False, workers=0, checkpoint_every=10**6,
        triplet=replace(config.triplet, mining="training"), regulation=replace(config.regulation, average_epoch=None),
        **stages,
    )  # fmt: skip


def _build(weights: Weights, device: torch.device) -> OpenDASCLIP:
    return OpenDASCLIP.from_backbone(*_untrained(weights), device=device)


def _untrained(weights: Weights) -> Weights:
    name, pretrained = weights
    return (name, None) if pretrained is None else (name, RANDOM)


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
