"""The tables of office-bench-v2: every row of a block trained on every fold, and scored on the test rooms once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.classification import harmonic_mean
from opendas_plugin.eval.tables import Table
from opendas_plugin.files import read_json, require_writable, write_json
from opendas_plugin.office.bench import V2, checksum
from opendas_plugin.office.bench_folds import CHOOSING, OfficeFold, check_data, folds
from opendas_plugin.runs.bench_rows import Block, Place, Row, Scored, rows_of
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import Run, function_of

if TYPE_CHECKING:
    from opendas_plugin.runs.comparison_runs import Job


logger = logging.getLogger(__name__)

CHOICE = "choice.json"
WORDS = {
    "bench": "another benchmark",
    "block": "another block",
    "tower": "another tower",
    "seeds": "other `seeds`",
    "choice_seeds": "other `choice_seeds`",
    "asked": "other settings of the row, by their hash",
}
"""How a row's file can differ from what is asked for."""
FOLD_OF_CHOICE = "choose-0"
PARTITIONS: Mapping[Block, tuple[str, ...]] = {"published": ("1", "2"), "tuned": ("1", "2"), "quick": ("1",)}


@dataclass(frozen=True, kw_only=True)
class OfficeBenchTables(Run[dict[str, Table]]):
    """Trains the rows of a block of office-bench-v2 on its folds, scores each on the test rooms once, and writes down
    that it did. Rows that are there stay: run again to go on, here or with other rows elsewhere.
    """

    data: Path
    """Folder that opendas-prepare office-bench-v2 wrote."""
    output: Path
    """Folder for the trainings."""
    results: Path
    """Folder that keeps a file for each scored row, and the tables of all rows in it."""
    block: Block = "published"
    """The rows as each paper publishes them; each by the best of six settings on a fold to choose on; or, quick, five
    of the published ones on half of the folds."""
    rows: tuple[str, ...] = ()
    """Which rows of the block; default: all."""
    backbone: str = "office-tiny"
    """Which tower: office-tiny, office-tiny-v1, office-tiny-b, office-tiny-c, or a file."""
    seeds: int = 1
    """Training seeds on each fold."""
    choice_seeds: int = 2
    """Training seeds of each setting that is tried."""
    jobs: int = 1
    """Trainings at once."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        for name in ("seeds", "choice_seeds", "jobs"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`{name}` must be 1 or more, got {getattr(self, name)}")
        self.chosen_rows()

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        return {"choice_seeds": "where nothing is chosen, as in the published block"} if self.block != "tuned" else {}

    def chosen_rows(self) -> list[Row]:
        """The rows to make.

        Raises:
            ConfigError: one is not in the block.
        """
        found = {row.title: row for row in rows_of(self.block)}
        titles = list(dict.fromkeys(self.rows))
        if unknown := [title for title in titles if title not in found]:
            raise ConfigError(f"`rows` {unknown[0]!r} is no row of {self.block}; choose of {'; '.join(found)}")
        return [found[title] for title in titles] or list(found.values())

    def work(self, record: RunRecord) -> dict[str, Table]:
        """Makes the rows that are not there yet, and returns the tables of all that are."""
        from opendas_plugin.runs.bench_tables import require_one_tower, write_tables

        for folder in (self.output, self.results):
            require_writable(folder)
        place = Place(self.data, self.output, self.backbone, self.device)
        drawn = check_data(self.data)
        tower = self.tower()
        require_one_tower(self.results, tower)
        for row in self.chosen_rows():
            path = row.file(self.results / self.block)
            facts = self.facts(row, tower)
            if path.exists():
                require_same(path, facts)
                logger.info("%s was scored on the test rooms already, and is not again", row.title)
                continue
            setting = self.choose(row, place) if row.settings else None
            facts |= {"setting": setting, "tried": len(row.settings or ()) or None}
            jobs, reports = self.score(row, place, setting, PARTITIONS[self.block], self.seeds)
            Scored.of_runs(row, jobs, {**facts, "drawn": drawn}, reports).save(path)
        record.write(self.output)
        return write_tables(self.results, self.data)

    def facts(self, row: Row, tower: str) -> dict[str, Any]:
        """What a row's file says of how it was made, by which two rows of a name are the same."""
        return {
            "bench": f"{V2.name} {checksum(V2.frozen['digests'])}",
            "block": self.block,
            "tower": tower,
            "seeds": self.seeds if row.learns else 1,
            "asked": self.asked(row),
        }

    def asked(self, row: Row) -> str:
        """The first digits of a hash of all settings of a row."""
        seeds = self.seeds if row.learns else 1
        known = [row.method, row.fields, row.related, row.settings, seeds, *([True] if row.unlabelled else [])]
        if row.of is not None:
            known += [row.of, self.row(row.of).settings]
        return hashlib.sha256(yaml.safe_dump(known).encode()).hexdigest()[:12]

    def plain(self, row: Row, place: Place, partitions: Sequence[str]) -> list[Job]:
        """The runs of plain CLIP on the same crops, by which the scores before training are known."""
        return place.jobs(Row("zero_shot", "zero_shot", {"crops": row.fields["crops"]}), folds(partitions), 1)

    def score(
        self, row: Row, place: Place, setting: str | None, partitions: Sequence[str], seeds: int
    ) -> tuple[list[Job], list[Path] | None]:
        """Trains and scores what is not there yet of a row with one setting.

        Returns:
            The runs, and the folder of the report for each where the adapters of another row were read again.
        """
        from opendas_plugin.runs.bench_again import read_again
        from opendas_plugin.runs.comparison_runs import run_all

        if row.of is None:
            jobs = place.jobs(row, _of(partitions), seeds, setting)
            run_all(jobs, self.jobs, self.plain(row, place, partitions))
            return jobs, None
        base = self.row(row.of)
        jobs, _ = self.score(base, place, self.choose(base, place) if base.settings else None, partitions, seeds)
        return jobs, read_again(row, setting or "", jobs, place, self.jobs)

    def row(self, title: str) -> Row:
        """The row of the block with this title."""
        return next(row for row in rows_of(self.block) if row.title == title)

    def choose(self, row: Row, place: Place) -> str:
        """The setting with the best harmonic mean of B-F1 and N-F1 on the fold to choose on, over its seeds."""
        from opendas_plugin.runs.comparison_runs import folder_name

        path = self.results / self.block / f"{folder_name(row.title)}.{CHOICE}"
        facts = {**self.facts(row, self.tower()), "choice_seeds": self.choice_seeds}
        if path.exists():
            require_same(path, facts)
            return str(read_json(path)["chosen"])
        tried = {}
        for name in row.settings or {}:
            jobs, reports = self.score(row, place, name, (CHOOSING,), self.choice_seeds)
            tried[name] = _mean_scores(reports or [job.folder / "after" for job in jobs])
        chosen = max(tried, key=lambda name: tried[name]["harmonic_f1"])
        write_json(path, {**facts, "chosen": chosen, "tried": tried})
        return chosen

    def tower(self) -> str:
        """The hash of the tower's weights."""
        from opendas_plugin.model.checkpoint import backbone_sha256, build_backbone

        return backbone_sha256(build_backbone(self.backbone)[0])


def _of(partitions: Sequence[str]) -> list[OfficeFold]:
    """The folds of partitions; of the one to choose on, a single one."""
    return [fold for fold in folds(partitions) if partitions != (CHOOSING,) or fold.key == FOLD_OF_CHOICE]


def require_same(path: Path, facts: Mapping[str, Any]) -> None:
    """Looks whether a row that was scored is the one that is asked for.

    Raises:
        ConfigError: it was scored with other settings, on another tower or other data.
    """
    known = read_json(path)
    for name, value in facts.items():
        if known.get(name) != value:
            raise ConfigError(
                f"{path} was made with {WORDS[name]} ({known.get(name)}, now {value}); a row is chosen and scored "
                "once: give another `results` folder"
            )


def _mean_scores(reports: Sequence[Path]) -> dict[str, float]:
    summaries = [read_json(folder / "summary.json") for folder in reports]
    means = {name: sum(s[name] for s in summaries) / len(summaries) for name in ("w_f1", "b_f1", "n_f1")}
    return {**means, "harmonic_f1": harmonic_mean(means["b_f1"], means["n_f1"]) or 0.0}


office_bench_tables = function_of(OfficeBenchTables, "office_bench_tables")
