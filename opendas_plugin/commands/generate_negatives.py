"""``opendas-negatives``: five related names for every training class, to read, edit and train with."""

from __future__ import annotations

from collections.abc import Sequence

from opendas_plugin.commands.common import as_flags, command_line, parse, run_command
from opendas_plugin.negatives.database import describe_leaks
from opendas_plugin.runs.negatives import GenerateNegatives
from opendas_plugin.vocabulary import Vocabulary

PROGRAM = "opendas-negatives"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(generate_negatives, argv)


def generate_negatives(argv: Sequence[str]) -> None:
    """Makes the database and says what in it equals names that only evaluation knows."""
    run = parse(GenerateNegatives, argv, prog=PROGRAM)
    database, vocabulary = run(command_line(PROGRAM, argv)), Vocabulary.load(run.vocabulary)
    if run.dry_run:
        print(run.requests())
        return
    print(f"{run.output}: related names of {len(vocabulary.base)} classes, source {run.source}")
    if leaks := database.leaks(vocabulary):
        print(as_flags(describe_leaks(leaks)))
