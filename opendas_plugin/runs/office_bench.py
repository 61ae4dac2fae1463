"""office-bench-v1 and -v2: made where they are not there yet, and verified."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from opendas_plugin.data.domain import NEGATIVES, domain_folder, load_domain, write_domain
from opendas_plugin.errors import ConfigError
from opendas_plugin.office.bench import PARTS, V1, V2, Bench
from opendas_plugin.office.bench_folds import FOLDS, WITHOUT_NOVEL, folds, related_names
from opendas_plugin.office.names import write_related_names
from opendas_plugin.runs.preparation import prepare
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import Run, function_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OfficeBench(Run[str]):
    """The office domain frozen as a benchmark: made where it is not there yet, and compared with its checksums."""

    bench: ClassVar[Bench] = V1

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
        missing = [part for part in PARTS if not (self.output / part).exists()]
        if missing and self.bench.warning():
            logger.warning("%s", self.bench.warning())
        for part in missing:
            prepare("office", output=self.output / part, workers=self.workers, **self.bench.settings(part))
        record.write(self.output)
        verdict = self.bench.check(self.output)
        self.finish(record)
        return f"{self.output} is {verdict}"

    def finish(self, record: RunRecord) -> None:
        """Adds what the parts do not hold of themselves."""
        for part in PARTS:
            write_related_names(self.output / part)  # parts of earlier versions have none


@dataclass(frozen=True, kw_only=True)
class OfficeBenchV2(OfficeBench):
    """Rooms with things of all names, frozen as a benchmark in which every name is novel in turn: made where it is not
    there yet, and compared with its checksums.
    """

    bench: ClassVar[Bench] = V2

    output: Path
    """Folder for folds/: 1-0 to 2-2, for results, and choose-0 to choose-2, to make choices on; each is a folder to
    train on. test/ and tune/ beside it hold the rooms. Say it again to check what lies there."""

    def finish(self, record: RunRecord) -> None:
        """Writes the folds, each with its related names."""
        parts = {part: load_domain(self.output / part) for part in PARTS}
        for fold in folds():
            place = self.output / FOLDS / fold.key
            if not place.exists():
                domain = fold.of(parts[fold.part])
                with domain_folder(place, extras=(WITHOUT_NOVEL,)) as folder:
                    write_domain(folder, domain)
                    related_names(domain.vocabulary, novel=True).save(folder / NEGATIVES)
                    related_names(domain.vocabulary, novel=False).save(folder / WITHOUT_NOVEL)
                    record.write(folder)
            fold.check(place, parts[fold.part])


prepare_office_bench = function_of(OfficeBench, "prepare_office_bench")
prepare_office_bench_v2 = function_of(OfficeBenchV2, "prepare_office_bench_v2")
