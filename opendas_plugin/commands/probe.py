"""``opendas-probe``: a look at prepared data before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opendas_plugin.commands.common import command_line, parse, run_command
from opendas_plugin.runs.probing import Probe
from opendas_plugin.runs.reporting import REPORT
from opendas_plugin.wording import counted

if TYPE_CHECKING:
    from opendas_plugin.eval.crop_choice import CropChoice

PROGRAM = "opendas-probe"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(probe, argv)


def _close(choice: CropChoice) -> str:
    """The crops that may be as good."""
    close = [str(policy) for policy in choice.close]
    segments = counted(choice.segments, "segment does", "segments do")
    return f"; {segments} not tell it from {', '.join(close)}" if close else ""


def probe(argv: Sequence[str]) -> None:
    """Looks at the data and prints what it found, what to do, and the verdict."""
    run = parse(Probe, argv, prog=PROGRAM)
    found = run(command_line(PROGRAM, argv))
    for one in found.advice.findings:
        print(f"{one.kind}: {one.what}; {one.todo}.")
    choice = found.choice
    print(f"crops: {choice.chosen}, {choice.accuracies[choice.chosen]:.1f}% by plain CLIP{_close(choice)}")
    print("verdict: " + " ".join(found.advice.verdict))
    page = f"   report: {found.output / REPORT}" if run.report else ""
    print(f"recipe: {found.recipe}{page}")
