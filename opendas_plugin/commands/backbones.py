"""``opendas-backbones``: which backbones there are, and which methods each takes."""

from __future__ import annotations

from collections.abc import Sequence

from opendas_plugin.commands.common import command_line, parse, run_command
from opendas_plugin.runs.backbones import Backbones, tables

PROGRAM = "opendas-backbones"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(backbones, argv)


def backbones(argv: Sequence[str]) -> None:
    """Looks at the backbones and prints the tables."""
    found = parse(Backbones, argv, prog=PROGRAM)(command_line(PROGRAM, argv))
    print("\n".join(table.markdown() for table in tables(found).values()))
