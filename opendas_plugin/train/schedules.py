"""What changes during a stage, as pure functions of the position in it."""

from __future__ import annotations

import math
from typing import Literal

RateSchedule = Literal["cosine", "constant", "cosine_steps"]
WeightSchedule = Literal["iteration", "epoch", "constant"]


def learning_rate(
    epoch: int, *, epochs: int, base: float, warmup: float, warmup_epochs: int, schedule: RateSchedule = "cosine"
) -> float:
    """The learning rate of one epoch: constant through the warm-up, then ``base`` or its cosine.

    The cosine is Dassl's, which CoOp and MaPLe train with: it starts at ``base`` after the warm-up, has the period of
    all ``epochs`` and so never reaches zero. For 5 epochs at 0.0025: 1e-5, 2.5e-3, 2.261e-3, 1.636e-3, 8.64e-4.

    Args:
        epoch: from 0.
        epochs: of the stage, those of the warm-up included.
        base: the rate that the warm-up leads to.
        warmup: the rate of the warm-up.
        warmup_epochs: how many epochs it takes.
        schedule: ``cosine`` or ``constant`` after the warm-up.
    """
    if epoch < warmup_epochs:
        return warmup
    if schedule == "constant":
        return base
    return base * (1 + math.cos(math.pi * (epoch - warmup_epochs) / epochs)) / 2


def rate_by_step(step: int, *, steps: int, base: float, warmup_steps: int = 0) -> float:
    """The learning rate of one step: linear up to ``base``, then a cosine to zero (WiSE-FT's schedule).

    Args:
        step: from 0.
        steps: of the stage, those of the warm-up included.
        base: the rate that the warm-up leads to.
        warmup_steps: how many steps it takes, at most half of all.
    """
    warmup = min(warmup_steps, steps // 2)
    if step < warmup:
        return base * (step + 1) / warmup
    return base * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def epoch_shares(epochs: int, mean: float, std: float) -> list[float]:
    """What each epoch counts in a Gaussian average over a stage; the sum is 1 (PromptSRC).

    Args:
        epochs: of the stage.
        mean: the epoch, from 1, that counts most; a later one than the last means the last.
        std: in epochs.
    """
    heights = [math.exp(-(((epoch - min(mean, epochs)) / std) ** 2) / 2) for epoch in range(1, epochs + 1)]
    return [height / sum(heights) for height in heights]


def triplet_weight(
    step: int, *, steps_per_epoch: int, epochs: int, start: float, end: float, schedule: WeightSchedule = "iteration"
) -> float:
    """The weight lambda of the triplet loss, which grows linearly from the first to the last step or epoch of a stage.

    Args:
        step: from 0, counted through the stage.
        steps_per_epoch: of the stage.
        epochs: of the stage.
        start: the weight at the first step; ``constant`` stays there.
        end: the weight at the last step (``iteration``) or in the last epoch (``epoch``).
        schedule: what the weight grows with.
    """
    if schedule == "constant":
        return start
    position, last = step, steps_per_epoch * epochs - 1
    if schedule == "epoch":
        position, last = step // steps_per_epoch, epochs - 1
    return start + (end - start) * position / max(last, 1)
