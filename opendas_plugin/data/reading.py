"""What a dataset reader hands over, and the loop over images that all readers share."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import ConfigError, DataError, OpenDASError, OutputError
from opendas_plugin.stamps import is_same, note, watching
from opendas_plugin.version import __version__

Item = TypeVar("Item")
Found = TypeVar("Found")

TOO_SMALL = "smaller than"
"""How the reason of a segment that `min_area` drops begins."""
_AHEAD = 16  # items in work or done for each worker, beyond the one that is waited for


@dataclass
class ImageReading:
    """One image's part of a :class:`Reading`: its group, its segments, and how many were dropped for which reason.

    A split keeps the images of one group together.
    """

    group: str
    segments: list[Segment] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    def add(self, image: Path, mask: NDArray[np.bool_], label: str, *, min_area: int = 1) -> None:
        """Takes a mask, bool (H, W), of the picture in as a segment, or counts it as dropped where it is too small."""
        if mask.sum() < min_area:
            self.dropped[too_small(min_area)] += 1
        else:
            self.segments.append(Segment.from_mask(image, mask, label, self.group))


@dataclass(frozen=True)
class Reading:
    """A labelled dataset, or one given split of it, as a reader found it.

    Args:
        names: the class names, in the dataset's order.
        images: what each image held.
        raw_names: cleaned name -> the dataset's own, where they differ.
        unlabelled: number of images without labels, which were left out.
    """

    names: tuple[str, ...]
    images: Sequence[ImageReading]
    raw_names: dict[str, str] = field(default_factory=dict)
    unlabelled: int = 0


def too_small(min_area: int) -> str:
    """The reason for dropping a segment of fewer than ``min_area`` pixels."""
    return f"{TOO_SMALL} {min_area} pixels"


def read_images(
    read: Callable[[Item], ImageReading],
    items: Sequence[Item],
    journal: Journal,
    *,
    workers: int,
    progress: str | None,
) -> None:
    """Applies ``read`` to items in ``workers`` threads, in order; the first error ends it and is raised.

    A terminal sees a progress bar.

    Args:
        read: reads one item.
        items: all there are; those of the journal's :attr:`Journal.todo` are read.
        journal: gets what was read, and the stamps of the files that it was read from.
        workers: threads.
        progress: what the bar says; None: no bar.

    Raises:
        OutputError: the journal cannot be written.
    """

    def read_watched(place: int) -> tuple[int, ImageReading, dict[str, str]]:
        if not journal.is_kept:
            return place, read(items[place]), {}
        with watching() as seen:
            found = read(items[place])
            for segment in found.segments:
                note(segment.image)
        return place, found, seen

    journal.open()
    done, total = len(journal.done), len(journal.done) + len(journal.todo)
    bar = tqdm(total=total, initial=done, desc=progress, unit="image", disable=True if progress is None else None)
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        for found in _in_order(pool, read_watched, iter(journal.todo), max(1, workers) * _AHEAD):
            journal.keep(*found)
            bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
        journal.close()
        bar.close()


class Journal:
    """What was read of a list of items, and, in a folder, one JSON line an image, so that a killed run can go on.

    Several processes keep a file each in one folder.

    Args:
        folder: of the files; None: nothing is kept but in memory.
        part: what the files of these items are called.
        items: what is read, by which a journal is known to be of the same images.
        writer: the number of this process, whose own file it writes.

    Attributes:
        done: place among the items -> what was read.
        todo: the places that are left to read, in order.
    """

    def __init__(self, folder: Path | None, part: str, items: Sequence[object], writer: int = 0) -> None:
        self.done: dict[int, ImageReading] = {}
        self.todo: Sequence[int] = range(len(items))
        self.is_kept = folder is not None
        self._folder, self._part = folder or Path(), part
        self._path = self._folder / f"{part}.{writer}.jsonl"
        self._file: IO[bytes] | None = None
        self._header = {
            "version": __version__,
            "items": hashlib.sha256("\n".join(map(str, items)).encode()).hexdigest(),
        }

    def load(self) -> Journal:
        """Reads the files of all writers, less lines that were cut off by a kill; returns this journal.

        Raises:
            ConfigError: a file is of other items, or a picture or label map has changed since it was read.
            DataError: it is no journal.
            OutputError: it cannot be written.
        """
        for path in sorted(self._folder.glob(f"{self._part}.*.jsonl")) if self.is_kept else []:
            self._load(path)
        self.todo = [place for place in self.todo if place not in self.done]
        return self

    def images(self) -> list[ImageReading]:
        """What was read, in the order of the items."""
        return [self.done[place] for place in sorted(self.done)]

    def keep(self, place: int, found: ImageReading, files: Mapping[str, str]) -> None:
        """Adds an image by its place, with the stamps of the files that it was read from by their paths."""
        self.done[place] = found
        if not self.is_kept:
            return
        segments = [(str(segment.image), dict(segment.rle), segment.label) for segment in found.segments]
        line = {"place": place, "group": found.group, "segments": segments, "dropped": dict(found.dropped)}
        self.open()
        if self._file is not None:
            with _writing(self._path):
                self._file.write(json.dumps({**line, "files": dict(files)}).encode() + b"\n")
                self._file.flush()  # so that a kill costs nothing that was read

    def open(self) -> None:
        """Opens the file, so that it is there from the start.

        Raises:
            OutputError: it cannot be written.
        """
        if self._file is not None or not self.is_kept:
            return
        with _writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "ab")  # noqa: SIM115 - closed by close()
            if not self._file.tell():
                self._file.write(json.dumps(self._header).encode() + b"\n")
                self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            with _writing(self._path):
                self._file.close()
            self._file = None

    def _load(self, path: Path) -> None:
        with _writing(path), open(path, "r+b") as file:
            first = file.readline()
            end = len(first) if first.endswith(b"\n") else 0
            try:
                if end and json.loads(first) != self._header:
                    raise ConfigError(
                        f"{path} is of other images than there are now, or of another version of this package; run "
                        "again without `resume`"
                    )
                for line in file:
                    if line.endswith(b"\n"):
                        content = json.loads(line)
                        _check_files(content["files"], path)
                        self.done[int(content["place"])] = _reading(content)
                        end += len(line)
            except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                raise DataError(f"{path} is damaged; run again without `resume`") from error
            file.truncate(end)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, OpenDASError):
            raise
        raise OutputError(f"could not write {path}: {error.strerror}; free space or choose another output") from error


def _check_files(files: Mapping[str, str], journal: Path) -> None:
    for path, known in files.items():
        if not is_same(path, known):
            raise ConfigError(f"{path} has changed since {journal} was read from it; run again without `resume`")


def _in_order(
    pool: ThreadPoolExecutor, read: Callable[[Item], Found], items: Iterator[Item], ahead: int
) -> Iterator[Found]:
    futures: list[Future[Found]] = [pool.submit(read, item) for item in islice(items, ahead)]
    while futures:
        yield futures.pop(0).result()
        futures += [pool.submit(read, item) for item in islice(items, 1)]


def _reading(content: Mapping[str, Any]) -> ImageReading:
    group = content["group"]
    segments = [Segment(Path(image), rle, label, group) for image, rle, label in content["segments"]]
    return ImageReading(group, segments, Counter(content["dropped"]))
