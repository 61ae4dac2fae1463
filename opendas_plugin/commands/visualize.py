"""``opendas-visualize``: a free text asked of a 3D scene."""

from __future__ import annotations

from collections.abc import Sequence

from opendas_plugin.commands.common import command_line, parse_subcommand, run_command
from opendas_plugin.runs.queries import Query
from opendas_plugin.wording import counted

PROGRAM = "opendas-visualize"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(visualize, argv)


def visualize(argv: Sequence[str]) -> None:
    """Reads the sub-command from ``argv``, runs it and prints what was found."""
    run = parse_subcommand({"query": Query}, argv, prog=PROGRAM, description="Shows what an adapter sees.")
    for found in run(command_line(PROGRAM, argv)):
        print('"{}": cosines of the masks from {:.4f} to {:.4f}'.format(found.text, *found.span))
        for match in found.best:
            print(
                f"  {match.rank}. mask {match.mask:4d}   cosine {match.cosine:.4f}   {counted(match.points, 'point')}"
            )
