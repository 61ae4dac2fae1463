"""The rooms of the built-in domain: furnished, photographed, labelled and written as scenes.

Rooms of the splits ``train``, ``tune`` and ``test`` never share a seed. Things of both novel lists stand in the rooms
of every split; what is not in the vocabulary stays unlabelled, as clutter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from opendas_plugin.data.reading import ImageReading, too_small
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import ConfigError
from opendas_plugin.office.look import Look
from opendas_plugin.office.names import CLASSES, NAMES

if TYPE_CHECKING:
    from opendas_plugin.office.layout import Room
    from opendas_plugin.office.scene3d import Frame


SPLITS = ("train", "tune", "test")
NO_NAME = "name outside the vocabulary"
HIDDEN = "mostly hidden"
SEEN = "seen better in other pictures"

Kinds: TypeAlias = Literal["office", "all"]
"""What stands in a room: an office's things with some clutter, or in a larger room things of every name."""
_LOOKED_FOR = {"office": CLASSES, "all": NAMES}


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


def build_room(seed: int, split: str, index: int, kinds: Kinds = "office") -> Room:
    """The room of this number in a split."""
    from opendas_plugin.office.furnish import furnish
    from opendas_plugin.office.furnish_all import furnish_all

    make = furnish if kinds == "office" else furnish_all
    return make(_generators(seed, split, index)[0])


def photograph(
    seed: int, split: str, index: int, room: Room, pictures: Pictures, kinds: Kinds = "office"
) -> list[Frame]:
    """The pictures of a room, after the office look, taken from where most of its things of ``kinds`` are seen."""
    from opendas_plugin.office.render import render
    from opendas_plugin.office.scene3d import Frame
    from opendas_plugin.office.viewpoints import choose_views

    _, views, look, _ = _generators(seed, split, index)
    cameras = choose_views(
        views,
        room,
        pictures.per_room,
        width=pictures.width,
        height=pictures.height,
        min_area=pictures.min_area,
        names=_LOOKED_FOR[kinds],
    )
    frames = []
    for camera in cameras:
        picture = render(room.mesh, camera, room.lighting, caster=room.caster, background=(0, 0, 0))
        instance = np.concatenate([room.owner + 1, [0]]).astype(np.int32)[picture.face]
        frames.append(Frame(camera, pictures.look(picture.colour, look), picture.depth, instance))
    return frames


@dataclass
class Shot(ImageReading):
    """What one picture holds, and segments that were left out although large enough, each with the reason."""

    spare: list[tuple[str, Segment]] = field(default_factory=list)


@dataclass(frozen=True)
class RoomJob:
    """The work on one room, which any process can do.

    Args:
        folder: the domain's; the room becomes ``scenes/<scene>`` and ``ground_truth/<scene>.txt`` in it.
        seed, split, index: which room.
        names: all class names.
        novel: those of them that stay unlabelled in training rooms.
        pictures: how it is photographed.
        kinds: what stands in it.
    """

    folder: Path
    seed: int
    split: str
    index: int
    names: tuple[str, ...]
    novel: tuple[str, ...]
    pictures: Pictures
    kinds: Kinds = "office"

    def work(self) -> list[Shot]:
        """Writes one room's scene and returns what each of its pictures holds."""
        from opendas_plugin.office.scene3d import (
            NO_CLASS,
            sample_points,
            visible_share,
            write_ground_truth,
            write_scene,
        )

        scene = f"office_{self.split}_{self.index:03d}"
        room = build_room(self.seed, self.split, self.index, self.kinds)
        frames = photograph(self.seed, self.split, self.index, room, self.pictures, self.kinds)
        cloud = sample_points(_generators(self.seed, self.split, self.index)[3], room)
        labelled = [name for name in self.names if self.split != "train" or name not in self.novel]
        classes = np.array([self.names.index(i.name) if i.name in labelled else NO_CLASS for i in room.items], np.uint8)
        write_scene(self.folder / "scenes" / scene, cloud, frames, classes)
        write_ground_truth(self.folder / "ground_truth" / f"{scene}.txt", cloud, classes)
        shares = np.stack([visible_share(cloud, frame, len(room.items)) for frame in frames])
        return self._segments(scene, room, frames, shares)

    def _segments(self, scene: str, room: Room, frames: Sequence[Frame], shares: np.ndarray) -> list[Shot]:
        shots = [Shot(scene) for _ in frames]
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


def top_up(shots: Sequence[Shot], fewest: int) -> None:
    """Takes spare segments, those of the most pixels first, of names that have fewer than ``fewest``."""
    counts = Counter(segment.label for shot in shots for segment in shot.segments)
    spare = [(shot, reason, segment) for shot in shots for reason, segment in shot.spare]
    for shot, reason, segment in sorted(spare, key=lambda one: -one[2].area):
        if counts[segment.label] < fewest:
            counts[segment.label] += 1
            shot.segments.append(segment)
            shot.dropped[reason] -= 1
