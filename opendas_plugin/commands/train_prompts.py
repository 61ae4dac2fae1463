"""``opendas-train``: from a prepared domain to an adapter, with the scores before, between and after the stages."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import tyro

from opendas_plugin.commands.common import UsageError, command_line, parse, run_command, say_once
from opendas_plugin.errors import ConfigError, MissingFileError
from opendas_plugin.runs.adaptation import Adapt
from opendas_plugin.train.recipe import default_recipe, read_recipe

PROGRAM = "opendas-train"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(train_prompts, argv)


def train_prompts(argv: Sequence[str]) -> None:
    """Trains and evaluates as the flags say, saves the adapter and prints the scores."""
    run = read_run(argv)
    say_once()
    result = run(command_line(PROGRAM, argv))
    if result.scores:
        from opendas_plugin.eval.report import format_table

        print(format_table(result.scores))
        last = result.folder / [*result.scores][-1]
        print(f"adapter: {result.adapter}   log: {result.folder / 'log.jsonl'}   scores: {last}")


def read_run(argv: Sequence[str]) -> Adapt:
    """Reads the flags over the recipe and the method that they name.

    Raises:
        UsageError: the recipe, or a value, cannot be used.
    """
    first = argparse.ArgumentParser(prog=PROGRAM, add_help=False, allow_abbrev=False)
    for flag in ("--recipe", "--method", "--backbone"):
        first.add_argument(flag, default=None)
    named = first.parse_known_args(list(argv))[0]
    recipe = named.recipe or default_recipe(named.backbone)
    own_crops = any(word.startswith("--crops.") or word == "--auto-crops" for word in argv)  # in place of the recipe's
    try:
        config = read_recipe(recipe, named.method, {"crops": {}} if own_crops else None)
        default = Adapt(tyro.MISSING, recipe=recipe, config=config)
        return parse(Adapt, argv, prog=PROGRAM, default=default)
    except (ConfigError, MissingFileError) as error:
        raise UsageError(str(error)) from error
