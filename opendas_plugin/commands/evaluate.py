"""``evaluate.py``: scores of named segments, of predicted class maps and of predicted 3D instances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opendas_plugin.commands.common import RunRecord, parse_subcommand, run_command
from opendas_plugin.commands.evaluate_classification import Classification, classification
from opendas_plugin.commands.evaluate_instance3d import Instance3d, instance3d
from opendas_plugin.commands.evaluate_interpolation import Shares, shares
from opendas_plugin.commands.evaluate_semantic import Semantic, semantic

PROGRAM = "opendas-evaluate"
KINDS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "classification": (Classification, classification),
    "semantic": (Semantic, semantic),
    "instance3d": (Instance3d, instance3d),
    "interpolation": (Shares, shares),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(evaluate, argv)


def evaluate(argv: Sequence[str]) -> None:
    """Reads the sub-command from ``argv``, runs it and leaves ``run.json`` beside its results."""
    kinds = {name: options for name, (options, _) in KINDS.items()}
    options = parse_subcommand(kinds, argv, prog=PROGRAM, description="Scores predictions.")
    record = RunRecord(PROGRAM, argv, options)
    work = next(work for kind, work in KINDS.values() if isinstance(options, kind))
    record.write(options.output, config=work(options))
