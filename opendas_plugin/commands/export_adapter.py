"""``opendas-export``: adapters and backbones in the forms that other programs read."""

from __future__ import annotations

from collections.abc import Sequence

from opendas_plugin.commands.common import command_line, parse, run_command
from opendas_plugin.runs.exports import Export

PROGRAM = "opendas-export"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(export, argv)


def export(argv: Sequence[str]) -> None:
    """Exports as the flags say."""
    run = parse(Export, argv, prog=PROGRAM)
    print(f"wrote {run(command_line(PROGRAM, argv))}")
