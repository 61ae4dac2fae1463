"""What all commands share: flags from dataclasses, exit codes, one-line errors, the device, and ``run.json``.

A command is a frozen dataclass that extends :class:`Options`, a function that takes the arguments and does the work,
and a door::

    def main(argv: Sequence[str] | None = None) -> int:
        return run_command(evaluate, argv)


    def evaluate(argv: Sequence[str]) -> None:
        options = parse(Evaluate, argv, prog="opendas-evaluate")
        record = RunRecord("opendas-evaluate", argv, options)
        ...
        record.write(options.output)
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import logging
import os
import platform
import shlex
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
import tyro

from opendas_plugin.errors import ConfigError, OpenDASError
from opendas_plugin.files import atomic_file, write_json
from opendas_plugin.version import __version__

DONE, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The flags that every command takes."""

    debug: bool = False
    """Show the traceback of an error."""


class UsageError(ConfigError):
    """Flags that contradict each other; the command exits with 2, as for a flag that does not exist."""


def run_command(command: Callable[[list[str]], None], argv: Sequence[str] | None = None) -> int:
    """Runs ``command(argv)`` and turns however it ends into an exit code and at most one line on stderr.

    Args:
        command: parses the arguments and does the work; its return means success.
        argv: the arguments after the program's name; None takes ``sys.argv[1:]``.

    Returns:
        0 done, 1 failed, 2 bad usage, 130 interrupted. With ``--debug`` a failure prints its traceback first.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("opendas_plugin").setLevel(logging.INFO)  # open_clip's own remarks are no concern of a user
    try:
        command(arguments)
        sys.stdout.flush()
    except SystemExit as exit_request:  # tyro: 0 after --help, 2 on bad usage
        return exit_request.code if isinstance(exit_request.code, int) else FAILED
    except KeyboardInterrupt:
        _report("interrupted", arguments)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, went away: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except UsageError as error:
        _report(str(error), arguments)
        return BAD_USAGE
    except OpenDASError as error:
        _report(str(error), arguments)
        return FAILED
    except Exception as error:  # a defect of ours, or the machine's: say so in one line all the same
        _report(f"{type(error).__name__}: {error} (unexpected; run again with --debug for the traceback)", arguments)
        return FAILED
    return DONE


def parse(kind: type[T], argv: Sequence[str], *, prog: str, default: T | None = None) -> T:
    """Reads a dataclass from flags.

    Args:
        kind: the dataclass; its docstring and its fields' become ``--help``.
        argv: the arguments after the program's name.
        prog: the program's name in ``--help``.
        default: an instance whose values stand in for the dataclass's defaults, such as a recipe.

    Raises:
        SystemExit: with 0 after ``--help`` and 2 on bad usage, which is explained on stderr.
    """
    config = (tyro.conf.FlagCreatePairsOff,)
    if default is None:
        return tyro.cli(kind, args=list(argv), prog=prog, config=config)
    return tyro.cli(kind, args=list(argv), prog=prog, default=default, config=config)


def parse_subcommand(
    kinds: Mapping[str, Callable[..., Any]], argv: Sequence[str], *, prog: str, description: str
) -> Any:
    """Reads one of several dataclasses; the first argument is its key in ``kinds``. Otherwise as :func:`parse`."""
    return tyro.extras.subcommand_cli_from_dict(
        dict(kinds), args=list(argv), prog=prog, description=description, config=(tyro.conf.FlagCreatePairsOff,)
    )


def pick_device(name: str) -> torch.device:
    """Turns ``--device`` into a device: ``auto`` is CUDA where there is a usable GPU and the CPU elsewhere.

    Raises:
        ConfigError: torch knows no such device, or CUDA is asked for and not there.
    """
    available = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if available else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"expected a device such as auto, cpu, cuda or cuda:1, got {name!r}") from error
    if device.type == "cuda" and (not available or (device.index or 0) >= torch.cuda.device_count()):
        count = torch.cuda.device_count()
        raise ConfigError(f"device {name!r} is not usable, torch sees {count} CUDA devices; use --device cpu")
    return device


def open_output(folder: Path) -> None:
    """Makes the output folder and writes to it once, so that hours of work do not end at a folder that refuses them.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    with atomic_file(folder / ".writable") as probe:
        probe.touch()
    (folder / ".writable").unlink()


class RunRecord:
    """What a command was run with; :meth:`write` leaves it as ``run.json`` beside the results."""

    def __init__(self, prog: str, argv: Sequence[str], config: Any, *, seed: int | None = None) -> None:
        self._start = time.monotonic()
        self._facts = {
            "command": shlex.join([prog, *argv]),
            "config": plain(config),
            "seed": seed,
            "versions": _versions(),
            "git": _git_hash(),
            "host": platform.node(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }

    def write(self, folder: str | Path, name: str = "run.json", *, config: Any = None) -> None:
        """Writes ``folder/run.json`` with the wall time, in seconds, since this record was made.

        Args:
            folder: the command's output.
            name: of the file; a command whose output is one file in a folder of others gives its record its own.
            config: what the flags turned out to mean, where that was not known at the start.
        """
        facts = self._facts if config is None else {**self._facts, "config": plain(config)}
        write_json(Path(folder) / name, {**facts, "wall_time": round(time.monotonic() - self._start, 3)})


def plain(value: Any) -> Any:
    """Turns nested dataclasses, paths, tuples and mappings into what JSON holds."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _report(message: str, arguments: Sequence[str]) -> None:
    if "--debug" in arguments:
        traceback.print_exc()
    print("error: " + " ".join(message.split()), file=sys.stderr)


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "opendas-plugin": __version__,
        "torch": str(torch.__version__),  # with its build, such as +cpu
        **{name: importlib.metadata.version(name) for name in ("torchvision", "open_clip_torch", "numpy")},
    }


def _git_hash() -> str | None:
    """The commit of the checkout that this file is tracked in, with ``-dirty`` where it was edited; None elsewhere."""
    here = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None
