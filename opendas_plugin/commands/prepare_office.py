"""``prepare_data.py office`` and ``office-bench-v1``: the built-in domain, and what is frozen of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from opendas_plugin.commands.common import Options, RunRecord
from opendas_plugin.commands.prepare_files import DEFAULT_WORKERS, check_ranges, read_names
from opendas_plugin.data.domain import describe
from opendas_plugin.office import bench
from opendas_plugin.office.rooms import Pictures
from opendas_plugin.office.rooms import prepare as prepare_rooms


@dataclass(frozen=True, kw_only=True)
class Office(Options):
    """The built-in domain: rooms made by code, seen by a worn camera. Train, tune and test rooms never share a room."""

    output: Path
    """Folder for the rooms, train.jsonl, val.jsonl, vocabulary.json, domain.json and run.json."""
    novel_split: Literal["test", "tune"] = "test"
    """Validate on the test rooms and their novel names, or on the tune rooms and theirs."""
    seed: int = 0
    """Seed of the rooms."""
    train_rooms: int = 44
    """Rooms to learn from."""
    val_rooms: int = 28
    """Rooms to judge by."""
    val_fraction: float | None = None
    """Part of all rooms to judge by; their number stays. Default: as --val-rooms says."""
    novel: Path | None = None
    """File with one novel name a line, in place of those of --novel-split."""
    novel_fraction: float | None = None
    """Part of the names to draw as novel, in place of those of --novel-split."""
    min_area: int | None = None
    """Smaller segments are dropped, in pixels; short for --pictures.min-area."""
    pictures: Pictures = field(default_factory=Pictures)
    """How the rooms are photographed."""
    workers: int = DEFAULT_WORKERS
    """Processes that render."""


def prepare_office(options: Office, record: RunRecord) -> str:
    """Renders the built-in domain."""
    check_ranges(options)
    val_rooms, rooms = options.val_rooms, options.train_rooms + options.val_rooms
    if options.val_fraction is not None:
        val_rooms = min(max(1, round(options.val_fraction * rooms)), rooms - 1)
    least = options.pictures.min_area if options.min_area is None else options.min_area
    domain = prepare_rooms(
        options.output,
        seed=options.seed,
        novel_split=options.novel_split,
        train_rooms=rooms - val_rooms,
        val_rooms=val_rooms,
        pictures=replace(options.pictures, min_area=least),
        workers=options.workers,
        novel=None if options.novel is None else read_names(options.novel),
        novel_fraction=options.novel_fraction,
    )
    record.write(options.output)
    return describe(domain)


@dataclass(frozen=True, kw_only=True)
class OfficeBench(Options):
    """The office domain frozen as a benchmark: made where it is not there yet, and compared with its checksums."""

    output: Path
    """Folder for tune/, to make choices on, and test/, for results; both are folders to train on. Say it again to check
    what lies there."""
    workers: int = DEFAULT_WORKERS
    """Processes that render."""


def prepare_office_bench(options: OfficeBench, record: RunRecord) -> str:
    """Makes the parts that are not there, and says whether they are the benchmark."""
    bench.make(options.output, options.workers)
    record.write(options.output)
    return bench.check(options.output)
