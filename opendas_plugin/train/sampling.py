"""Which segments a step sees: pure functions of the seed and the position, so that a resumed run sees the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Literal

import numpy as np


class Purpose(IntEnum):
    """What random numbers are for; each purpose has its own at every position."""

    ORDER = 1
    VIEW = 2
    STEP = 3


def seed_of(purpose: Purpose, seed: int, stage: int, epoch: int, place: int = 0) -> int:
    """A 63-bit seed for a position in a run; other positions have unrelated ones.

    Args:
        purpose: what for.
        seed: of the run.
        stage: number of the stage.
        epoch: of the stage.
        place: step or place of a segment in the epoch.
    """
    sequence = np.random.SeedSequence((purpose, seed, stage, epoch, place))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def steps_per_epoch(segments: int, batch_size: int) -> int:
    """Whole batches in an epoch; one short batch where the segments do not fill any (the rest is dropped otherwise)."""
    return max(segments // batch_size, 1)


def epoch_batches(
    labels: Sequence[int], batch_size: int, sampler: Literal["uniform", "class_balanced"], seed: int
) -> list[list[int]]:
    """The batches of an epoch as lists of segment indices.

    Args:
        labels: the class of each segment.
        batch_size: segments a batch.
        sampler: ``uniform`` shuffles the segments; ``class_balanced`` draws as many, each from a class drawn among all
            that occur, with replacement.
        seed: of this epoch.
    """
    rng = np.random.default_rng(seed)
    if sampler == "uniform":
        order = rng.permutation(len(labels))
    else:
        _, classes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
        by_class, starts = np.argsort(classes, kind="stable"), np.cumsum(counts) - counts
        drawn = rng.integers(len(counts), size=len(labels))
        order = by_class[starts[drawn] + rng.integers(counts[drawn])]
    steps = steps_per_epoch(len(labels), batch_size)
    return [order[step * batch_size : (step + 1) * batch_size].tolist() for step in range(steps)]
