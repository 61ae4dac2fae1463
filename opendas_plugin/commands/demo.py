"""``opendas-demo``: a page on this machine that names the masks of photos, and asks a scene for things."""

from __future__ import annotations

from collections.abc import Sequence

from opendas_plugin.commands.common import command_line, parse, run_command
from opendas_plugin.runs.demonstration import Demo

PROGRAM = "opendas-demo"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(demo, argv)


def demo(argv: Sequence[str]) -> None:
    """Serves the page until it is interrupted."""
    parse(Demo, argv, prog=PROGRAM)(command_line(PROGRAM, argv))
