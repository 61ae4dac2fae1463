"""What all commands share: flags from a run's settings, exit codes, and errors in one line.

A command parses its flags into a run and calls it::

    def main(argv: Sequence[str] | None = None) -> int:
        return run_command(evaluate, argv)


    def evaluate(argv: Sequence[str]) -> None:
        run = parse(Semantic, argv, prog="opendas-semantic")
        print(format_semantic_table({"": run(command_line("opendas-semantic", argv))}))
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_type_hints

import tyro

from opendas_plugin.errors import ConfigError, OpenDASError, OtherProcessError
from opendas_plugin.runs.run import INLINE, POSITIONAL, Run

OURS = ("opendas_plugin", "integrations")
DONE, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130

_LONGEST = 800  # characters of a sentence

R = TypeVar("R", bound=Run[Any])

_CONFIG = (tyro.conf.FlagCreatePairsOff,)


class UsageError(ConfigError):
    """Flags that contradict each other or have no effect; the command exits with 2, as for one that does not exist."""


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
    for ours in OURS:  # open_clip's own remarks are no concern of a user
        logging.getLogger(ours).setLevel(logging.INFO)
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
    except OtherProcessError:
        return FAILED
    except OpenDASError as error:
        _report(str(error), arguments)
        return FAILED
    except Exception as error:
        _report(_of_the_machine(error) or _unexpected(error), arguments)
        return FAILED
    return DONE


def parse(kind: type[R], argv: Sequence[str], *, prog: str, default: R | None = None) -> R:
    """Reads a run from flags, and looks whether they go together.

    Args:
        kind: the run; its docstring and its settings' become ``--help``.
        argv: the arguments after the program's name.
        prog: the program's name in ``--help``.
        default: a run whose settings stand in for the defaults, such as a recipe's.

    Raises:
        SystemExit: with 0 after ``--help`` and 2 on bad usage, which is explained on stderr.
        UsageError: flags that contradict each other, or have no effect.
    """
    flags = _with_debug(kind)
    start = None if default is None else flags(**_settings(default))
    found: R = tyro.cli(flags, args=list(argv), prog=prog, config=_CONFIG, **({"default": start} if start else {}))
    return _checked(kind, found, argv)


def parse_subcommand(kinds: Mapping[str, type[Run[Any]]], argv: Sequence[str], *, prog: str, description: str) -> Any:
    """Reads one of several runs; the first argument is its key in ``kinds``. Otherwise as :func:`parse`."""
    by_flags: dict[str, Any] = {name: _with_debug(kind) for name, kind in kinds.items()}
    found = tyro.extras.subcommand_cli_from_dict(
        by_flags, args=list(argv), prog=prog, description=description, config=_CONFIG
    )
    name = next(name for name, flags in by_flags.items() if type(found) is flags)
    return _checked(kinds[name], found, argv)


def command_line(prog: str, argv: Sequence[str]) -> str:
    """The command as one would type it, for ``run.json``."""
    return shlex.join([prog, *argv])


def say_once() -> None:
    """Of several processes that torchrun started, lets the first one alone log."""
    if os.environ.get("RANK", "0") != "0":
        for ours in OURS:
            logging.getLogger(ours).setLevel(logging.ERROR)


def as_flags(message: str) -> str:
    """A message of a run, which names settings in backticks, with the flags in their place."""
    return re.sub(r"`([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)`", lambda found: "--" + found[1].replace("_", "-"), message)


def _checked(kind: type[R], found: Any, argv: Sequence[str]) -> R:
    run = kind(**{name: value for name, value in _settings(found).items() if name != "debug"})
    given = {re.split(r"[=.]", argument[2:])[0].replace("-", "_") for argument in argv if argument.startswith("--")}
    try:
        run.validate(given)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    return run


def _with_debug(kind: type[R]) -> Any:
    """The run's dataclass with ``--debug``, and with the fields of its inline settings as flags of their own."""
    debug = Annotated[bool, tyro.conf.arg(help="Show the traceback of an error.")]
    fields: list[Any] = [("debug", debug, dataclasses.field(default=False, kw_only=True))]
    hints = get_type_hints(kind)
    for own in dataclasses.fields(kind):
        if own.metadata == INLINE:
            inline: Any = Annotated[(hints[own.name], tyro.conf.arg(name=""))]
            fields.append((own.name, inline, dataclasses.field(default_factory=own.default_factory, kw_only=True)))
        if own.metadata == POSITIONAL:
            positional: Any = Annotated[(hints[own.name], tyro.conf.Positional)]
            fields.append((own.name, positional, dataclasses.field()))
    about = {"__doc__": kind.__doc__}
    return dataclasses.make_dataclass(kind.__name__, fields, bases=(kind,), frozen=True, namespace=about)


def _settings(run: Any) -> dict[str, Any]:
    return {field.name: getattr(run, field.name) for field in dataclasses.fields(run)}


def _of_the_machine(error: Exception) -> str | None:
    """What a full memory, or a file or a name that the system refuses, is in a sentence; None where it is neither."""
    if isinstance(error, MemoryError) or re.search("out of memory|can't allocate memory", str(error)):
        return "there is not enough memory for this; take smaller inputs, a smaller batch, or a larger machine"
    if isinstance(error, OSError) and error.filename is not None:
        return (
            f"{error.filename} cannot be used ({error.strerror}); check the path, what lies there, and who may read it"
        )
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object[:60]!r} is no text that can be written ({error.reason}); correct this name in the input"
    if "embedded null" in str(error):
        return "a path in the input holds a zero byte; correct the file that names it"
    if "Symlink loop" in str(error):
        return f"links lead in a circle ({error}); remove them"
    return None


def _unexpected(error: Exception) -> str:
    """A defect of ours: it is said in one line all the same."""
    return f"{type(error).__name__}: {error} (unexpected; run again with --debug for the traceback)"


def _report(message: str, arguments: Sequence[str]) -> None:
    if "--debug" in arguments:
        traceback.print_exc()
    print("error: " + _shown(" ".join(as_flags(message).split())), file=sys.stderr)


def _shown(message: str) -> str:
    """A message as a terminal may show it: what came in it can be long, or hold codes that move the cursor."""
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in message)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 200]} ... {shown[-200:]}"
