"""What something was made from, so that whoever goes on with it, or uses it again, knows whether that is still there.

A file's stamp holds its size, its date and the start of its content's SHA-256. Two stamps are of one content where size
and date agree, or the hashes do: a file that was copied or touched is the same, one that was written over is not. Small
files are always read, so that a date that was set back hides nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ABSENT = "absent"
"""The stamp of a file that is not there."""
SMALL = 1 << 13
"""Bytes up to which a file is read whenever it is compared."""
_LONGEST = 80  # characters of a value that a sentence shows
_READERS = 8

_watched: ContextVar[dict[str, str] | None] = ContextVar("watched", default=None)


@dataclass(frozen=True)
class Inputs:
    """What something is made from.

    Args:
        files: name -> a file, which need not be there.
        values: name -> what else decides, as JSON.
    """

    files: Mapping[str, Path] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The stamps and values, to keep as JSON beside what is made; all files are read."""
        return {"files": stamps(self.files), "values": dict(self.values)}

    def difference(self, record: Any, *, common: bool = False) -> str | None:
        """What a record does not have as it is now, in words such as ``color/3.jpg has changed``; None: nothing.

        Args:
            record: what :meth:`record` gave.
            common: look only at what is on both sides.
        """
        if not isinstance(record, Mapping) or not all(isinstance(record.get(k), Mapping) for k in ("files", "values")):
            return "its record of inputs is damaged"
        found = [*changes(record["values"], self.values, common), *_file_changes(record["files"], self.files, common)]
        more = f" (and {len(found) - 1} more)" if found[1:] else ""
        return found[0] + more if found else None


def stamp(path: str | Path) -> str:
    """A file's size in bytes, date in nanoseconds and hash; :data:`ABSENT` where there is none."""
    try:
        with open(path, "rb") as file:
            state = os.fstat(file.fileno())
            content = hashlib.sha256()
            while block := file.read(1 << 20):
                content.update(block)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ABSENT
    return f"{state.st_size} {state.st_mtime_ns} {content.hexdigest()[:16]}"


def stamps(files: Mapping[str, Path]) -> dict[str, str]:
    """The stamp of each file, several read at a time."""
    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip(files, pool.map(stamp, files.values()), strict=True))


def undated(known: str) -> str:
    """A stamp without its date: of a file that is made anew with the same content. Such a file is always read."""
    parts = known.split(" ")
    return f"{parts[0]} 0 {parts[2]}" if len(parts) == 3 else known


def is_same(path: str | Path, known: str) -> bool:
    """Whether a file is still the one of a stamp; a large one is read only where its date is another."""
    try:
        size, date, _ = known.split(" ")
        state = Path(path).stat()
    except (ValueError, FileNotFoundError, NotADirectoryError):
        return stamp(path) == known  # absent on one side, or no stamp
    if str(state.st_size) != size:
        return False
    if state.st_size > SMALL and str(state.st_mtime_ns) == date:
        return True
    return stamp(path).rpartition(" ")[2] == known.rpartition(" ")[2]


def digest(value: NDArray[Any] | str) -> str:
    """The SHA-256 of an array or a text, to stand for it among the values of :class:`Inputs`."""
    if isinstance(value, str):
        return "sha256 " + hashlib.sha256(value.encode()).hexdigest()[:16]
    array = np.ascontiguousarray(value)
    found = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    found.update(array.reshape(-1).view(np.uint8).data)
    return "sha256 " + found.hexdigest()[:16]


def named(paths: Iterable[Path]) -> dict[str, Path]:
    """Names for files by their places in the folder that all lie in, so that the folder may move."""
    found = sorted({path.absolute() for path in paths})
    try:
        folder = os.path.commonpath([path.parent for path in found]) if found else ""
    except ValueError:  # on several drives
        return {path.as_posix(): path for path in found}
    return {Path(os.path.relpath(path, folder)).as_posix(): path for path in found}


def changes(before: Mapping[str, Any], now: Mapping[str, Any], common: bool = False) -> Iterator[str]:
    """What differs between two sets of JSON values, each in words such as ``every was 20, now 10``."""
    for name in _names(before, now, common):
        old, new = _plain(before.get(name)), _plain(now.get(name))
        if old != new:
            shown = [json.dumps(value, ensure_ascii=False) for value in (old, new)]
            hidden = any(len(text) > _LONGEST or text.startswith('"sha256 ') for text in shown)
            yield f"{name} has changed" if hidden else f"{name} was {shown[0]}, now {shown[1]}"


@contextmanager
def watching() -> Iterator[dict[str, str]]:
    """Yields the stamps, by path, of the files that this thread reads through the package meanwhile."""
    found: dict[str, str] = {}
    token = _watched.set(found)
    try:
        yield found
    finally:
        _watched.reset(token)


def note(path: str | Path) -> None:
    """Tells :func:`watching` of a file, just before it is read."""
    found = _watched.get()
    if found is not None and str(path) not in found:
        found[str(path)] = stamp(path)


def _file_changes(before: Mapping[str, Any], now: Mapping[str, Path], common: bool) -> Iterator[str]:
    for name in _names(before, now, common):
        if name not in now:
            yield f"{name} is gone"
        elif name not in before:
            yield f"{name} is new"
        elif not is_same(now[name], str(before[name])):
            yield f"{name} {'has changed' if Path(now[name]).is_file() else 'is gone'}"


def _names(before: Mapping[str, Any], now: Mapping[str, Any], common: bool) -> list[str]:
    return [name for name in now if name in before or not common] + [
        name for name in before if name not in now and not common
    ]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
