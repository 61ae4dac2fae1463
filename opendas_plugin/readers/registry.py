"""Finds readers: those of this folder, and those that other packages name as entry points."""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from opendas_plugin.errors import ConfigError
from opendas_plugin.readers.reader import Reader

GROUP = "opendas_plugin.readers"

log = logging.getLogger(__name__)


def get(name: str) -> Reader[Any]:
    """The reader of this name.

    Raises:
        ConfigError: there is none, or its package cannot be imported; the message says which package.
    """
    if name in built_in():
        return built_in()[name]
    for entry in entry_points(group=GROUP, name=name):
        return load(entry)
    raise ConfigError(f"there is no reader {name!r}; choose one of {', '.join(readers())}, or install its package")


def readers() -> dict[str, Reader[Any]]:
    """All readers by name, our own first; a package that cannot be used is warned of and left out."""
    found = dict(built_in())
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.name in found:
            log.warning("the reader %r of %s is left out: there is one of this name", entry.name, package_of(entry))
            continue
        try:
            found[entry.name] = load(entry)
        except ConfigError as error:
            log.warning("%s", error)
    return found


def names_of_packages() -> set[str]:
    """Names of the readers that other packages bring, usable or not."""
    return {entry.name for entry in entry_points(group=GROUP)}


@cache
def built_in() -> dict[str, Reader[Any]]:
    """The readers of this folder by name: every module's ``READER``."""
    return {reader.name: reader for reader in _own()}


def load(entry: EntryPoint) -> Reader[Any]:
    """The reader that an entry point names.

    Raises:
        ConfigError: it cannot be imported, or is something else; the message has the package.
    """
    whose = f"the reader {entry.name!r} of {package_of(entry)}"
    try:
        reader = entry.load()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"{whose} cannot be imported ({reason}); update or uninstall that package") from error
    if not isinstance(reader, Reader) or reader.name != entry.name:
        raise ConfigError(f"{whose} is {reader!r:.80}; expected a Reader of this name, as package.module:READER")
    return reader


def package_of(entry: EntryPoint) -> str:
    """The name and version of the distribution that an entry point comes from."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _own() -> Iterator[Reader[Any]]:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)], f"{__package__}."):
        reader = getattr(importlib.import_module(module.name), "READER", None)
        if reader is not None:
            yield reader
