"""What a reader is: a name, options, and a function that says what there is to read and how one image of it is read.

A file of this folder holds one, or a module of any package that names it as an entry point of the group
``opendas_plugin.readers``, such as ``strips = acme.strips:READER``::

    @dataclass(frozen=True, kw_only=True)
    class Strips:
        '''Pictures with a band for each class.'''

        root: Path
        '''Folder of pictures.'''

    def read(options: Strips, context: Context) -> Dataset:
        def read_one(path: Path) -> ImageReading:
            ...

        return Dataset(("road", "car"), Split(sorted(options.root.glob("*.png")), read_one))

    READER = Reader("strips", Strips, read)

``opendas-prepare strips --root ...`` and ``opendas_plugin.runs.prepare("strips", root=...)`` follow from it. The split,
novel names, threads, progress and going on after an interruption are the preparing run's; see docs/readers.md.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from opendas_plugin.data.images import Exif
from opendas_plugin.data.reading import ImageReading
from opendas_plugin.errors import ConfigError
from opendas_plugin.label_values import LabelValues

Item = TypeVar("Item")
Found = TypeVar("Found")
Options = TypeVar("Options")


@dataclass(frozen=True)
class Split(Generic[Item]):
    """Images to read, or those that a reader has read itself.

    Args:
        items: what is read one at a time, in an order that is the same in every run; without ``read``, what was read.
        read: reads one item; it is called from several threads.
        unlabelled: number of images without labels, which are left out.
    """

    items: Sequence[Item]
    read: Callable[[Item], ImageReading] | None = None
    unlabelled: int = 0


@dataclass(frozen=True)
class Dataset:
    """What a reader found.

    Args:
        names: the class names, in the dataset's order.
        train: all there is to read, or the training part where there is a validation part.
        val: the dataset's own validation part.
        raw_names: class name -> the dataset's own, where they differ.
        novel: names that count as novel unless the user says which do.
        title: what to call the domain; None: as its folder.
        info: facts about the reading that ``domain.json`` keeps.
        values: the numbers that the dataset's label maps have for the names, which ``vocabulary.json`` keeps; None:
            there are no label maps.
    """

    names: tuple[str, ...]
    train: Split[Any]
    val: Split[Any] | None = None
    raw_names: Mapping[str, str] = field(default_factory=dict)
    novel: Sequence[str] | None = None
    title: str | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    values: LabelValues | None = None


@dataclass(frozen=True)
class Context:
    """What the preparing run lends a reader.

    Args:
        folder: becomes the domain's folder; for pictures and the like that the reader makes, if its
            :attr:`Reader.extras` name them.
        cache: folder for what a later run may use again; the reader makes it.
        min_area: smaller segments are to be dropped, in pixels.
        workers: of :meth:`each`.
        exif: the frame that labels of pictures with an EXIF orientation are drawn in, for
            :func:`~opendas_plugin.data.images.label_frame`; None: their sizes must tell.
    """

    folder: Path
    cache: Path
    min_area: int = 100
    workers: int = 1
    exif: Exif | None = None

    def each(
        self,
        function: Callable[[Item], Found],
        items: Sequence[Item],
        *,
        progress: str | None = None,
        unit: str = "image",
        processes: bool = False,
    ) -> Iterator[Found]:
        """Applies ``function`` to every item at several workers, for readers that must see much before one image.

        Args:
            function: with ``processes`` it and all it takes and returns can be pickled.
            items: what it is applied to; results come in their order.
            progress: what a terminal's bar says; None: no bar.
            unit: what an item is.
            processes: processes work instead of threads, unless there is one worker.
        """
        bar = tqdm(total=len(items), desc=progress, unit=unit, disable=True if progress is None else None)
        with bar:
            for found in self._map(function, items, processes):
                bar.update()
                yield found

    def _map(self, function: Callable[[Item], Found], items: Sequence[Item], processes: bool) -> Iterator[Found]:
        count = max(1, min(self.workers, len(items)))
        if count == 1:
            yield from map(function, items)
            return
        # spawn: a forked child would inherit the ray caster's threads as dead ones
        pool: Executor = (
            ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))
            if processes
            else ThreadPoolExecutor(count)
        )
        with pool:
            yield from pool.map(function, items)


@dataclass(frozen=True)
class Sighting:
    """A folder that a reader can read, for ``opendas-prepare auto``.

    Args:
        reason: what in the folder says so, as "meta.json beside folders of ann".
        options: the reader's settings to read it with, those that are not left at their defaults.
        sureness: 1 to 9; of readers that all can read a folder, the surest is named first. Folders with the marks of
            one dataset alone are 9, a tool's own files 7 or 8, pictures that merely lie beside label maps 2.
        missing: what the options still lack, and where to get it, for a sentence.
    """

    reason: str
    options: Mapping[str, Any]
    sureness: int = 5
    missing: str = ""


@dataclass(frozen=True)
class Reader(Generic[Options]):
    """A dataset layout.

    Args:
        name: of ``opendas-prepare NAME``.
        options: a frozen dataclass with keyword fields; its docstring and its fields' are the help. It raises
            ConfigError for values that do not go together, with field names in backticks. A field with the name of a
            setting of all readers (see :class:`~opendas_plugin.runs.preparation.Prepare`) takes its place, and it is
            the reader that heeds it.
        read: says what there is to read; it does not read the images yet, unless it must.
        own_validation: whether there is a validation part of the dataset's own, by the options alone.
        resumable: whether a run that was interrupted can go on: not where ``read`` itself reads the images.
        extras: files and folders that ``read`` leaves in :attr:`Context.folder`.
        look: looks into a folder, quickly, and says how this reader would read it; None: it would not. Such a reader
            takes part in ``opendas-prepare auto``.
        looks_for: what ``look`` must find, in a few words, for the error where no reader finds anything.
    """

    name: str
    options: type[Options]
    read: Callable[[Options, Context], Dataset]
    own_validation: Callable[[Options], bool] = lambda options: False
    resumable: bool = True
    extras: tuple[str, ...] = ()
    look: Callable[[Path], Sighting | None] | None = None
    looks_for: str = ""

    def __post_init__(self) -> None:
        parameters = getattr(self.options, "__dataclass_params__", None)
        if parameters is None or not parameters.frozen:
            raise ConfigError(f"the options of the reader {self.name!r} must be a frozen dataclass, got {self.options}")
