"""The built-in domain: rooms made by code, with their related names; the reader makes what it reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Literal

from opendas_plugin.data.splits import draw_novel, match_names
from opendas_plugin.errors import ConfigError
from opendas_plugin.files import write_text
from opendas_plugin.label_values import LabelValues
from opendas_plugin.office.names import BASE, NAMES, NOVEL_TEST, NOVEL_TUNE, write_related_names
from opendas_plugin.office.rooms import Kinds, Pictures, RoomJob, top_up
from opendas_plugin.readers.reader import Context, Dataset, Reader, Split
from opendas_plugin.vocabulary import read_names

NOVEL = {"test": NOVEL_TEST, "tune": NOVEL_TUNE}


@dataclass(frozen=True, kw_only=True)
class Office:
    """The built-in domain: rooms made by code, seen by a worn camera. Train, tune and test rooms never share a room."""

    novel_split: Literal["test", "tune"] = "test"
    """Validate on the test rooms and their novel names, or on the tune rooms and theirs."""
    kinds: Kinds = "office"
    """Rooms of an office's things, 42 of them named; or larger ones with things of all 148 names that office-tiny
    knows, all of them named, and none novel unless novel or novel-fraction says so."""
    seed: int = 0
    """Seed of the rooms."""
    train_rooms: int = 44
    """Rooms to learn from."""
    val_rooms: int = 28
    """Rooms to judge by."""
    val_fraction: float | None = None
    """Part of all rooms to judge by; their number stays. Default: as the numbers of rooms say."""
    novel: Path | None = None
    """File with one novel name a line, in place of those of the novel split."""
    novel_fraction: float | None = None
    """Part of the names to draw as novel, in place of those of the novel split."""
    min_area: int | None = None
    """Smaller segments are dropped, in pixels; short for pictures.min-area."""
    pictures: Pictures = field(default_factory=Pictures)
    """How the rooms are photographed."""

    def __post_init__(self) -> None:
        for name in ("train_rooms", "val_rooms"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`{name}` must be 1 or more, got {getattr(self, name)}")
        if self.min_area is not None and self.pictures.min_area != Pictures().min_area:
            raise ConfigError("`min_area` is short for `pictures.min_area`; give one of them")


def read(options: Office, context: Context) -> Dataset:
    """Makes the rooms. Training segments show base names, validation segments base and novel names.

    The same options give the same bytes. Beside the domain's files there are ``scenes/``, ``ground_truth/`` and
    ``classes.txt`` (see :mod:`opendas_plugin.office.scene3d`).

    Raises:
        DataError: a novel name that is no class.
    """
    from opendas_plugin.office.scene3d import NO_CLASS

    names = NAMES if options.kinds == "all" else BASE + NOVEL[options.novel_split]
    rooms = _rooms(options)
    novel, pictures = _novel(options, names), _pictures(options)
    jobs = [
        RoomJob(context.folder, options.seed, split, index, names, novel, pictures, options.kinds)
        for split, count in (("train", rooms["train"]), (options.novel_split, rooms["val"]))
        for index in range(count)
    ]
    shots = list(context.each(RoomJob.work, jobs, progress="office rooms", unit="room", processes=True))
    train, val = (list(chain(*part)) for part in (shots[: rooms["train"]], shots[rooms["train"] :]))
    top_up(val, pictures.fewest)
    write_text(context.folder / "classes.txt", "".join(f"{row} {name}\n" for row, name in enumerate(names, 1)))
    write_related_names(context.folder)
    info = {
        "seed": options.seed,
        "rooms": rooms,
        "novel_split": options.novel_split,
        "pictures": asdict(pictures),
        **({"kinds": options.kinds} if options.kinds != "office" else {}),
    }
    values = LabelValues.places(len(names), ignored=(NO_CLASS,))
    return Dataset(names, Split(train), Split(val), novel=novel, title="office", info=info, values=values)


def _rooms(options: Office) -> dict[str, int]:
    if options.val_fraction is None:
        return {"train": options.train_rooms, "val": options.val_rooms}
    rooms = options.train_rooms + options.val_rooms
    val = min(max(1, round(options.val_fraction * rooms)), rooms - 1)
    return {"train": rooms - val, "val": val}


def _novel(options: Office, names: tuple[str, ...]) -> tuple[str, ...]:
    if options.novel is not None:
        return match_names(names, read_names(options.novel))
    if options.novel_fraction is not None:
        return match_names(names, draw_novel(names, names, options.novel_fraction, options.seed))
    return () if options.kinds == "all" else match_names(names, NOVEL[options.novel_split])


def _pictures(options: Office) -> Pictures:
    return options.pictures if options.min_area is None else replace(options.pictures, min_area=options.min_area)


READER = Reader(
    "office",
    Office,
    read,
    own_validation=lambda options: True,
    resumable=False,
    extras=("scenes", "ground_truth", "classes.txt"),
)
