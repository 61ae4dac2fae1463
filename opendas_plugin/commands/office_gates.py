"""``python -m opendas_plugin.commands.office_gates``: whether a tiny CLIP passes the gates."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from opendas_plugin.commands.common import command_line, parse, run_command
from opendas_plugin.runs.office_gates import OfficeGates

PROGRAM = "python -m opendas_plugin.commands.office_gates"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(office_gates, argv)


def office_gates(argv: Sequence[str]) -> None:
    """Measures and logs the gates; one that is missed is an error that names it."""
    parse(OfficeGates, argv, prog=PROGRAM)(command_line(PROGRAM, argv))


if __name__ == "__main__":
    sys.exit(main())
