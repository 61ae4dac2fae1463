"""Chooses each method's settings on folds of the base names, by the same rule and as many runs for every method.

    opendas-prepare office-bench-v1 --output runs/data/office-bench-v1
    python benchmarks/tune.py --data runs/data/office-bench-v1/tune --output runs/tune --jobs 2

tune.yaml has the settings. Each is trained with one seed on a fold without a third of the base names; the best two, by
the harmonic mean of B-F1 and N-F1, on another fold too; the better mean of the two folds is chosen. What was done
before is not done again.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
import yaml

from opendas_plugin.commands.compare import main as compare
from opendas_plugin.commands.prepare_data import main as prepare
from opendas_plugin.eval.classification import harmonic_mean
from opendas_plugin.eval.comparison import METRICS
from opendas_plugin.eval.report import align
from opendas_plugin.files import write_json

FOLDS = 3
SETTINGS = Path(__file__).with_suffix(".yaml")
BOTH_FOLDS = 2
"""How many settings of a method are tried on the second fold."""


@dataclass(frozen=True)
class Options:
    """What to tune, and where."""

    data: Path
    """Domain folder whose validation part is for choosing, such as tune/ of office-bench-v1."""
    output: Path
    """Folder for folds, recipes, runs and results.json."""
    methods: tuple[str, ...] = ()
    """Which methods of the settings; default: all."""
    settings: Path = SETTINGS
    """What every recipe shares, and for each method a few settings: name -> fields."""
    jobs: int = 1
    """Runs at once."""


def write_recipes(folder: Path, common: dict[str, Any], settings: dict[str, Any]) -> dict[str, Path]:
    """A recipe file for each setting of a method."""
    folder.mkdir(parents=True, exist_ok=True)
    recipes = {name: folder / f"{name}.yaml" for name in settings}
    for name, path in recipes.items():
        path.write_text(yaml.safe_dump({**common, **settings[name]}), encoding="utf-8")
    return recipes


def scores(data: Path, output: Path, rows: Sequence[str], options: Options) -> dict[str, dict[str, float]]:
    """Trains the rows METHOD@RECIPE and returns setting -> metric -> percent.

    Raises:
        SystemExit: a run failed; the command has said why.
    """
    arguments = ["--data", str(data), "--output", str(output), "--methods", *rows, "--seeds", "1", "--pictures", "1"]
    arguments += ["--jobs", str(options.jobs), "--crop-cache", str(options.output / "crops")]
    if code := compare(arguments):
        raise SystemExit(code)
    with open(output / "runs.csv", encoding="utf-8", newline="") as file:
        table = {row["method"]: {metric: float(row[metric]) for metric in METRICS} for row in csv.DictReader(file)}
    found = {Path(row.partition("@")[2]).stem: table[f"{row.partition('@')[0]}@{Path(row).stem}"] for row in rows}
    return {name: {**row, "mean": harmonic_mean(row["b_f1"], row["n_f1"]) or 0.0} for name, row in found.items()}


def tune(method: str, common: dict[str, Any], settings: dict[str, Any], options: Options) -> dict[str, Any]:
    """Runs a method's settings and returns all scores by fold, and the choice."""
    recipes = write_recipes(options.output / "recipes" / method, common, settings)
    folds: list[dict[str, dict[str, float]]] = []
    names = list(recipes)
    for fold in range(2):
        data = options.output / f"fold{fold}"
        rows = [f"{method}@{recipes[name]}" for name in names]
        folds.append(scores(data, options.output / f"runs{fold}" / method, rows, options))
        names = sorted(names, key=lambda name: -folds[0][name]["mean"])[:BOTH_FOLDS]
    return {"folds": folds, "chosen": max(names, key=lambda name: folds[0][name]["mean"] + folds[1][name]["mean"])}


def main(argv: Sequence[str] | None = None) -> None:
    """Tunes the methods, prints a table of every run and writes results.json."""
    options = tyro.cli(Options, args=argv)
    content = yaml.safe_load(options.settings.read_text(encoding="utf-8"))
    common, methods = content["common"], content["methods"]
    for fold in range(2):
        arguments = ["--data", str(options.data), "--folds", str(FOLDS), "--fold", str(fold)]
        if prepare(["fold", *arguments, "--output", str(options.output / f"fold{fold}")]):
            raise SystemExit(1)
    rows = [["method", "setting", *(f"{fold}: {title}" for fold in "AB" for title in METRICS.values()), "chosen"]]
    results = {}
    for method in options.methods or methods:
        found = results[method] = tune(method, common, methods[method], options)
        write_json(options.output / "results.json", results)
        for name in found["folds"][0]:
            cells = [f"{fold[name][m]:.1f}" if name in fold else "" for fold in found["folds"] for m in METRICS]
            rows.append([method, name, *cells, "yes" if name == found["chosen"] else ""])
    print(align(rows))


if __name__ == "__main__":
    main()
