"""``opendas-compare``: the paper's tables and figures on any domain."""

from __future__ import annotations

from collections.abc import Sequence

from opendas_plugin.commands.common import command_line, parse, run_command
from opendas_plugin.runs.comparison import Compare

PROGRAM = "opendas-compare"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(compare, argv)


def compare(argv: Sequence[str]) -> None:
    """Trains what is not trained yet, writes tables and figures, and prints the tables."""
    tables = parse(Compare, argv, prog=PROGRAM)(command_line(PROGRAM, argv))
    print("\n".join(table.markdown() for table in tables.values()))
