"""What every command promises: exit codes, one line on stderr, a traceback only on request, run.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from opendas_plugin.commands.common import Options, RunRecord, UsageError, parse, pick_device, plain, run_command
from opendas_plugin.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class Example(Options):
    """Does nothing much."""

    data: Path
    """Where the data is."""
    batch_size: int = 16
    """Segments a step."""


def raising(error):
    def command(argv):
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("two\nlines"), 1, "error: two lines\n"),
        (UsageError("either A or B"), 2, "error: either A or B\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (ZeroDivisionError("oops"), 1, "error: ZeroDivisionError: oops (unexpected; run again with --debug for the"),
    ],
)
def test_errors_become_an_exit_code_and_one_line(error, code, line, capsys):
    assert run_command(raising(error), []) == code
    stderr = capsys.readouterr().err
    assert stderr.startswith(line)
    assert stderr.count("\n") == 1


def test_debug_shows_the_traceback_before_the_line(capsys):
    assert run_command(raising(DataError("bad")), ["--debug"]) == 1
    stderr = capsys.readouterr().err
    assert stderr.startswith("Traceback")
    assert stderr.endswith("error: bad\n")


@pytest.mark.parametrize(
    ("argv", "code"),
    [(["--data", "x"], 0), (["--help"], 0), ([], 2), (["--data", "x", "--batch-size", "many"], 2), (["--dat"], 2)],
)
def test_flags_come_from_the_dataclass(argv, code, capsys):
    assert run_command(lambda argv: parse(Example, argv, prog="example"), argv) == code
    if argv == ["--help"]:
        text = capsys.readouterr().out
        assert "Segments a step. (default: 16)" in text
        assert "--debug" in text


def test_a_recipe_stands_in_for_the_defaults():
    recipe = Example(data=Path("recipe"), batch_size=4)
    options = parse(Example, ["--data", "flag"], prog="example", default=recipe)
    assert options == Example(data=Path("flag"), batch_size=4)


def test_run_json_tells_how_the_run_can_be_repeated(tmp_path):
    record = RunRecord("example", ["--data", "two words"], Example(data=Path("two words")), seed=3)
    record.write(tmp_path)
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["command"] == "example --data 'two words'"
    assert facts["config"] == {"batch_size": 16, "data": "two words", "debug": False}
    assert facts["seed"] == 3
    assert facts["versions"]["torch"] == torch.__version__
    assert {"open_clip_torch", "numpy", "opendas-plugin"} <= facts["versions"].keys()
    assert {"git", "host", "started"} <= facts.keys()
    assert facts["wall_time"] >= 0


def test_plain_values_are_what_json_holds():
    nested = {"a": (1, Path("b")), "c": [Example(data=Path("d"))], "e": torch.device("cpu")}
    assert plain(nested) == {"a": [1, "b"], "c": [{"debug": False, "data": "d", "batch_size": 16}], "e": "cpu"}


def test_device_auto_is_always_usable_and_the_rest_is_checked():
    assert pick_device("auto").type in ("cpu", "cuda")
    assert pick_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="cuda:99"):
        pick_device("cuda:99")
    with pytest.raises(ConfigError, match="expected a device"):
        pick_device("toaster")
