"""``opendas-bench``: the tables of office-bench-v2, row by row."""

from __future__ import annotations

from collections.abc import Sequence

from opendas_plugin.commands.common import command_line, parse, run_command
from opendas_plugin.runs.bench import OfficeBenchTables

PROGRAM = "opendas-bench"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(bench, argv)


def bench(argv: Sequence[str]) -> None:
    """Makes the rows that are not there yet, and prints the tables of all that are."""
    tables = parse(OfficeBenchTables, argv, prog=PROGRAM)(command_line(PROGRAM, argv))
    print("\n".join(table.markdown() for table in tables.values()))
