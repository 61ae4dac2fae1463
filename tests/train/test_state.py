"""Checkpoints and the log beside them: whole or not at all, whatever the disk does."""

from __future__ import annotations

import contextlib
import json
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from opendas_plugin.errors import ConfigError, DataError, OutputError, TrainingError
from opendas_plugin.train.distributed import World
from opendas_plugin.train.loggers import StepLog, truncate
from opendas_plugin.train.state import NAME, Checkpoint, Position, remove_leftovers


def checkpoint(step: int, size: int = 3, **identity) -> Checkpoint:
    return Checkpoint(Position(1, step), {"prompts:a": torch.full((size,), float(step))}, {"seed": 0, **identity})


@contextlib.contextmanager
def disk_with(space: int) -> Iterator[None]:
    """No file may grow beyond ``space`` bytes, which looks to the writer like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (space, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    assert Checkpoint.load(tmp_path) is None
    checkpoint(7, nested={"lr": 0.1, "scale": [0.08, 1.0]}).save(tmp_path)
    loaded = Checkpoint.load(tmp_path)
    assert loaded.position == Position(1, 7)
    assert loaded.identity == {"seed": 0, "nested": {"lr": 0.1, "scale": [0.08, 1.0]}}
    assert torch.equal(loaded.tensors["prompts:a"], torch.full((3,), 7.0))
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    checkpoint(1).save(tmp_path)
    with disk_with(1000), pytest.raises(OutputError, match=r"could not write .*checkpoint\.safetensors"):
        checkpoint(2, size=10_000).save(tmp_path)
    assert Checkpoint.load(tmp_path).position == Position(1, 1)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / f".{NAME}.x1y2.tmp").write_bytes(b"half")
    (tmp_path / "mine.tmp").write_bytes(b"")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.tmp"]


@pytest.mark.parametrize(
    ("now", "message"),
    [
        ({"seed": 1}, "seed = 0, now it is 1"),
        ({"seed": 0, "crops": {"size": 32}}, r"crops\.size = None, now it is 32"),
        ({}, "seed = 0, now it is None"),
    ],
)
def test_another_run_is_refused_by_the_field_that_differs(tmp_path: Path, now: dict, message: str) -> None:
    checkpoint(1).require({"seed": 0}, tmp_path)
    with pytest.raises(ConfigError, match=message):
        checkpoint(1).require(now, tmp_path)


@pytest.mark.parametrize("content", [b"", b"rubbish", json.dumps({"a": 1}).encode()])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        Checkpoint.load(tmp_path)


def log_of(path: Path | None, losses: list[float]) -> StepLog:
    log = StepLog(path, World())
    for step, loss in enumerate(losses, 1):
        log.add(
            {"stage": "text", "epoch": 1 + step // 4, "step": step}, ("loss", "accuracy"), torch.tensor([loss, 0.5])
        )
    return log


def steps(path: Path) -> list[tuple[str, int]]:
    return [(line["stage"], line["step"]) for line in map(json.loads, path.read_text().splitlines())]


def test_a_log_line_has_the_position_and_the_numbers(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log.jsonl", [2.0, 1.0])
    assert log.flush() == {"stage": "text", "epoch": 1, "step": 2, "loss": 1.0, "accuracy": 0.5}
    assert log.flush() == {}
    assert steps(tmp_path / "log.jsonl") == [("text", 1), ("text", 2)]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_loss_that_is_no_number_is_named_and_not_written(tmp_path: Path, bad: float) -> None:
    with pytest.raises(TrainingError, match=rf"the loss became {bad} in stage text, epoch 2, step 4"):
        log_of(tmp_path / "log.jsonl", [1.0, 1.0, 1.0, bad, float("nan")]).flush()
    assert steps(tmp_path / "log.jsonl") == [("text", 1), ("text", 2), ("text", 3)]
    with pytest.raises(TrainingError):
        log_of(None, [bad]).flush()


def test_a_log_that_cannot_be_written_is_named() -> None:
    with pytest.raises(OutputError, match="could not write /dev/full"):
        log_of(Path("/dev/full"), [1.0]).flush()


@pytest.mark.parametrize(
    ("position", "kept"),
    [
        (Position(0, 0), []),
        (Position(0, 2), [("visual", 1), ("visual", 2)]),
        (Position(1, 0), [("visual", 1), ("visual", 2), ("visual", 3)]),
        (Position(1, 1), [("visual", 1), ("visual", 2), ("visual", 3), ("text", 1)]),
        (Position(2, 0), [("visual", 1), ("visual", 2), ("visual", 3), ("text", 1), ("text", 2)]),
    ],
)
def test_lines_after_the_checkpoint_are_removed(tmp_path: Path, position: Position, kept: list) -> None:
    path = tmp_path / "log.jsonl"
    lines = [
        {"stage": stage, "step": step}
        for stage, step in [*(("visual", s) for s in (1, 2, 3)), ("text", 1), ("text", 2)]
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"stage": "te')
    truncate(path, position, ["visual", "text"])
    assert steps(path) == kept
    truncate(tmp_path / "none.jsonl", position, ["visual", "text"])
