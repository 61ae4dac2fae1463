"""Features that a program keeps on disk under a name that says nothing of the adapter: below the switch, apart.

A file of features named after the backbone, or after the list of names, is taken again whatever CLIP made it: features
of plain CLIP stand for those of an adapter, or image features of one meet text features of the other. The files of
known programs (:mod:`opendas_plugin.switch.hosts`) therefore lie in a folder of each adapter, outside the program.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opendas_plugin.errors import AdapterError, DataError
from opendas_plugin.files import cache_home, read_json, write_json
from opendas_plugin.model.adapter import WEIGHTS_FILE, read_config
from opendas_plugin.model.naming import CONFIG_FILE
from opendas_plugin.switch.saying import say

RECORD = "opendas_features.json"
FORMAT = 1


def adapter_sha256(folder: Path) -> str:
    """SHA-256 of an adapter's two files, one behind the other.

    Raises:
        AdapterError: one cannot be read.
    """
    digest = hashlib.sha256()
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        try:
            with open(folder / name, "rb") as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    digest.update(block)
        except OSError as error:
            raise AdapterError(f"{folder / name} could not be read ({error}); the adapter is damaged") from error
    return digest.hexdigest()


@dataclass
class KeptFeatures:
    """Where the features lie that programs keep below one adapter.

    Args:
        root: the folder, of this adapter alone; a record in it says of which.
        record: what the record says.
        models: names the CLIPs that the process has been given, in a word that can be a folder's name.
    """

    root: Path
    record: dict[str, Any]
    models: Callable[[], str]
    _said: set[Path] = field(default_factory=set)

    @classmethod
    def of(
        cls, adapter: Path, models: Callable[[], str], *, identity: bool = False, root: str | Path | None = None
    ) -> KeptFeatures:
        """Those below an adapter's folder; nothing is written yet.

        Args:
            adapter: the folder.
            models: see the class.
            identity: nothing of the adapter is at work, so that the features are plain CLIP's.
            root: where; None: in the user's cache, by the adapter's hash.
        """
        sha256 = adapter_sha256(adapter)
        record = {"format": FORMAT, "adapter_sha256": sha256, "identity": identity, "adapter": str(adapter)}
        record |= {"backbone": read_config(adapter).backbone}
        home = cache_home() / "features" / f"{sha256[:16]}{'-identity' if identity else ''}"
        return cls(Path(home if root is None else root).expanduser().resolve(), record, models)

    def check(self) -> None:
        """Looks whether the folder, where it is there, is this adapter's.

        Raises:
            AdapterError: it is another's, or does not say whose.
        """
        advice = "give another folder as `features`, or remove this one"
        if not self.root.is_dir() or all(path.name.startswith(".") for path in self.root.iterdir()):
            return  # another process may be about to write its record
        try:
            found = read_json(self.root / RECORD)
        except (DataError, OSError) as error:
            raise AdapterError(
                f"{self.root} holds files, but no {RECORD} that says which adapter's features they are; {advice}"
            ) from error
        found = found if isinstance(found, dict) else {}
        if any(found.get(name) != self.record[name] for name in ("format", "adapter_sha256", "identity")):
            raise AdapterError(f"{self.root} keeps features of {_whose(found)}, not of {_whose(self.record)}; {advice}")

    def place(self, host: str, path: str | os.PathLike[str]) -> Path:
        """Returns the path that stands in for a program's own, in a folder that is there.

        Args:
            host: the program's name.
            path: of a file or folder of features, as the program has it; one that stands in already stays.

        Raises:
            AdapterError: see :meth:`check`.
            OutputError: the folder cannot be written.
        """
        own = Path(os.path.abspath(path))  # noqa: PTH100  (links that the program follows stay as they are)
        if own.is_relative_to(self.root):
            return Path(path)
        self.check()
        if not (self.root / RECORD).is_file():
            write_json(self.root / RECORD, self.record)
        parent = f"{own.parent.name}-{hashlib.sha256(os.fsencode(own.parent)).hexdigest()[:12]}"
        found = self.root / self.models() / host / parent / own.name
        found.parent.mkdir(parents=True, exist_ok=True)
        if own not in self._said:
            self._said.add(own)
            self._say(host, own, found)
        return found

    def _say(self, host: str, own: Path, found: Path) -> None:
        say("%s keeps its features of this adapter in %s", host, found, level=logging.INFO)
        if os.path.lexists(own):
            say("%s is there, of plain CLIP or another adapter: it is neither read nor written", own)


def _whose(record: dict[str, Any]) -> str:
    which = "plain CLIP (identity) below the adapter" if record.get("identity") else "the adapter"
    return f"{which} {record.get('adapter')} ({str(record.get('adapter_sha256'))[:12]})"
