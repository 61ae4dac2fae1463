"""The page of a training: its stages' curves beside the scores, the examples and the warnings of its classification."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opendas_plugin.reports.figures import curves
from opendas_plugin.reports.page import Notes, Section

POINTS = 400
"""Steps of a stage that are drawn; of more, every so many."""
_QUIET = ("stage", "epoch", "step", "triplet_weight")
_TITLES = {
    "loss": "loss",
    "accuracy": "share right",
    "lr": "learning rate",
    "cross_entropy": "cross-entropy",
    "triplet": "triplet loss",
}
_MOST = 5  # quantities


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a run's log; what a killed process wrote of its last is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return found


def curve_section(log: Sequence[Mapping[str, Any]], stages: Mapping[str, str]) -> Section:
    """The curves of each stage.

    Args:
        log: the lines of ``log.jsonl``.
        stages: name of a stage -> its title.
    """
    if not log:
        return Section("Training", (Notes(("No step was logged.",)),))
    by_stage: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for name, title in stages.items():
        lines = [line for line in log if line["stage"] == name]
        lines = lines[:: max(1, -(-len(lines) // POINTS))]
        if not lines:
            continue
        quantities = [key for key in (*_TITLES, *lines[0]) if key in lines[0] and key not in _QUIET]
        chosen = [key for key in dict.fromkeys(quantities) if isinstance(lines[0][key], int | float)][:_MOST]
        steps = [float(line["step"]) for line in lines]
        by_stage[title] = {
            _TITLES.get(key, key.replace("_", " ")): (steps, [float(line[key]) for line in lines]) for key in chosen
        }
    return Section("Training", (curves(by_stage),))
