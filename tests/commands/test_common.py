"""What every command promises: exit codes, one line on stderr, a traceback only on request, run.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from opendas_plugin.commands.common import UsageError, command_line, parse, run_command
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.model.devices import pick_device
from opendas_plugin.runs.record import RunRecord, plain
from opendas_plugin.runs.run import Run, function_of


@dataclass(frozen=True)
class Example(Run[int]):
    """Does nothing much."""

    data: Path
    """Where the data is."""
    batch_size: int = 16
    """Segments a step."""
    shout: bool = False
    """Only with a batch of more than one."""

    def check(self):
        if self.batch_size < 1:
            raise ConfigError(f"`batch_size` must be 1 or more, got {self.batch_size}")

    def unused(self):
        return {"shout": "with a `batch_size` of 1"} if self.batch_size == 1 else {}

    def work(self, record):
        return self.batch_size


example = function_of(Example, "example")


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
        (MemoryError(), 1, "error: there is not enough memory for this; take smaller inputs"),
        (RuntimeError("[enforce fail] can't allocate memory: 9 bytes"), 1, "error: there is not enough memory"),
        (PermissionError(13, "Permission denied", "a/b.png"), 1, "error: a/b.png cannot be used (Permission denied);"),
        (
            UnicodeEncodeError("utf-8", "door\ud800", 4, 5, "surrogates not allowed"),
            1,
            "error: 'door\\ud800' is no text",
        ),
        (ValueError("embedded null byte"), 1, "error: a path in the input holds a zero byte; correct"),
        (RuntimeError("Symlink loop from 'a'"), 1, "error: links lead in a circle"),
        (DataError(f"got {'x' * 5000}; give a name"), 1, "error: got xxx"),
        (DataError("got \x1b[2J\x07; give a name"), 1, "error: got \\x1b[2J\\x07; give a name\n"),
        (ZeroDivisionError("oops"), 1, "error: ZeroDivisionError: oops (unexpected; run again with --debug for the"),
    ],
)
def test_errors_become_an_exit_code_and_one_line(error, code, line, capsys):
    assert run_command(raising(error), []) == code
    stderr = capsys.readouterr().err
    assert stderr.startswith(line)
    assert stderr.count("\n") == 1
    assert len(stderr) < 1000 and stderr[:-1].isprintable()


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
    assert parse(Example, ["--data", "flag"], prog="example", default=recipe) == Example(Path("flag"), 4)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--batch-size", "0"], "error: --batch-size must be 1 or more, got 0\n"),
        (["--batch-size", "1", "--shout"], "error: --shout has no effect with a --batch-size of 1; leave it out\n"),
        (["--batch-size=1", "--shout"], "error: --shout has no effect with a --batch-size of 1; leave it out\n"),
    ],
)
def test_flags_that_do_not_go_together_or_have_no_effect_are_bad_usage(flags, says, capsys):
    assert run_command(lambda argv: parse(Example, argv, prog="example"), ["--data", "x", *flags]) == 2
    assert capsys.readouterr().err == says


def test_the_function_of_a_run_takes_plain_arguments_and_refuses_likewise():
    assert example("folder", batch_size=3) == example(data=Path("folder"), batch_size=3) == 3
    with pytest.raises(ConfigError, match="`batch_size` must be 1 or more"):
        example("folder", batch_size=0)
    with pytest.raises(ConfigError, match="`shout` has no effect"):
        example("folder", batch_size=1, shout=True)
    with pytest.raises(TypeError, match="colour"):
        example("folder", colour="red")


def test_run_json_tells_how_the_run_can_be_repeated(tmp_path):
    command = command_line("example", ["--data", "two words"])
    record = RunRecord(Example(Path("two words")), command=command, seed=3)
    record.write(tmp_path)
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["command"] == "example --data 'two words'"
    assert facts["config"] == {"batch_size": 16, "data": "two words", "shout": False}
    assert facts["seed"] == 3
    assert facts["versions"]["torch"] == torch.__version__
    assert {"open_clip_torch", "numpy", "opendas-plugin"} <= facts["versions"].keys()
    assert {"git", "host", "started"} <= facts.keys()
    assert facts["wall_time"] >= 0


def test_plain_values_are_what_json_holds():
    nested = {"a": (1, Path("b")), "c": [Example(data=Path("d"))], "e": torch.device("cpu")}
    assert plain(nested) == {"a": [1, "b"], "c": [{"data": "d", "batch_size": 16, "shout": False}], "e": "cpu"}


def test_device_auto_is_always_usable_and_the_rest_is_checked():
    assert pick_device("auto").type in ("cpu", "cuda")
    assert pick_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="cuda:99"):
        pick_device("cuda:99")
    with pytest.raises(ConfigError, match="expected a device"):
        pick_device("toaster")
