"""Two processes learn what one does, and share the work as they should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from opendas_plugin.train.distributed import World, join, started_by_torchrun

HERE = Path(__file__).parent


@pytest.mark.parametrize("flags", [[], ["--compile"]], ids=["as they are", "compiled"])
def test_two_processes_have_the_gradients_of_one_and_learn_the_same_prompts(tmp_path: Path, flags: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "two_processes.py", tmp_path, *flags],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = load_file(tmp_path / "result.safetensors")
    names = [name.removeprefix("one ") for name in results if name.startswith("one ")]
    assert len(names) == 8
    for name in names:
        one, two = results[f"one {name}"], results[f"two {name}"]
        largest = one.abs().max().item()
        assert largest > 1e-2
        assert (one - two).abs().max() <= (1e-6 * max(1, largest) if name.endswith("step 1") else 1e-5), name


@given(count=st.integers(0, 100), size=st.integers(1, 9))
def test_shares_are_everything_in_order_and_nearly_equal(count: int, size: int) -> None:
    shares = [list(range(count))[World(rank, size).share(count)] for rank in range(size)]
    assert [item for share in shares for item in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_process_is_its_own_world() -> None:
    assert not started_by_torchrun()
    with join(torch.device("cpu")) as (world, device):
        assert (world, device) == (World(), torch.device("cpu"))
    module, value = torch.nn.Linear(2, 2), torch.ones(2)
    assert world.wrap(module) is module
    assert world.writes
    assert torch.equal(world.sum(value), torch.ones(2))
    assert (world.broadcast(lambda: 3), list(world.gather(4))) == (3, [4])
    world.wait()
