"""office-bench-v1 and -v2: the office domain frozen, so that figures of several people are of the same segments.

What is frozen lies in ``bench_v1.json`` and ``bench_v2.json``: how the rooms are made and named, three digests and six
means of each room, and for v2 the folds (:mod:`opendas_plugin.office.bench_folds`). Where two faces meet, processors
round a ray differently, so that masks and pixels that another one drew have other digests; their means are the same.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeAlias

from opendas_plugin.data.domain import Domain, load_domain, mark_unseen
from opendas_plugin.data.images import read_image
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError
from opendas_plugin.office.bench_means import Gap, means
from opendas_plugin.office.look import Look
from opendas_plugin.office.rooms import Pictures
from opendas_plugin.vocabulary import Vocabulary

Part: TypeAlias = Literal["tune", "test"]
PARTS: tuple[Part, ...] = ("tune", "test")
DIGITS = 12

MEANINGS = (
    "its figures cannot be compared with the benchmark's",
    "these are the benchmark's segments with other outlines; say so beside every figure",
    "these are the benchmark's segments in pictures that another renderer or codec made; say so beside every figure",
)
"""What a difference means; the worst first."""
KINDS = {"names": 0, "rooms": 0, "labels": 0, "masks": 1, "pixels": 2}
"""What may differ, and which of the meanings that has."""

Digests = dict[str, dict[str, str]]
"""Room -> what is digested -> the first digits of its SHA-256."""


@dataclass(frozen=True)
class Bench:
    """A frozen benchmark.

    Args:
        version: ``v1`` or ``v2``.
    """

    version: str

    @property
    def name(self) -> str:
        """What it is called."""
        return f"office-bench-{self.version}"

    @property
    def frozen(self) -> Mapping[str, Any]:
        """What is frozen."""
        return _frozen(self.version)

    def settings(self, part: Part) -> dict[str, Any]:
        """What a part is prepared with."""
        rooms = self.frozen["rooms"]
        return {
            "seed": self.frozen["seed"],
            "kinds": self.frozen.get("kinds", "office"),
            "novel_split": part,
            "train_rooms": rooms["train"],
            "val_rooms": rooms[part],
            "pictures": self.pictures(),
        }

    def pictures(self) -> Pictures:
        """How the rooms of the benchmark are photographed."""
        values = dict(self.frozen["pictures"])
        look: dict[str, Any] = values.pop("look")
        look = {name: tuple(value) if isinstance(value, list) else value for name, value in look.items()}
        return Pictures(**values, look=Look(**look))

    def vocabulary(self, part: Part) -> Vocabulary:
        """The names of a part, of which those of the novel list are novel, and the template."""
        names = self.frozen["names"]
        return Vocabulary((*names["base"], *names[part]), tuple(names[part]), self.frozen["template"])

    def check(self, folder: Path) -> str:
        """Compares what is in ``folder`` with what is frozen, and says which benchmark it is, if need be as another
        processor draws it.

        Raises:
            MissingFileError: a part is missing.
            DataError: it is not the benchmark; the message has what differs, and what that means.
        """
        differing: dict[str, list[str]] = {}
        for part in PARTS:
            for kind, rooms in self.differences(folder / part, part).items():
                more = f" and {len(rooms) - 1} more" if len(rooms) > 1 else ""
                differing.setdefault(kind, []).append(f"{part} ({rooms[0]}{more})" if rooms else part)
        gap = self._gap(folder) if differing and differing.keys() <= {"masks", "pixels"} else None
        if differing and (gap is None or not gap.is_rounding):
            what = ", ".join(f"the {kind} of {' and '.join(parts)}" for kind, parts in differing.items())
            meaning = MEANINGS[min(KINDS[kind] for kind in differing)]
            raise DataError(f"{folder} is not {self.name}: {what} differ{self._versions()}; {meaning}")
        counts = self.frozen["segments"]
        numbers = f"{counts['train']:,} training, {counts['tune']:,} tune and {counts['test']:,} test segments"
        name = f"{self.name}, checksum {checksum(self.frozen['digests'])}"
        if gap is None:
            return f"{name}: {numbers}, equal in labels, masks and pixels."
        what = " and ".join(differing)
        return (
            f"{name}, as another processor draws it: {numbers}, equal in labels; rounding{self._versions()} moves "
            f"{what}, at most {gap}."
        )

    def _gap(self, folder: Path) -> Gap:
        """How far the means of the rooms are from those that are frozen."""
        parts = [means(load_domain(folder / part, same_pictures=False)) for part in PARTS]
        return Gap.of([(values, self.frozen["means"][room]) for part in parts for room, values in part.items()])

    def differences(self, folder: Path, part: Part) -> dict[str, list[str]]:
        """What of a part is not as it is frozen, and in which rooms; empty where all is."""
        domain = load_domain(folder, same_pictures=False)  # which of their pixels differ is said below
        found, frozen = digests(folder, domain), self.frozen["digests"]
        wanted = {room: values for room, values in frozen.items() if room.split("_")[1] in ("train", part)}
        differing: dict[str, list[str]] = {}
        same = replace(domain.vocabulary, values=None)  # older parts state no values
        if same != mark_unseen(self.vocabulary(part), domain.train):
            differing["names"] = []
        if list(found) != list(wanted):
            differing["rooms"] = []
        for kind in ("labels", "masks", "pixels"):
            rooms = [room for room in wanted if room in found and found[room][kind] != wanted[room][kind]]
            if rooms:
                differing[kind] = rooms
        return differing

    def warning(self) -> str:
        """A sentence where drawing packages of other versions are installed than those that it was frozen with; else
        empty.
        """
        wanted = " ".join(f"{name}=={then}" for name, (then, _) in self._others().items())
        here = ", ".join(f"{name} {here}" for name, (_, here) in self._others().items())
        return (
            f"{self.name} was drawn with {wanted}, here is {here}: what is drawn now may differ from it, which is seen "
            f"at the end only; to be sure, install those versions first: pip install {wanted}"
            if wanted
            else ""
        )

    def _versions(self) -> str:
        """What a message about differences adds where drawing packages of other versions are installed."""
        others = [f"{name} {here} for {then}" for name, (then, here) in self._others().items()]
        return f" (drawn here by {', '.join(others)})" if others else ""

    def _others(self) -> dict[str, tuple[str, str]]:
        """The drawing packages of other versions than those that it was frozen with: package -> that version, ours."""
        then = self.frozen["made_with"]
        here = {name: _version(name) for name in then}
        return {name: (version, here[name]) for name, version in then.items() if here[name] != version}


V1, V2 = Bench("v1"), Bench("v2")


@cache
def _frozen(version: str) -> Mapping[str, Any]:
    file = files("opendas_plugin.office") / f"bench_{version}.json"
    return json.loads(file.read_text(encoding="utf-8"))


def digests(folder: Path, domain: Domain) -> Digests:
    """The digests of each room of a part: of its segments' labels, of their masks, and of its pictures' pixels.

    ``labels`` are the picture, room and name of each segment in the order of the manifest, ``masks`` their size and
    run-length code, ``pixels`` the decoded pictures that have segments.
    """
    rooms: dict[str, list[Segment]] = {}
    for segment in (*domain.train, *domain.val):
        rooms.setdefault(segment.group, []).append(segment)
    folder = folder.resolve()
    return {
        room: {
            "labels": _digest(f"{_place(s, folder)} {s.group} {s.label}\n".encode() for s in segments),
            "masks": _digest(f"{s.rle['size']} {s.rle['counts']}\n".encode() for s in segments),
            "pixels": _digest(_pixels(path) for path in sorted({s.image for s in segments})),
        }
        for room, segments in rooms.items()
    }


def checksum(values: Digests) -> str:
    """One checksum for all digests."""
    return _digest([json.dumps(values, sort_keys=True).encode()])


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:DIGITS]


def _place(segment: Segment, folder: Path) -> str:
    image = segment.image.resolve()
    return image.relative_to(folder).as_posix() if image.is_relative_to(folder) else image.as_posix()


def _pixels(path: Path) -> bytes:
    image = read_image(path)
    return f"{path.name} {image.shape}\n".encode() + image.tobytes()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # embreex, where libigl casts the rays
        return "none"
