"""office-bench-v1: made where it is not there yet, and verified."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from opendas_plugin.errors import ConfigError
from opendas_plugin.office import bench
from opendas_plugin.office.names import write_related_names
from opendas_plugin.runs.preparation import prepare
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import Run, function_of


@dataclass(frozen=True, kw_only=True)
class OfficeBench(Run[str]):
    """The office domain frozen as a benchmark: made where it is not there yet, and compared with its checksums."""

    output: Path
    """Folder for tune/, to make choices on, and test/, for results; both are folders to train on. Say it again to check
    what lies there."""
    workers: int = min(8, os.cpu_count() or 1)
    """Processes that render."""

    def check(self) -> None:
        """Looks whether there is a worker.

        Raises:
            ConfigError: there is none.
        """
        if self.workers < 1:
            raise ConfigError(f"`workers` must be 1 or more, got {self.workers}")

    def work(self, record: RunRecord) -> str:
        """Makes the parts that are not there, and says in a sentence that they are the benchmark.

        Raises:
            DataError: they are not.
        """
        for part in bench.PARTS:
            if not (self.output / part).exists():
                prepare("office", output=self.output / part, workers=self.workers, **bench.settings(part))
        record.write(self.output)
        verdict = bench.check(self.output)
        for part in bench.PARTS:
            write_related_names(self.output / part)  # parts of earlier versions have none
        return verdict


prepare_office_bench = function_of(OfficeBench, "prepare_office_bench")
