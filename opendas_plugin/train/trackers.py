"""Where a run's curves and scores go beside its own log: TensorBoard, W&B, trackio or CSV, chosen by name.

Each package is imported when a run asks for it, none of them is needed, and none contacts a host of its own accord:
TensorBoard and CSV are files; W&B is offline unless the user has logged in or says otherwise by ``WANDB_MODE``; trackio
keeps its own database on this machine unless a Space is named by ``TRACKIO_SPACE_ID``. A run that is gone on with keeps
its identity, which lies in ``tracked.json``: the same curve goes on, and what is done again is not there twice.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from opendas_plugin.errors import ConfigError, MissingDependencyError
from opendas_plugin.files import read_json, write_json, write_text

TrackerName = Literal["tensorboard", "wandb", "trackio", "csv"]
IDENTITY = "tracked.json"
PROJECT = "opendas"
"""The project of W&B and trackio, unless ``WANDB_PROJECT`` or ``TRACKIO_PROJECT`` says another one."""
SCORES = "scores/"
_NOT_VALUES = ("stage", "step")

logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """Takes what a run reports."""

    def values(self, values: Mapping[str, float], step: int) -> None:
        """Takes numbers by their names, as ``visual/loss``; ``step`` counts over all stages, from 1."""

    def close(self, failed: bool) -> None:
        """Ends the run."""


class Trackers:
    """All trackers of a run.

    Args:
        names: which.
        folder: of the run.
        title: what the run is called.
        config: its settings, as plain JSON.
        log: the file of the run's own log, which the CSV is made from.

    Raises:
        ConfigError: there is no such tracker.
        MissingDependencyError: its package is not installed.
    """

    def __init__(self, names: Sequence[str], folder: Path, title: str, config: Mapping[str, Any], log: Path) -> None:
        check_trackers(names)
        self._open = list(dict.fromkeys(names))
        self._folder, self._title, self._config, self._log = folder, title, config, log
        self._trackers: list[Tracker] = []
        self._ends: Mapping[str, int] = {}
        self._offsets: Mapping[str, int] = {}
        self._done = 0

    def begin(self, ends: Mapping[str, int], done: int) -> None:
        """Starts, or goes on behind ``done`` steps of all stages.

        Args:
            ends: milestone -> steps of all stages up to it, in their order: ``before`` has 0, then the stages.
            done: steps that are behind the run.
        """
        self._ends, self._done = ends, done
        self._offsets = dict(zip([*ends][1:], ends.values(), strict=False))
        if self._open:
            run = Identity.of(self._folder, self._title)
            self._trackers = [self._make(name, run, done) for name in self._open]

    def _make(self, name: str, run: Identity, done: int) -> Tracker:
        try:
            return MAKERS[name](self._folder, run, self._config, done, self._log)
        except ImportError as error:  # one of its own requirements
            raise MissingDependencyError(f"`log_to` {name} cannot be used ({error}); pip install -U {name}") from error

    def lines(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Takes lines of the run's log."""
        for line in lines if self._trackers else ():
            values = {f"{line['stage']}/{key}": float(value) for key, value in line.items() if key not in _NOT_VALUES}
            for tracker in self._trackers:
                tracker.values(values, self._offsets[line["stage"]] + line["step"])

    def scores(self, milestone: str, summary: Mapping[str, Any], metrics: Sequence[str]) -> None:
        """Takes the scores of a milestone, in percent; those of before a run was gone on with are known elsewhere."""
        step = self._ends.get(milestone, max(self._ends.values(), default=0))
        values = {f"{SCORES}{key}": float(summary[key]) for key in metrics if summary.get(key) is not None}
        for tracker in self._trackers:
            if step >= self._done or isinstance(tracker, Csv):
                tracker.values(values, step)

    def close(self, failed: bool = False) -> None:
        """Ends the run everywhere."""
        for tracker in self._trackers:
            tracker.close(failed)
        self._trackers = []


class Identity:
    """By which a run is known to trackers, also where it goes on."""

    def __init__(self, number: str, title: str, resumed: bool) -> None:
        self.number, self.title, self.resumed = number, title, resumed

    @classmethod
    def of(cls, folder: Path, title: str) -> Identity:
        """That of the run in a folder, which is written where there is none."""
        path = folder / IDENTITY
        if path.exists():
            known = read_json(path)
            return cls(str(known["id"]), str(known["title"]), True)
        made = uuid.uuid4().hex[:12]
        write_json(path, {"id": made, "title": title})
        return cls(made, title, False)


