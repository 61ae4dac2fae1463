"""Manifests, the JSONL files of segments that every dataset becomes.

One line a segment: ``{"image": path, "rle": {"size": [H, W], "counts": "..."}, "label": name, "group": name}``, the
path relative to the manifest's folder. Other keys are ignored.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, overload

import numpy as np

from opendas_plugin.data.picture_places import PicturePlaces
from opendas_plugin.data.segments import Segment, check_rles
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import atomic_file

_CHECKED_TOGETHER = 4096
_KEPT_BYTES = 2**24
"""Size of the largest file of which segments are kept once they are parsed."""


def write_manifest(path: str | Path, segments: Iterable[Segment]) -> None:
    """Writes one line a segment; image paths become relative to the manifest's folder, on another drive absolute."""
    folder = Path(path).parent.resolve()
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8") as lines:
        for segment in segments:
            image = relative(segment.image, folder)
            line = {"image": image, "rle": dict(segment.rle), "label": segment.label, "group": segment.group}
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")


def read_manifest(path: str | Path, places: PicturePlaces | None = None) -> Manifest:
    """Reads the segments of a manifest and checks every line, and that every image is there.

    Args:
        path: the manifest.
        places: where its pictures lie; None: as their paths say.

    Raises:
        MissingFileError: the manifest or an image does not exist.
        DataError: a line is not a segment; the message has the file and the line.
    """
    return Manifest(Path(path), places)


class Manifest(Sequence[Segment]):
    """The segments of a manifest file, which is checked once.

    Attributes:
        pictures: the file of each picture by its path in the manifest.

    Of a file of more than 16 MiB a segment is parsed anew whenever it is asked for, so that it takes 8 bytes in memory,
    whatever its mask; the file itself is mapped. For arguments and errors see :func:`read_manifest`.
    """

    def __init__(self, path: Path, places: PicturePlaces | None = None) -> None:
        if not path.is_file():
            raise MissingFileError(f"{path} does not exist; make it with opendas-prepare")
        self.pictures: dict[str, Path] = {}
        self._places = places or PicturePlaces(path.parent)
        with open(path, "rb") as file:
            self._starts = np.fromiter(self._check(path, file), np.int64)
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if len(self._starts) else None
        self._kept: dict[int, Segment] | None = {} if path.stat().st_size <= _KEPT_BYTES else None

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Segment: ...
    @overload
    def __getitem__(self, index: slice) -> list[Segment]: ...
    def __getitem__(self, index: int | slice) -> Segment | list[Segment]:
        if isinstance(index, slice):
            return [self._segment(start) for start in self._starts[index].tolist()]
        return self._segment(int(self._starts[index]))

    def __iter__(self) -> Iterator[Segment]:
        return map(self._segment, self._starts.tolist())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it equals lists, which have none

    def _segment(self, start: int) -> Segment:
        if self._kept is None:
            return self._parse(start)
        if start not in self._kept:
            self._kept[start] = self._parse(start)
        return self._kept[start]

    def _parse(self, start: int) -> Segment:
        if self._data is None:
            raise IndexError(start)
        value = json.loads(self._data[start : self._data.find(b"\n", start) + 1 or len(self._data)])
        return Segment(self.pictures[value["image"]], value["rle"], value["label"], value.get("group", ""))

    def _check(self, path: Path, file: IO[bytes]) -> Iterator[int]:
        """Yields where each segment's line starts."""
        checked: list[tuple[int, Any]] = []
        start = 0
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    checked.append((number, self._check_line(line, f"{path}, line {number}")))
                    yield start
                start += len(line)
                if len(checked) == _CHECKED_TOGETHER:
                    _check_masks(path, checked)
                    checked.clear()
        finally:
            _check_masks(path, checked)  # an earlier line's mask is named before a later line's fault

    def _check_line(self, line: bytes, where: str) -> Any:
        """Checks all but the mask, which it returns."""
        try:
            value: Any = json.loads(line)
        except UnicodeDecodeError as error:
            raise DataError(f"{where}: expected UTF-8 text, found other bytes at {error.start}") from error
        except (ValueError, RecursionError):  # no JSON, a number of thousands of digits, lists in lists without end
            value = None
        if not isinstance(value, dict):
            shown = line.strip()[:60].decode(errors="replace")
            raise DataError(f"{where}: expected a JSON object, got {shown!r}; prepare the data again")
        for key in ("image", "label"):
            if not isinstance(value.get(key), str) or not value[key].strip():
                raise DataError(f"{where}: expected {key!r} as a text that is not empty, got {value.get(key)!r}")
        if not isinstance(value.get("group", ""), str):
            raise DataError(f"{where}: expected 'group' as a text, got {value['group']!r}")
        if value["image"] not in self.pictures:
            image = self.pictures[value["image"]] = self._places.find(value["image"])
            if not image.is_file():
                raise MissingFileError(
                    f"{where}: the image {image} does not exist; restore it, say where the pictures are by "
                    "`images_root`, or prepare the data again"
                )
        return value.get("rle")


def _check_masks(path: Path, checked: Sequence[tuple[int, Any]]) -> None:
    wrong = check_rles([rle for _, rle in checked])
    if wrong:
        raise DataError(f"{path}, line {checked[wrong[0]][0]}: {wrong[1]}")


def relative(image: Path, folder: Path) -> str:
    """A picture's path as a manifest in ``folder``, which is resolved, has it."""
    absolute = image.parent.resolve() / image.name
    try:
        return Path(os.path.relpath(absolute, folder)).as_posix()
    except ValueError:  # another drive
        return absolute.as_posix()
