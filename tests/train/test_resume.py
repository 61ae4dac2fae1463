"""SIGKILL at any moment, then --resume: the adapter and the log of a run that was left alone, to the last bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MOMENTS = {
    "random moments",
    "half way through a checkpoint",
    "before the rename",
    "after the rename",
    "between the stages",
    "before stage 1 is noted as done",
    "at the very first checkpoint",
}


def kill_and_resume(folder: Path, epochs: int, seed: int) -> dict:
    done = subprocess.run(
        [sys.executable, HERE / "kill_and_resume.py", folder, str(epochs), str(seed)],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_run_killed_now_and_then_and_at_the_worst_moments(tmp_path: Path) -> None:
    result = kill_and_resume(tmp_path, epochs=2, seed=0)
    assert sum(result["kills"].values()) >= 1
    assert result["equal"] == dict.fromkeys(MOMENTS, True)


@pytest.mark.slow
def test_a_run_killed_at_ten_random_moments_of_each_stage(tmp_path: Path) -> None:
    result = kill_and_resume(tmp_path, epochs=24, seed=1)
    assert result["kills"]["visual"] >= 10
    assert result["kills"]["text"] >= 10
    assert result["equal"] == dict.fromkeys(MOMENTS, True)