def check_trackers(names: Sequence[str]) -> None:
    """Looks whether there are such trackers, and whether their packages are installed.

    Raises:
        ConfigError, MissingDependencyError: not.
    """
    known = get_args(TrackerName)
    for name in names:
        if name not in known:
            raise ConfigError(f"`log_to` must be among {', '.join(known)}, got {name!r}")
        package = "" if name == "csv" else name
        if package and not _importable(package):
            raise MissingDependencyError(f"`log_to` {name} needs its package; pip install {package}")


class TensorBoard:
    """Event files in ``tensorboard/``; steps that are done again take the place of the earlier ones."""

    def __init__(self, folder: Path, run: Identity, config: Mapping[str, Any], done: int, log: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1 if run.resumed else None)
        if not run.resumed:
            self._writer.add_text("settings", f"```json\n{json.dumps(config, indent=2)}\n```")

    def values(self, values: Mapping[str, float], step: int) -> None:
        """See :class:`Tracker`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self, failed: bool) -> None:
        """See :class:`Tracker`."""
        self._writer.close()


class WandB:
    """A run of Weights & Biases; where nobody has logged in its files wait in ``wandb/`` for ``wandb sync``."""

    def __init__(self, folder: Path, run: Identity, config: Mapping[str, Any], done: int, log: Path) -> None:
        import wandb

        mode = os.environ.get("WANDB_MODE") or ("online" if _logged_in(wandb) else "offline")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run.number,
            name=run.title,
            dir=str(folder),
            config=dict(config),
            mode=mode,
            resume="allow" if mode == "online" else None,  # offline runs of one id are joined by `wandb sync`
            settings=wandb.Settings(silent=True, console="off"),
        )
        if mode == "offline":
            logger.info("W&B is offline: its files are in %s; `wandb sync` sends them", folder / "wandb")

    def values(self, values: Mapping[str, float], step: int) -> None:
        """See :class:`Tracker`."""
        self._run.log(dict(values), step=step)

    def close(self, failed: bool) -> None:
        """See :class:`Tracker`."""
        self._run.finish(exit_code=int(failed))


class Trackio:
    """A run of trackio, in its database on this machine (``trackio show`` opens it).

    It takes no step back, so that where a run goes on, what it has done again is not sent again.
    """

    def __init__(self, folder: Path, run: Identity, config: Mapping[str, Any], done: int, log: Path) -> None:
        import trackio

        self._trackio = trackio
        project = os.environ.get("TRACKIO_PROJECT", PROJECT)
        name = f"{run.title}-{run.number}"
        known = trackio.init(project=project, name=name, config=dict(config), resume="allow", embed=False)
        self._last = int(getattr(known, "_next_step", 0)) - 1 if run.resumed else -1  # the last step that is there

    def values(self, values: Mapping[str, float], step: int) -> None:
        """See :class:`Tracker`."""
        scores = any(name.startswith(SCORES) for name in values)  # come behind the values of their step
        if step > self._last or (scores and step == self._last):
            self._trackio.log(dict(values), step=step)

    def close(self, failed: bool) -> None:
        """See :class:`Tracker`."""
        self._trackio.finish()


class Csv:
    """``log.csv``, all lines of the run's log as a table, and ``scores.csv``, a line a milestone."""

    def __init__(self, folder: Path, run: Identity, config: Mapping[str, Any], done: int, log: Path) -> None:
        self._folder, self._log = folder, log
        self._scores: dict[int, Mapping[str, float]] = {}

    def values(self, values: Mapping[str, float], step: int) -> None:
        """See :class:`Tracker`."""
        scores = {key.removeprefix(SCORES): value for key, value in values.items() if key.startswith(SCORES)}
        if scores:
            self._scores[step] = scores
            self._write()

    def close(self, failed: bool) -> None:
        """See :class:`Tracker`."""
        self._write()

    def _write(self) -> None:
        lines = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
        write_text(self._folder / "log.csv", as_csv([json.loads(line) for line in lines]))
        write_text(self._folder / "scores.csv", as_csv([{"step": s, **found} for s, found in self._scores.items()]))


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV with a column for every key, in the order in which they come up; empty where a row lacks it."""
    file = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


MAKERS: Mapping[str, Callable[[Path, Identity, Mapping[str, Any], int, Path], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WandB,
    "trackio": Trackio,
    "csv": Csv,
}


def _importable(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _logged_in(wandb: Any) -> bool:
    """Whether there is a key; asked for in no other way, so that nothing waits for an answer."""
    return bool(os.environ.get("WANDB_API_KEY") or wandb.api.api_key)
