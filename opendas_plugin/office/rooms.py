"""The built-in domain: furnished rooms, photographed, labelled and written as a folder to train and evaluate on.

Rooms of the splits ``train``, ``tune`` and ``test`` never share a seed. Things of both novel lists stand in the rooms
of every split; what is not in the vocabulary stays unlabelled, as clutter.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from opendas_plugin.data.domain import Domain, build_domain, domain_folder, write_domain
from opendas_plugin.data.reading import ImageReading, Reading, too_small
from opendas_plugin.data.segments import Segment
from opendas_plugin.data.splits import draw_novel, match_novel
from opendas_plugin.errors import ConfigError
from opendas_plugin.files import write_text
from opendas_plugin.office.furnish import furnish
from opendas_plugin.office.layout import Room
from opendas_plugin.office.look import Look
from opendas_plugin.office.names import BASE, NOVEL_TEST, NOVEL_TUNE
from opendas_plugin.office.render import render
from opendas_plugin.office.scene3d import NO_CLASS, Frame, sample_points, visible_share, write_ground_truth, write_scene
from opendas_plugin.office.viewpoints import choose_views

NOVEL = {"test": NOVEL_TEST, "tune": NOVEL_TUNE}
SPLITS = ("train", "tune", "test")
EXTRAS = ("scenes", "ground_truth", "classes.txt")
NO_NAME = "name outside the vocabulary"
HIDDEN = "mostly hidden"
SEEN = "seen better in other pictures"


@dataclass(frozen=True)
class Pictures:
    """How rooms are photographed, and which of what they show becomes a segment.

    Attributes:
        width, height: pixels, at least 64.
        per_room: pictures of one room.
        min_area: pixels that a segment has at least.
        min_share: share of a thing's surface that a picture shows at least; about half is all that can be seen.
        views: segments of one thing at most, those of the most pixels.
        fewest: validation segments of a name, up to which ``views`` and ``min_share`` do not bind.
        look: what the camera does to the picture.

    Raises:
        ConfigError: a number is too small.
    """

    width: int = 480
    height: int = 360
    per_room: int = 8
    min_area: int = 400
    min_share: float = 0.08
    views: int = 2
    fewest: int = 20
    look: Look = field(default_factory=Look)

    def __post_init__(self) -> None:
        for name, least in {"width": 64, "height": 64, "per_room": 1, "min_area": 1, "views": 1}.items():
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, got {getattr(self, name)}")


def prepare(
    output: str | Path,
    *,
    seed: int = 0,
    novel_split: Literal["test", "tune"] = "test",
    train_rooms: int = 44,
    val_rooms: int = 28,
    pictures: Pictures = Pictures(),
    workers: int = 2,
    novel: Sequence[str] | None = None,
    novel_fraction: float | None = None,
) -> Domain:
    """Makes the office domain; a terminal sees a progress bar.

    Training segments show the base names in the train rooms, validation segments base and novel names in the rooms of
    ``novel_split``. The same arguments give the same bytes.

    Args:
        output: the folder to write: the four files of a domain, and ``scenes/``, ``ground_truth/`` and ``classes.txt``
            (see :mod:`opendas_plugin.office.scene3d`).
        seed: other seeds give other rooms.
        novel_split: ``test`` for results, ``tune`` for making choices.
        train_rooms, val_rooms: how many rooms.
        pictures: how they are photographed.
        workers: processes; 1 works in this one.
        novel: other novel names than those of ``novel_split``, out of the names that this split labels.
        novel_fraction: draws that part of the names as novel instead.

    Raises:
        ConfigError: a number that cannot be.
        DataError: so few rooms that a split has no segment, or a novel name that is no class.
        OutputError: ``output`` cannot be written, or holds something else.
    """
    if novel_split not in NOVEL:
        raise ConfigError(f"expected a novel split of {', '.join(NOVEL)}, got {novel_split!r}")
    for name, number in {"train_rooms": train_rooms, "val_rooms": val_rooms, "workers": workers}.items():
        if number < 1:
            raise ConfigError(f"{name} must be at least 1, got {number}")
    names = BASE + NOVEL[novel_split]
    if novel is None and novel_fraction is not None:
        novel = draw_novel(names, names, novel_fraction, seed)
    hidden = match_novel(names, NOVEL[novel_split] if novel is None else novel)
    with domain_folder(output, EXTRAS) as folder:
        jobs = [
            _Job(folder, seed, split, index, names, hidden, pictures)
            for split, count in (("train", train_rooms), (novel_split, val_rooms))
            for index in range(count)
        ]
        shots = list(tqdm(_run(jobs, workers), total=len(jobs), desc="office rooms", unit="room", disable=None))
        train, val = (list(chain(*part)) for part in (shots[:train_rooms], shots[train_rooms:]))
        _top_up(val, pictures.fewest)
        domain = build_domain("office", Reading(names, train), Reading(names, val), novel=hidden, seed=seed)
        domain.info.update(
            seed=seed,
            rooms={"train": train_rooms, "val": val_rooms},
            novel_split=novel_split,
            pictures=asdict(pictures),
        )
        write_text(folder / "classes.txt", "".join(f"{row} {name}\n" for row, name in enumerate(names, 1)))
        write_domain(folder, domain)
    return domain


def build_room(seed: int, split: str, index: int) -> Room:
    """The room of this number in a split."""
    return furnish(_generators(seed, split, index)[0])


def photograph(seed: int, split: str, index: int, room: Room, pictures: Pictures) -> list[Frame]:
    """The pictures of a room, after the office look."""
    _, views, look, _ = _generators(seed, split, index)
    cameras = choose_views(
        views, room, pictures.per_room, width=pictures.width, height=pictures.height, min_area=pictures.min_area
    )
    frames = []
    for camera in cameras:
        picture = render(room.mesh, camera, room.lighting, caster=room.caster, background=(0, 0, 0))
        instance = np.concatenate([room.owner + 1, [0]]).astype(np.int32)[picture.face]
        frames.append(Frame(camera, pictures.look(picture.colour, look), picture.depth, instance))
    return frames


@dataclass
class _Shot(ImageReading):
    """What one picture holds, and segments that were left out although large enough, each with the reason."""

    spare: list[tuple[str, Segment]] = field(default_factory=list)


@dataclass(frozen=True)
class _Job:
    folder: Path
    seed: int
    split: str
    index: int
    names: tuple[str, ...]
    novel: tuple[str, ...]
    pictures: Pictures

    def __call__(self) -> list[_Shot]:
        """Writes one room's scene and returns what each of its pictures holds."""
        scene = f"office_{self.split}_{self.index:03d}"
        room = build_room(self.seed, self.split, self.index)
        frames = photograph(self.seed, self.split, self.index, room, self.pictures)
        cloud = sample_points(_generators(self.seed, self.split, self.index)[3], room)
        labelled = [name for name in self.names if self.split != "train" or name not in self.novel]
        classes = np.array([self.names.index(i.name) if i.name in labelled else NO_CLASS for i in room.items], np.uint8)
        write_scene(self.folder / "scenes" / scene, cloud, frames, classes)
        write_ground_truth(self.folder / "ground_truth" / f"{scene}.txt", cloud, classes)
        shares = np.stack([visible_share(cloud, frame, len(room.items)) for frame in frames])
        return self._segments(scene, room, frames, shares)

    def _segments(self, scene: str, room: Room, frames: Sequence[Frame], shares: np.ndarray) -> list[_Shot]:
        shots = [_Shot(scene) for _ in frames]
        areas = np.stack([np.bincount(frame.instance.ravel(), minlength=len(room.items) + 1)[1:] for frame in frames])
        for row, item in enumerate(room.items):
            best = np.argsort(-areas[:, row], kind="stable")
            kept = 0
            for i in best[areas[best, row] > 0]:
                reason = self._why_not(item.name, areas[i, row], shares[i, row], kept)
                if reason:
                    shots[i].dropped[reason] += 1
                if reason in (None, SEEN, HIDDEN):
                    image = self.folder / "scenes" / scene / "color" / f"{i}.jpg"
                    segment = Segment.from_mask(image, frames[i].instance == row + 1, item.name, scene)
                    if reason:
                        shots[i].spare.append((reason, segment))
                    else:
                        shots[i].segments.append(segment)
                        kept += 1
        return shots

    def _why_not(self, name: str, area: int, share: float, kept: int) -> str | None:
        if name not in self.names:
            return NO_NAME
        if area < self.pictures.min_area:
            return too_small(self.pictures.min_area)
        if share < self.pictures.min_share and name not in ("wall", "floor", "ceiling"):
            return HIDDEN
        return SEEN if kept == self.pictures.views else None


def _generators(seed: int, split: str, index: int) -> list[np.random.Generator]:
    """A room's own generators: for its things, its views, their look and its points."""
    return [np.random.default_rng([seed, SPLITS.index(split), index, purpose]) for purpose in range(4)]


def _top_up(shots: Sequence[_Shot], fewest: int) -> None:
    """Takes spare segments, those of the most pixels first, of names that have fewer than ``fewest``."""
    counts = Counter(segment.label for shot in shots for segment in shot.segments)
    spare = [(shot, reason, segment) for shot in shots for reason, segment in shot.spare]
    for shot, reason, segment in sorted(spare, key=lambda one: -one[2].area):
        if counts[segment.label] < fewest:
            counts[segment.label] += 1
            shot.segments.append(segment)
            shot.dropped[reason] -= 1


def _run(jobs: Sequence[_Job], workers: int) -> Iterator[list[_Shot]]:
    if workers == 1:
        yield from (job() for job in jobs)
        return
    # spawn: a forked child would inherit the ray caster's threads as dead ones
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_Job.__call__, jobs)
