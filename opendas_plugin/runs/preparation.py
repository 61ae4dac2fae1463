"""Any labelled dataset -> a domain folder: a reader says what there is, the run reads, splits, marks and writes it."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from opendas_plugin.data.building import build_domain
from opendas_plugin.data.domain import PREVIEW, Domain, domain_folder, load_domain, require_replaceable, write_domain
from opendas_plugin.data.images import Exif
from opendas_plugin.data.reading import ImageReading, Journal, Reading, read_images
from opendas_plugin.errors import ConfigError, LostProcessError
from opendas_plugin.eval.contact_sheet import write_contact_sheet
from opendas_plugin.files import names_file, read_json, write_json
from opendas_plugin.readers import registry
from opendas_plugin.readers.reader import Context, Dataset, Reader, Split
from opendas_plugin.runs.record import RunRecord, plain
from opendas_plugin.runs.run import Run
from opendas_plugin.stamps import Inputs
from opendas_plugin.train.distributed import World, join
from opendas_plugin.vocabulary import DEFAULT_TEMPLATE, read_names

VAL_FRACTION = 0.2
FLAGS = "flags.json"


@dataclass(frozen=True, kw_only=True)
class Prepare(Run[Domain | None]):
    """The settings of every reader; :func:`run_of` joins a reader's own to them.

    Where a reader has an option of the same name, that one counts and the reader alone heeds it.
    """

    reader: ClassVar[Reader[Any]]

    output: Path
    """Folder for train.jsonl, val.jsonl, vocabulary.json, domain.json, preview.jpg (masks and names over a few
    pictures) and run.json."""
    novel: Path | None = None
    """File with one novel name a line; their segments leave training."""
    novel_fraction: float | None = None
    """Part of all names to draw as novel, out of those with a validation segment."""
    val_fraction: float | None = None
    """Part of the images to validate on, by whole groups; default 0.2. Not with validation data of its own."""
    seed: int = 0
    """Seed of both draws."""
    min_area: int = 100
    """Smaller segments are dropped, in pixels."""
    template: str = DEFAULT_TEMPLATE
    """Text with one {} for the name."""
    workers: int = min(8, os.cpu_count() or 1)
    """Threads that decode and encode, or processes that render."""
    overwrite: bool = False
    """Replace a domain that lies in the output folder."""

    def options(self) -> Any:
        """The reader's own settings.

        Raises:
            ConfigError: they do not go together.
        """
        kind = self.reader.options
        return kind(**{field.name: getattr(self, field.name) for field in dataclasses.fields(kind)})

    def check(self) -> None:
        """Looks whether the reader's settings go together, and the others lie in range.

        Raises:
            ConfigError: they do not.
        """
        self.options()
        if self.novel is not None and self.novel_fraction is not None:
            raise ConfigError("give `novel` or `novel_fraction`, not both")
        for name in ("novel_fraction", "val_fraction"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise ConfigError(f"`{name}` must lie between 0 and 1, got {value}")
        for name in ("min_area", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"`{name}` must be 1 or more, got {value}")

    def unused(self) -> Mapping[str, str]:
        """``val_fraction`` beside validation data, and the seed where nothing is drawn."""
        try:
            apart = self.reader.own_validation(self.options())
        except ConfigError:  # check() says what is wrong with the options
            return {}
        reasons = {}
        if apart:
            reasons["val_fraction"] = "beside validation data of its own"
            if self.novel_fraction is None:
                reasons["seed"] = "where neither validation images nor novel names are drawn"
        return {name: reason for name, reason in reasons.items() if name not in self._taken()}

    def work(self, record: RunRecord) -> Domain | None:
        """Reads the dataset and writes the domain, all of it or nothing.

        Returns:
            The domain; None in all but the first of several processes.
        """
        import torch

        with join(torch.device("cpu")) as (world, _):
            world.broadcast(lambda: self._require_possible(world))
            place: AbstractContextManager[str | Path] = (
                domain_folder(self.output, self.reader.extras, overwrite=self.overwrite)
                if world.writes
                else tempfile.TemporaryDirectory()
            )
            with place as folder, self.journals(world) as journals:
                found = self._read_all(Path(folder), journals, world)
                if world.writes:
                    self._write(Path(folder), *found)
                    record.write(folder)
        return load_domain(self.output) if world.writes else None

    def _require_possible(self, world: World) -> None:
        require_replaceable(self.output, self.reader.extras, overwrite=self.overwrite)
        if world.size > 1 and not self.reader.resumable:
            raise ConfigError(
                f"{self.reader.name} is prepared by one process, of which `workers` share what takes long; start it "
                "without torchrun"
            )

    def _read_all(self, folder: Path, journals: Path | None, world: World) -> tuple[Dataset, Reading, Reading | None]:
        """The dataset and its parts, which the first process alone has whole; see :class:`Context` for ``folder``."""
        cache = self.output.with_name(f"{self.output.name}.cache")
        context = Context(folder, cache, self.min_area, self.workers, self.label_frame())
        dataset = world.together(lambda: self.reader.read(self.options(), context))
        train = self._read(dataset, dataset.train, "train", journals, world)
        val = None if dataset.val is None else self._read(dataset, dataset.val, "val", journals, world)
        return dataset, train, val

    def _write(self, folder: Path, dataset: Dataset, train: Reading, val: Reading | None) -> None:
        novel = self._given("novel")
        names = None if novel is None else read_names(novel)
        fraction = self._given("novel_fraction")
        domain = build_domain(
            dataset.title or self.output.name,
            train,
            val,
            val_fraction=self._given("val_fraction") or VAL_FRACTION,
            novel=dataset.novel if names is None and fraction is None else names,
            novel_fraction=fraction,
            seed=self.seed,
            template=self.template,
            values=dataset.values,
        )
        domain.info.update(dataset.info)
        write_domain(folder, domain)
        write_contact_sheet(folder / PREVIEW, [*domain.train, *domain.val], domain.vocabulary.names)

    def journals(self, world: World) -> AbstractContextManager[Path | None]:
        """The folder that keeps what was read so far; None: nothing is kept."""
        return nullcontext()

    def label_frame(self) -> Exif | None:
        """The frame that labels of pictures with an EXIF orientation are drawn in, where the user says it."""
        return None

    def _taken(self) -> set[str]:
        """The common settings that the reader has taken over."""
        return {field.name for field in dataclasses.fields(self.reader.options)}

    def _given(self, name: str) -> Any:
        return None if name in self._taken() else getattr(self, name)

    def _read(self, dataset: Dataset, split: Split[Any], part: str, journals: Path | None, world: World) -> Reading:
        """Reads a part, in several processes each its share of what no earlier run has read."""
        items, read, images = list(split.items), split.read, list[ImageReading]()
        if read is None:
            images = items
        else:
            journal = Journal(journals, part, items, world.rank)
            todo = world.broadcast(lambda: journal.load().todo)
            journal.todo, progress = todo[world.share(len(todo))], f"reading {part}" if world.writes else None
            world.together(lambda: read_images(read, items, journal, workers=self.workers, progress=progress))
            if world.writes:
                images = (journal if world.size == 1 else Journal(journals, part, items).load()).images()
        return Reading(dataset.names, images, dict(dataset.raw_names), split.unlabelled)


@dataclass(frozen=True, kw_only=True)
class PrepareImages(Prepare):
    """The settings of readers whose images are read one by one, so that an interrupted run can go on."""

    resume: bool = False
    """Go on where an interrupted run with the same flags stopped, and keep what was read if this one stops too."""
    exif: Exif | None = None
    """What labels of pictures with an EXIF orientation are drawn on: turned, as viewers show them, or stored. Default:
    as their sizes say; labels that fit only the stored pixels, or both, are refused."""

    def label_frame(self) -> Exif | None:
        """See :meth:`Prepare.label_frame`."""
        return self.exif

    def check(self) -> None:
        """Also looks whether what is to be gone on with is of the same settings."""
        super().check()
        folder = self._partial()
        if not self.resume or not (folder / FLAGS).is_file():
            return
        known = read_json(folder / FLAGS, f"remove {folder} to begin again")
        if difference := self._inputs().difference(known):
            raise ConfigError(
                f"{folder} is of a run with other settings: {difference}; give the same ones, or leave `resume` out"
            )

    @contextmanager
    def journals(self, world: World) -> Iterator[Path | None]:
        """A folder beside the output: a kill leaves it, also of another process, and with ``resume`` an error."""
        folder, kept = self._partial(), self.resume
        world.broadcast(lambda: self._begin(folder))
        try:
            yield folder
            kept = False
        except LostProcessError:
            kept = True
            raise
        finally:
            if world.writes and not kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _begin(self, folder: Path) -> None:
        if not self.resume:
            shutil.rmtree(folder, ignore_errors=True)
        write_json(folder / FLAGS, self._inputs().record())

    def _partial(self) -> Path:
        return self.output.with_name(f".{self.output.name}.partial")

    def _inputs(self) -> Inputs:
        """The settings, and the files that they name; the pictures' own are the journals' business."""
        settings: dict[str, Any] = plain(self)
        ways = ("overwrite", "resume", "workers")
        values = {f"`{name}`": value for name, value in settings.items() if name not in ways}
        return Inputs({f"the file of {name}": Path(v) for name, v in values.items() if names_file(v)}, values)


@cache
def run_of(reader: Reader[Any]) -> type[Prepare]:
    """The run of a reader: a dataclass of the settings of all readers and its own."""
    base = PrepareImages if reader.resumable else Prepare
    body = {
        "__doc__": reader.options.__doc__,
        "__module__": __name__,
        "__post_init__": base.__post_init__,
        "reader": reader,
    }
    kind = type(reader.options.__name__, (reader.options, base), body)
    return dataclass(frozen=True, kw_only=True)(kind)


def prepare(reader: str | Reader[Any], /, **settings: Any) -> Domain | None:
    """Turns a labelled dataset into a domain folder, as ``opendas-prepare`` does.

    Args:
        reader: the name of a dataset's layout, such as "folders", or a reader.
        settings: those of :class:`Prepare` and the reader's own, such as ``output`` and ``images``; see
            ``opendas-prepare NAME --help``. Names may also be given as lists.

    Returns:
        The domain as it lies in ``output``; None in all but the first of several processes.

    Raises:
        ConfigError: no such reader, or settings that do not go together.
        MissingFileError, DataError: the dataset is not as it should be.
        OutputError: ``output`` cannot be written, or holds something else.
    """
    return run_of(registry.get(reader) if isinstance(reader, str) else reader)(**settings)()
