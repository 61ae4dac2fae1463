"""``opendas-reproduce``: the paper's tables on real CLIPs and data, with a plan first; and several people's joined."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence

from opendas_plugin.commands.common import UsageError, command_line, parse, run_command
from opendas_plugin.runs.reproduce.merging import Merge
from opendas_plugin.runs.reproduce.run import Reproduce, UnconfirmedError

PROGRAM = "opendas-reproduce"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(reproduce, argv)


def reproduce(argv: Sequence[str]) -> None:
    """Shows the plan and asks, does what is not done yet, and prints the page; or joins several reproductions."""
    line = command_line(PROGRAM, argv)
    if any(word == "--merge" or word.startswith("--merge=") for word in argv):
        print(parse(Merge, argv, prog=PROGRAM)(line))
        return
    run = parse(Reproduce, argv, prog=PROGRAM)
    from opendas_plugin.runs.reproduce.page import markdown  # what is large comes behind the flags

    try:
        document = run(line)
    except UnconfirmedError as unconfirmed:
        print(unconfirmed.plan.markdown())
        if not _is_wanted():
            raise UsageError(str(unconfirmed)) from unconfirmed
        document = dataclasses.replace(run, yes=True)(line)
    print(markdown(document))


def _is_wanted() -> bool:
    """Whether somebody sits at the terminal and says yes."""
    if not sys.stdin.isatty():
        return False
    print("start? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
