"""Looks which layouts a folder has, and says the command that prepares it."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.readers import registry
from opendas_plugin.readers.reader import Sighting
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import POSITIONAL, Run, function_of

_INNER = 20  # sub-folders of each that are looked into, two levels down, where the folder itself is of no layout

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """A layout that a folder has.

    Attributes:
        layout: the reader's name.
        reason: what in the folder says so.
        command: the line that prepares it, quoted for a shell.
        missing: what is still to be done before, for a sentence; empty: nothing.
        settings: those of the reader, for :func:`opendas_plugin.runs.prepare`.
    """

    layout: str
    reason: str
    command: str
    missing: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Auto(Run[list[Seen]]):
    """Looks into a folder, says which layout it is and why, and prints the command that prepares it; writes nothing."""

    folder: Path = field(metadata=POSITIONAL)
    """The folder as the tool exported it, or as the dataset was unpacked."""

    def work(self, record: RunRecord) -> list[Seen]:
        """Asks every reader.

        Raises:
            MissingFileError, DataError: no such folder, or no reader knows it.
        """
        if not self.folder.is_dir():
            raise MissingFileError(f"{self.folder} is not a folder; check the path, and unpack an archive first")
        for folder in (self.folder, *_inner(self.folder)):
            if found := sorted(_sightings(folder), key=lambda one: -one[1].sureness):
                return [_seen(name, sighting, folder, self.folder) for name, sighting in found]
        wanted = ", ".join(reader.looks_for for reader in registry.readers().values() if reader.looks_for)
        raise DataError(
            f"{self.folder} and its sub-folders have no layout that is known; looked for {wanted}: choose a layout of "
            "opendas-prepare --help, or write a reader (docs/readers.md)"
        )


look = function_of(Auto, "look")


def describe(found: list[Seen]) -> str:
    """What was found as lines: the first layout with its reason and its command, then the others."""
    first, *others = found
    lines = [f"{first.layout}: {first.reason}"]
    lines += [first.missing] if first.missing else []
    lines += [first.command]
    for other in others:
        lines += [f"or {other.layout}: {other.reason}", *([other.missing] if other.missing else []), other.command]
    return "\n".join(lines)


def _inner(folder: Path) -> Iterator[Path]:
    """The folder's own folders, and then theirs: an archive is often unpacked into one of its name, in another one."""

    def own(parent: Path) -> list[Path]:
        return [path for path in sorted(parent.iterdir()) if path.is_dir() and not path.name.startswith(".")][:_INNER]

    first = own(folder)
    yield from first
    for path in first:
        yield from own(path)


def _sightings(folder: Path) -> Iterator[tuple[str, Sighting]]:
    for name, reader in registry.readers().items():
        if reader.look is None:
            continue
        try:
            sighting = reader.look(folder)
        except Exception as error:  # noqa: BLE001 - a stranger's may fail in any way, and the others go on
            log.warning("the reader %r could not look into %s: %s", name, folder, error)
            continue
        if sighting is not None:
            yield name, sighting


def _seen(name: str, sighting: Sighting, folder: Path, given: Path) -> Seen:
    words = ["opendas-prepare", name]
    for setting, value in sighting.options.items():
        if value in (None, "", (), False):
            continue
        words.append("--" + setting.replace("_", "-"))
        if value is not True:
            words += map(str, value) if isinstance(value, list | tuple) else [str(value)]
    words += ["--output", f"runs/data/{folder.resolve().name}"]
    reason = sighting.reason if folder == given else f"in {folder.relative_to(given)}, {sighting.reason}"
    return Seen(name, reason, shlex.join(words), sighting.missing, dict(sighting.options))
