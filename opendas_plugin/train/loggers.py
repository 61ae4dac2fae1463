"""The record of a run: a line of JSON a step, and the check that every loss was a number."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from opendas_plugin.errors import OutputError, TrainingError
from opendas_plugin.files import write_text
from opendas_plugin.train.distributed import World
from opendas_plugin.train.state import Position
from opendas_plugin.train.trackers import Trackers


class StepLog:
    """Collects what the steps of a run report and writes it in bunches, so that no step waits for a GPU.

    Args:
        path: the file, appended to; None writes nothing, but still checks.
        world: whose steps these are; numbers are summed over its processes.
        trackers: take the lines as well, in the process that writes.
    """

    def __init__(self, path: Path | None, world: World, trackers: Trackers | None = None) -> None:
        self._path = path if world.writes else None
        self._world, self._trackers = world, trackers if world.writes else None
        self._lines: list[dict[str, Any]] = []
        self._numbers: list[Tensor] = []
        self._columns: Sequence[str] = ()

    def add(self, line: dict[str, Any], columns: Sequence[str], numbers: Tensor) -> None:
        """Notes a step.

        Args:
            line: its stage, epoch, step (both from 1) and settings.
            columns: what ``numbers`` are; the first is the loss.
            numbers: (len(columns),) this process's part of each, on any device.
        """
        self._lines.append(line)
        self._numbers.append(numbers)
        self._columns = columns

    def flush(self) -> dict[str, Any]:
        """Writes the steps since the last time, up to the first whose loss is not a finite number.

        Returns:
            The last step's line, empty if there is none.

        Raises:
            TrainingError: such a loss; with the stage, epoch and step.
            OutputError: the file could not be written.
        """
        if not self._lines:
            return {}
        rows = self._world.sum(torch.stack(self._numbers)).tolist()
        lines = [line | dict(zip(self._columns, row, strict=True)) for line, row in zip(self._lines, rows, strict=True)]
        self._lines, self._numbers = [], []
        bad = next((place for place, row in enumerate(rows) if not math.isfinite(row[0])), None)
        self._write(lines[:bad])
        if self._trackers is not None:
            self._trackers.lines(lines[:bad])
        if bad is not None:
            line = lines[bad]
            raise TrainingError(
                f"the loss became {rows[bad][0]} in stage {line['stage']}, epoch {line['epoch']}, step {line['step']}; "
                "the last checkpoint is kept: lower the learning rate, or look at the data of that step"
            )
        return lines[-1]

    def _write(self, lines: Sequence[dict[str, Any]]) -> None:
        if self._path is None:
            return
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
        except OSError as error:
            raise OutputError(f"could not write {self._path}: {error.strerror}; free space, then `resume`") from error


def truncate(path: Path, position: Position, stages: Sequence[str]) -> None:
    """Removes the lines of steps that a checkpoint does not know, which will be done again."""
    if not path.exists():
        return
    kept = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:  # the process was killed in the middle of it
            break
        if (stages.index(line["stage"]), line["step"]) > (position.stage, position.step):
            break
        kept.append(text + "\n")
    write_text(path, "".join(kept))
