"""What a run costs: its time, and the peak of its memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import torch


class Stopwatch:
    """Seconds since it was made, less those that it was paused."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """So far."""
        return time.monotonic() - self._start

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Does not count the time of the ``with`` block."""
        begin = time.monotonic()
        yield
        self._start += time.monotonic() - begin


class Meter(Stopwatch):
    """The time of a process, and the peak of its memory in MB: a GPU's own, or all of the process on a CPU.

    A process's memory is known on Linux alone; elsewhere the peak is not a number.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.peak = 0.0
        self._cuda = device if device.type == "cuda" else None
        self._reset()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Counts neither time nor memory of the ``with`` block."""
        self.peak = max(self._read(), self.peak)  # in this order: not a number stays
        with super().paused():
            yield
        self._reset()

    def _reset(self) -> None:
        if self._cuda is not None:
            torch.cuda.reset_peak_memory_stats(self._cuda)
        else:
            with contextlib.suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")

    def _read(self) -> float:
        if self._cuda is not None:
            return torch.cuda.max_memory_allocated(self._cuda) / 2**20
        try:
            lines = Path("/proc/self/status").read_text("utf-8").splitlines()
        except OSError:
            return float("nan")
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
