"""Curves and scores by name: what a run writes for TensorBoard, CSV and others, also where it goes on."""

from __future__ import annotations

import csv
import json
import signal
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from opendas_plugin.commands.train_prompts import main
from opendas_plugin.errors import TrainingError
from opendas_plugin.train import stage
from tests.commands.test_train_prompts import flags  # noqa: F401 (a fixture)

ROOT = Path(__file__).parents[2]


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> its steps and values, as TensorBoard shows them."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(folder), {"scalars": 0})
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_the_csv_has_every_step_and_the_scores_of_every_milestone(flags, tmp_path):  # noqa: F811
    assert main([*flags, "--log-to", "csv"]) == 0
    run = tmp_path / "run"
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    rows = read_csv(run / "log.csv")
    assert [(row["stage"], int(row["step"]), float(row["loss"])) for row in rows] == [
        (line["stage"], line["step"], line["loss"]) for line in log
    ]
    scores = read_csv(run / "scores.csv")
    assert [int(row["step"]) for row in scores] == [0, 6, 12]
    after = json.loads((run / "after" / "summary.json").read_text())
    assert float(scores[-1]["acc"]) == pytest.approx(after["acc"])


def test_a_resumed_run_goes_on_in_the_same_curves_without_a_step_twice(flags, tmp_path, monkeypatch):  # noqa: F811
    pytest.importorskip("tensorboard")
    run, given = tmp_path / "run", [*flags, "--log-to", "tensorboard", "csv", "--checkpoint-every", "4"]
    whole, steps = stage.run_steps, []

    def killed(*arguments, **settings):
        if arguments[0] == "text":
            raise TrainingError("killed")
        steps.append(1)
        whole(*arguments, **settings)

    monkeypatch.setattr(stage, "run_steps", killed)
    assert main(given) == 1
    known = json.loads((run / "tracked.json").read_text())
    monkeypatch.setattr(stage, "run_steps", whole)
    assert main([*given, "--resume"]) == 0
    assert json.loads((run / "tracked.json").read_text()) == known
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    found = events(run / "tensorboard")
    for name, offset in (("visual", 0), ("text", 6)):
        lines = [line for line in log if line["stage"] == name]
        assert [step for step, _ in found[f"{name}/loss"]] == [offset + line["step"] for line in lines]
        assert [v for _, v in found[f"{name}/loss"]] == pytest.approx([line["loss"] for line in lines], rel=1e-6)
    assert {step for step, _ in found["scores/w_f1"]} == {0, 6, 12}
    assert [int(row["step"]) for row in read_csv(run / "scores.csv")] == [0, 6, 12]


def test_a_tracker_that_is_not_there_is_said_before_anything_is_done(flags, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert main([*flags, "--log-to", "wandb"]) in (1, 2)
    assert "pip install wandb" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main([*flags, "--log-to", "paper"]) == 2


class FakeWandB:
    """What of W&B is called, with what it was told."""

    class Settings(dict):
        pass

    class api:  # noqa: N801 (W&B's own)
        api_key = None

    def __init__(self) -> None:
        self.inits: list[dict] = []
        self.logged: list[tuple[int, dict]] = []
        self.ended: list[int] = []

    def init(self, **told):
        self.inits.append(told)
        return self

    def log(self, values, step):
        self.logged.append((step, values))

    def finish(self, exit_code):
        self.ended.append(exit_code)


def test_wandb_is_offline_unless_someone_has_logged_in(flags, tmp_path, monkeypatch):  # noqa: F811
    fake = FakeWandB()
    fake.__spec__ = object()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr("opendas_plugin.train.trackers._importable", lambda package: True)
    for key in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT"):
        monkeypatch.delenv(key, raising=False)
    assert main([*flags, "--log-to", "wandb"]) == 0
    (told,) = fake.inits
    assert told["mode"] == "offline" and told["id"] == json.loads((tmp_path / "run" / "tracked.json").read_text())["id"]
    assert [step for step, values in fake.logged if "visual/loss" in values] == list(range(1, 7))
    assert fake.ended == [0]


def killed_and_gone_on_with(flags, *trackers):  # noqa: F811
    """A run that is killed four steps into its second stage, before a checkpoint says so, and goes on."""
    given = [*flags, "--log-to", *trackers, "--checkpoint-every", "4"]
    for lines, more, code in (("10", [], -signal.SIGKILL), ("0", ["--resume"], 0)):
        command = [sys.executable, "-m", "tests.train.killed_run", lines, *given, *more]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr


@pytest.mark.slow
def test_trackio_has_each_step_of_a_killed_run_once(flags, tmp_path, monkeypatch):  # noqa: F811
    pytest.importorskip("trackio")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    killed_and_gone_on_with(flags, "trackio")
    with sqlite3.connect(tmp_path / "trackio" / "opendas.db") as database:
        rows = database.execute("select run_name, step, metrics from metrics order by id").fetchall()
    assert len({name for name, _, _ in rows}) == 1
    found = [(step, json.loads(values)) for _, step, values in rows]
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [(step, values.get("visual/loss") or values.get("text/loss")) for step, values in found]
    expected = [(step, pytest.approx(line["loss"], rel=1e-6)) for step, line in enumerate(log, 1)]
    assert [one for one in losses if one[1] is not None] == expected
    assert [step for step, values in found if "scores/w_f1" in values] == [0, 6, 12]


def wandb_steps(path: Path) -> tuple[str, dict[int, float]]:
    """The run's id in a file of W&B (LevelDB's log format behind seven bytes), and the loss of each step."""
    from wandb.proto import wandb_internal_pb2

    data, place, identity, losses = path.read_bytes(), 7, "", {}
    while place + 7 <= len(data):
        length, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        assert kind == 1, "one block holds a run so short"
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data[place + 7 : place + 7 + length])
        place += 7 + length
        identity = record.run.run_id or identity
        values = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
        if loss := values.get("visual/loss") or values.get("text/loss"):
            losses[int(values["_step"])] = float(loss)
    return identity, losses


@pytest.mark.slow
def test_wandb_has_the_files_of_both_parts_of_a_killed_run_under_one_id(flags, tmp_path, monkeypatch):  # noqa: F811
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    killed_and_gone_on_with(flags, "wandb")
    files = sorted((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime)
    known = json.loads((tmp_path / "run" / "tracked.json").read_text())["id"]
    (first, _), (second, losses) = map(wandb_steps, files)
    assert first == second == known
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    expected = {step: pytest.approx(line["loss"], rel=1e-6) for step, line in enumerate(log, 1)}
    assert losses == {step: loss for step, loss in expected.items() if step > 6}, "from the last checkpoint on"
