"""Work that is handed to Slurm; the one file that knows submitit (extra ``cluster``)."""

from __future__ import annotations

import itertools
import re
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opendas_plugin.errors import ConfigError, MissingDependencyError, TrainingError
from opendas_plugin.runs.processes import Task

Kind = Literal["local", "debug", "slurm"]
_ALL = 1 << 30  # tasks that a cluster may hold at once
_POLL = {"slurm": 10.0, "local": 0.2, "debug": 0.0}  # seconds between two looks


@dataclass(frozen=True)
class Cluster:
    """Where tasks are handed to.

    Args:
        kind: slurm; local: processes of this machine; debug: one after the other in this process.
        folder: for submitit's scripts and logs; all machines see it.
        options: submitit's, as ``NAME=VALUE``: ``timeout_min=240``, ``slurm_partition=gpu``, ``gpus_per_node=1``.
    """

    kind: Kind
    folder: Path
    options: tuple[str, ...] = ()

    def check(self) -> None:
        """Looks whether tasks can be handed over at all; submitit would run them here without a word.

        Raises:
            ConfigError: there is no Slurm, or an option is none.
            MissingDependencyError: submitit is not installed.
        """
        if self.kind == "slurm" and shutil.which("srun") is None:
            raise ConfigError(
                "`submitit` slurm needs Slurm's srun, which is not found here; log in to the cluster, or take local"
            )
        self._executor()

    def run(self, tasks: Iterable[Task], at_once: int) -> None:
        """Does each task; an error or an interrupt cancels those that are not done.

        Args:
            tasks: what to do; the next ones are taken when there is room.
            at_once: how many at a time, where this is not for Slurm to say.

        Raises:
            TrainingError: a task failed; the sentence has its last words, and the file of its log.
        """
        executor, tasks = self._executor(), iter(tasks)
        room = _ALL if self.kind == "slurm" else 1 if self.kind == "debug" else at_once
        running: list[tuple[Task, Any]] = []
        try:
            while True:
                running += [(task, executor.submit(task.work)) for task in itertools.islice(tasks, room - len(running))]
                if not running:
                    return
                done = [one for one in running if self.kind == "debug" or one[1].done()]
                for one in done:
                    running.remove(one)
                    _end(*one)
                if not done:
                    time.sleep(_POLL[self.kind])
        finally:
            for _, job in running:
                job.cancel(check=False)

    def _executor(self) -> Any:
        try:
            import submitit
        except ImportError as error:
            raise MissingDependencyError("`submitit` needs submitit; pip install 'opendas-plugin[cluster]'") from error
        executor = submitit.AutoExecutor(folder=self.folder, cluster=self.kind)
        try:
            executor.update_parameters(**dict(map(_option, self.options)))
        except (NameError, ValueError, TypeError, AssertionError) as error:
            reason = str(error).strip().split("\n")[0]
            raise ConfigError(f"submitit refuses `submitit_options`: {reason:.300}") from error
        return executor


def _option(text: str) -> tuple[str, Any]:
    """``NAME=VALUE``, a whole number as one."""
    name, given, value = text.partition("=")
    if not given or not name.isidentifier():
        raise ConfigError(f"expected `submitit_options` as NAME=VALUE, such as timeout_min=240, got {text!r}")
    return name, int(value) if value.isdecimal() else value


def _end(task: Task, job: Any) -> None:
    """Raises what a job ended by."""
    error = job.exception()  # not result(), which would open a debugger in the kind "debug"
    if error is None:
        return
    trace = re.split(r"^-+$", str(error), flags=re.MULTILINE)  # submitit puts a job's own between two lines of dashes
    lines = trace[1 if len(trace) > 2 else 0].split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), type(error).__name__)
    raise TrainingError(f"{task.name} failed ({said:.400}); its log is {job.paths.stderr}") from error
