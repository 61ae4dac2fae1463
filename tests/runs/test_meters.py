"""Time and memory of a process, and what is not counted."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from opendas_plugin.runs import meters
from opendas_plugin.runs.meters import Stopwatch


def test_a_pause_does_not_count(monkeypatch) -> None:
    clock = iter([10.0, 13.0, 18.0, 20.0])  # made, paused, gone on, asked
    monkeypatch.setattr(meters.time, "monotonic", lambda: next(clock))
    watch = Stopwatch()
    with watch.paused():
        pass
    assert watch.seconds == 5.0


@pytest.mark.skipif(sys.platform != "linux", reason="a process's memory is known on Linux alone")
def test_the_peak_is_that_of_what_is_measured() -> None:
    code = """
        import torch
        from opendas_plugin.runs.meters import Meter

        meter = Meter(torch.device("cpu"))
        with meter.paused():
            large = torch.ones(200, 2**20 // 4)  # 200 MB
            del large
        with meter.paused():
            print(meter.peak)
        large = torch.ones(300, 2**20 // 4)
        del large
        with meter.paused():
            print(meter.peak)
    """  # in a process of its own: what other tests have left in memory shrinks when it likes
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    without, with_large = map(float, done.stdout.split())
    assert without > 50 and without + 250 < with_large < without + 350
