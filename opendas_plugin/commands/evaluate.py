"""``opendas-evaluate``: scores of segments, class maps and 3D instances, and the gates of a tiny CLIP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opendas_plugin.commands.common import command_line, parse_subcommand, run_command, say_once
from opendas_plugin.runs.classification import Classification
from opendas_plugin.runs.instance3d import Instance3d
from opendas_plugin.runs.interpolation import METRICS, Shares
from opendas_plugin.runs.models import ModelRun
from opendas_plugin.runs.office_gates import OfficeGates
from opendas_plugin.runs.run import Run
from opendas_plugin.runs.semantic import Semantic

PROGRAM = "opendas-evaluate"
KINDS: Mapping[str, type[Run[Any]]] = {
    "classification": Classification,
    "semantic": Semantic,
    "instance3d": Instance3d,
    "interpolation": Shares,
    "office-gates": OfficeGates,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(evaluate, argv)


def evaluate(argv: Sequence[str]) -> None:
    """Reads the sub-command from ``argv``, runs it and prints the scores."""
    run = parse_subcommand(KINDS, argv, prog=PROGRAM, description="Scores predictions.")
    say_once()
    result = run(command_line(PROGRAM, argv))
    if result:  # that of the first process, where there are several
        print(describe(run, result))


def describe(run: Run[Any], result: Any) -> str:
    """The scores as a table."""
    from opendas_plugin.eval.instance_report import format_instance_table
    from opendas_plugin.eval.oracle import format_oracle
    from opendas_plugin.eval.report import align, format_table, percent
    from opendas_plugin.eval.semantic_report import format_semantic_table

    if isinstance(run, Classification):
        return format_table({row_of(run) + (", support" if run.support else ""): result})
    if isinstance(run, Semantic):
        row = str(run.protocol) if run.masks is None else row_of(run)
        return format_semantic_table({row: result})
    if isinstance(run, Instance3d):
        rows = {str(run.protocol) if run.features is None else row_of(run): result}
        return "\n".join([format_instance_table(rows), *([format_oracle(rows)] if run.oracle else [])])
    if isinstance(run, OfficeGates):
        return f"all {len(result)} gates hold"
    if not isinstance(run, Shares):
        raise TypeError(f"no table for {type(run).__name__}")
    cells = [[f"{row['share']:g}", *(percent(row[metric]) for metric in METRICS)] for row in result]
    return align([[f"share ({run.of})", *METRICS.values()], *cells])


def row_of(run: ModelRun[Any]) -> str:
    """What a row of scores is called."""
    return "adapted" if run.adapter and not run.zero_shot else "zero-shot"
