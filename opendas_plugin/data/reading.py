"""What a dataset reader hands over, and the loop over images that all readers share."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import ConfigError, DataError, OutputError
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
    items: Iterable[Item],
    *,
    workers: int,
    progress: str,
    journal: Path | None = None,
) -> list[ImageReading]:
    """Applies ``read`` to every item in ``workers`` threads, in order; the first error ends it and is raised.

    A terminal sees a progress bar.

    Args:
        read: reads one item.
        items: the same in every run, for the journal's sake.
        workers: threads.
        progress: what the bar says.
        journal: file that keeps what was read so far, and the stamps of the files that it was read from; what it holds
            of an earlier run is not read again.

    Raises:
        ConfigError, DataError, OutputError: see :class:`Journal`.
    """
    items = list(items)
    record = Journal(journal, items)
    done = record.done

    def read_watched(item: Item) -> tuple[ImageReading, dict[str, str]]:
        if journal is None:
            return read(item), {}
        with watching() as seen:
            found = read(item)
            for segment in found.segments:
                note(segment.image)
        return found, seen

    bar = tqdm(total=len(items), initial=len(done), desc=progress, unit="image", disable=None)
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        for found, seen in _in_order(pool, read_watched, iter(items[len(done) :]), max(1, workers) * _AHEAD):
            record.keep(found, seen)
            done.append(found)
            bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
        record.close()
        bar.close()
    return done


class Journal:
    """What was read so far, one JSON line an image in the order of the items, so that a killed run can go on.

    Args:
        path: the file; None keeps nothing.
        items: what is read, by which a journal is known to be of the same images.

    Attributes:
        done: what an earlier run read, less a line that was cut off by a kill.

    Raises:
        ConfigError: the file is of other items, or a picture or label map has changed since it was read.
        DataError: it is no journal.
        OutputError: it cannot be written.
    """

    def __init__(self, path: Path | None, items: Sequence[object]) -> None:
        self.done: list[ImageReading] = []
        self._file: IO[bytes] | None = None
        if path is None:
            return
        self._path = path
        header = {"version": __version__, "items": hashlib.sha256("\n".join(map(str, items)).encode()).hexdigest()}
        with self._writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a+b")  # noqa: SIM115 - closed by close()
            self._load(self._file, header)

    def keep(self, found: ImageReading, files: Mapping[str, str]) -> None:
        """Adds the next image, with the stamps of the files that it was read from by their paths."""
        if self._file is None:
            return
        segments = [(str(segment.image), dict(segment.rle), segment.label) for segment in found.segments]
        line = {"group": found.group, "segments": segments, "dropped": dict(found.dropped), "files": dict(files)}
        with self._writing():
            self._file.write(json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            with self._writing():
                self._file.close()

    def _load(self, file: IO[bytes], header: dict[str, str]) -> None:
        file.seek(0)
        first = file.readline()
        if not first.endswith(b"\n"):
            file.truncate(0)
            file.write(json.dumps(header).encode() + b"\n")
            return
        end = len(first)
        try:
            if json.loads(first) != header:
                raise ConfigError(
                    f"{self._path} is of other images than there are now, or of another version of this package; run "
                    "again without `resume`"
                )
            for line in file:
                if line.endswith(b"\n"):
                    self._check_files(json.loads(line)["files"])
                    self.done.append(_from_line(line))
                    end += len(line)
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{self._path} is damaged; run again without `resume`") from error
        file.truncate(end)

    def _check_files(self, files: Mapping[str, str]) -> None:
        for path, known in files.items():
            if not is_same(path, known):
                raise ConfigError(f"{path} has changed since {self._path} was read from it; run again without `resume`")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"could not write {self._path}: {error.strerror}; free space or choose another output"
            ) from error


def _in_order(
    pool: ThreadPoolExecutor, read: Callable[[Item], Found], items: Iterator[Item], ahead: int
) -> Iterator[Found]:
    futures: list[Future[Found]] = [pool.submit(read, item) for item in islice(items, ahead)]
    while futures:
        yield futures.pop(0).result()
        futures += [pool.submit(read, item) for item in islice(items, 1)]


def _from_line(line: bytes) -> ImageReading:
    content = json.loads(line)
    group = content["group"]
    segments = [Segment(Path(image), rle, label, group) for image, rle, label in content["segments"]]
    return ImageReading(group, segments, Counter(content["dropped"]))
