"""Time and memory of a process, and what is not counted."""

from __future__ import annotations

import sys

import pytest
import torch

from opendas_plugin.runs import meters
from opendas_plugin.runs.meters import Meter, Stopwatch


def test_a_pause_does_not_count(monkeypatch) -> None:
    clock = iter([10.0, 13.0, 18.0, 20.0])  # made, paused, gone on, asked
    monkeypatch.setattr(meters.time, "monotonic", lambda: next(clock))
    watch = Stopwatch()
    with watch.paused():
        pass
    assert watch.seconds == 5.0


@pytest.mark.skipif(sys.platform != "linux", reason="a process's memory is known on Linux alone")
def test_the_peak_is_that_of_what_is_measured() -> None:
    meter = Meter(torch.device("cpu"))
    with meter.paused():
        large = torch.ones(200, 2**20 // 4)  # 200 MB
        del large
    before = meter.peak
    with meter.paused():
        pass
    assert before > 50 and meter.peak < before + 100
    large = torch.ones(300, 2**20 // 4)
    del large
    with meter.paused():
        pass
    assert meter.peak > before + 200
