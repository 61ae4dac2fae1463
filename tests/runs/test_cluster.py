"""Runs of a comparison handed to submitit: done like others, and refused where there is no cluster."""

from __future__ import annotations

import functools
import logging
import shutil

import pytest

from opendas_plugin.commands.compare import main
from opendas_plugin.errors import TrainingError
from opendas_plugin.runs.cluster import Cluster
from opendas_plugin.runs.processes import Task
from tests.commands.test_compare import RECIPE

pytest.importorskip("submitit")


@pytest.fixture
def flags(domain, tmp_path):
    (tmp_path / "quick.yaml").write_text(RECIPE)
    flags = ["--data", domain, "--recipe", tmp_path / "quick.yaml", "--seeds", "1", "--device", "cpu", "--methods"]
    yield [*map(str, flags), "zero_shot", "vpt"]
    logging.getLogger("opendas_plugin").setLevel(logging.NOTSET)  # a run in this process makes it silent


def results(output):
    """The files that no time and no memory is in."""
    paths = [*output.glob("*.csv"), *output.rglob("predictions.jsonl"), *output.rglob("adapter.safetensors")]
    costs = {"runs.csv", "table1.csv", "table2.csv"}
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in paths if path.name not in costs}


def test_runs_in_this_process_are_done_for_later_calls_too(flags, tmp_path, monkeypatch):
    out = ["--output", str(tmp_path / "out")]
    assert main([*flags, *out, "--submitit", "debug", "--submitit-folder", str(tmp_path / "logs")]) == 0
    first = results(tmp_path / "out")
    assert {"differences.csv", "runs/vpt/seed0/after/predictions.jsonl"} <= first.keys()
    monkeypatch.setattr("opendas_plugin.runs.comparison_runs.run_one", None)  # nothing is left to do
    assert main([*flags, *out]) == 0
    assert results(tmp_path / "out") == first


@pytest.mark.slow
def test_submitits_processes_leave_what_our_own_leave(flags, tmp_path):
    for name, more in (("ours", ()), ("theirs", ("--submitit", "local", "--submitit-options", "timeout_min=30"))):
        assert main([*flags, "--output", str(tmp_path / name), "--jobs", "2", *more]) == 0
    assert results(tmp_path / "ours") == results(tmp_path / "theirs")


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (("--submitit", "slurm"), 1, "--submitit slurm needs Slurm's srun, which is not found here"),
        (("--submitit", "debug", "--submitit-options", "hours"), 1, "expected --submitit-options as NAME=VALUE"),
        (("--submitit", "debug", "--submitit-options", "timeout_min=soon"), 1, "submitit refuses --submitit-options"),
        (("--submitit", "debug", "--submitit-options", "wings=2"), 1, "submitit refuses --submitit-options"),
        (("--submitit", "debug", "--jobs", "2"), 2, "--jobs has no effect with --submitit debug"),
        (("--submitit-folder", "logs"), 2, "--submitit-folder has no effect without --submitit"),
    ],
)
def test_what_cannot_be_handed_over_is_said_at_once(flags, tmp_path, capsys, monkeypatch, more, code, says):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert main([*flags, "--output", str(tmp_path / "out"), *more]) == code
    assert says in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out" / "runs").exists()


def test_a_task_that_fails_is_named_with_its_last_words(tmp_path):
    tasks = [Task("the run of a", functools.partial(int, "x")), Task("the run of b", (tmp_path / "b").touch)]
    with pytest.raises(TrainingError, match=r"the run of a failed \(invalid literal for int.*; its log is .*log.err"):
        Cluster("debug", tmp_path).run(tasks, 1)
    assert not (tmp_path / "b").exists()


@pytest.mark.slow
def test_a_process_that_fails_is_named_with_its_last_words(tmp_path):
    with pytest.raises(TrainingError, match=r"the run of a failed \(ValueError: invalid literal for int"):
        Cluster("local", tmp_path).run([Task("the run of a", functools.partial(int, "x"))], 1)
