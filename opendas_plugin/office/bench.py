"""office-bench-v1: the office domain frozen, so that figures of several people are of the same segments.

What is frozen lies in ``bench_v1.json``: how the rooms are made and named, and three digests of each room.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from opendas_plugin.data.domain import Domain, load_domain, mark_unseen
from opendas_plugin.data.images import read_image
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError
from opendas_plugin.office.look import Look
from opendas_plugin.office.rooms import Pictures
from opendas_plugin.vocabulary import Vocabulary

NAME = "office-bench-v1"
PARTS: tuple[Literal["tune", "test"], ...] = ("tune", "test")
DIGITS = 12

MEANINGS = (
    "its figures cannot be compared with the benchmark's",
    "these are the benchmark's segments with outlines that another ray caster drew; say so beside every figure",
    "these are the benchmark's segments in pictures that another renderer or codec made; say so beside every figure",
)
"""What a difference means; the worst first."""
KINDS = {"names": 0, "rooms": 0, "labels": 0, "masks": 1, "pixels": 2}
"""What may differ, and which of the meanings that has."""

Digests = dict[str, dict[str, str]]
"""Room -> what is digested -> the first digits of its SHA-256."""


@cache
def frozen() -> Mapping[str, Any]:
    """What is frozen."""
    return json.loads((files("opendas_plugin.office") / "bench_v1.json").read_text(encoding="utf-8"))


def settings(part: Literal["tune", "test"]) -> dict[str, Any]:
    """What a part is prepared with."""
    rooms = frozen()["rooms"]
    return {
        "seed": frozen()["seed"],
        "novel_split": part,
        "train_rooms": rooms["train"],
        "val_rooms": rooms[part],
        "pictures": pictures(),
    }


def pictures() -> Pictures:
    """How the rooms of the benchmark are photographed."""
    values = dict(frozen()["pictures"])
    look: dict[str, Any] = values.pop("look")
    look = {name: tuple(value) if isinstance(value, list) else value for name, value in look.items()}
    return Pictures(**values, look=Look(**look))


def vocabulary(part: str) -> Vocabulary:
    """The names of a part, of which those of the novel list are novel, and the template."""
    names = frozen()["names"]
    return Vocabulary((*names["base"], *names[part]), tuple(names[part]), frozen()["template"])


def check(folder: Path) -> str:
    """Compares what is in ``folder`` with what is frozen, and says in a sentence that it is the benchmark.

    Raises:
        MissingFileError: a part is missing.
        DataError: it is not the benchmark; the message has what differs, and what that means.
    """
    differing: dict[str, list[str]] = {}
    for part in PARTS:
        for kind, rooms in differences(folder / part, part).items():
            more = f" and {len(rooms) - 1} more" if len(rooms) > 1 else ""
            differing.setdefault(kind, []).append(f"{part} ({rooms[0]}{more})" if rooms else part)
    if differing:
        what = ", ".join(f"the {kind} of {' and '.join(parts)}" for kind, parts in differing.items())
        meaning = MEANINGS[min(KINDS[kind] for kind in differing)]
        raise DataError(f"{folder} is not {NAME}: {what} differ{_versions()}; {meaning}")
    counts = frozen()["segments"]
    return (
        f"{folder} is {NAME}, checksum {checksum(frozen()['digests'])}: {counts['train']:,} training, "
        f"{counts['tune']:,} tune and {counts['test']:,} test segments, equal in labels, masks and pixels."
    )


def differences(folder: Path, part: str) -> dict[str, list[str]]:
    """What of a part is not as it is frozen, and in which rooms; empty where all is."""
    domain = load_domain(folder, same_pictures=False)  # which of their pixels differ is said below
    found = digests(folder, domain)
    wanted = {room: values for room, values in frozen()["digests"].items() if room.split("_")[1] in ("train", part)}
    differing: dict[str, list[str]] = {}
    if replace(domain.vocabulary, values=None) != mark_unseen(vocabulary(part), domain.train):  # older state no values
        differing["names"] = []
    if list(found) != list(wanted):
        differing["rooms"] = []
    for kind in ("labels", "masks", "pixels"):
        rooms = [room for room in wanted if room in found and found[room][kind] != wanted[room][kind]]
        if rooms:
            differing[kind] = rooms
    return differing


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


def _versions() -> str:
    """The versions of the drawing packages where they are others than those that the benchmark was frozen with."""
    here = {name: _version(name) for name in frozen()["made_with"]}
    others = [f"{name} {here[name]} for {then}" for name, then in frozen()["made_with"].items() if here[name] != then]
    return f" (drawn here by {', '.join(others)})" if others else ""


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # embreex, where libigl casts the rays
        return "none"
