"""Timing rivals side by side in one run."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Timing:
    """Seconds of the repeats of one contestant."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.seconds)

    def cells(self) -> list[str]:
        """Median and spread in milliseconds, for the table."""
        low, high = min(self.seconds), max(self.seconds)
        return [f"{1000 * self.median:.1f}", f"{1000 * low:.1f} - {1000 * high:.1f}"]


def race(
    contestants: Mapping[str, Callable[[], Any]],
    *,
    repeats: int,
    device: torch.device,
    clock: Callable[[], float] | None = None,
) -> dict[str, Timing]:
    """Times each contestant ``repeats`` times, in turns, so that a change of the machine's load meets all alike.

    One untimed turn comes first: it fills caches and lets libraries choose their kernels.

    Args:
        contestants: what to time.
        repeats: timed turns.
        device: that has to be waited for.
        clock: seconds; ``time.process_time`` on a busy CPU, where it counts those that the process was given. None:
            those that passed.
    """
    read = clock or functools.partial(now, device)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(repeats + 1):
        for name, work in contestants.items():
            start = read()
            work()
            elapsed = read() - start
            if turn:
                seconds[name].append(elapsed)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def now(device: torch.device) -> float:
    """The time once ``device`` has done all that it was given, in seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def describe(device: torch.device) -> str:
    """The machine in one line: what the figures belong to."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"CPU, {torch.get_num_threads()} threads, torch {torch.__version__}"
