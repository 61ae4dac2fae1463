"""Parts of a work that several processes make between them, each a file that is written whole or not at all.

They lie in a folder that all processes see. Where a process was lost, a further run makes the parts that are missing,
with any number of processes.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.files import atomic_file, read_json, write_json
from opendas_plugin.stamps import Inputs

INPUTS = "inputs.json"

logger = logging.getLogger(__name__)


class Parts:
    """The folder of the parts.

    Args:
        folder: made when the work begins.
        inputs: what the work is made from; only parts of the same are gone on with.
        what: a word for the work, for errors.
    """

    def __init__(self, folder: Path, inputs: Inputs, what: str) -> None:
        self.folder, self.inputs, self.what = folder, inputs, what

    @property
    def are_there(self) -> bool:
        """Whether an earlier run has left some."""
        return (self.folder / INPUTS).is_file()

    def begin(self) -> None:
        """Looks whether parts that are there are of the same work.

        Raises:
            ConfigError: they are not.
            DataError: what they are of cannot be read.
            OutputError: the folder cannot be written.
        """
        damaged = f"remove {self.folder} to begin again"
        if self.are_there and (difference := self.inputs.difference(read_json(self.folder / INPUTS, damaged))):
            raise ConfigError(
                f"{self.folder} holds parts of another {self.what}, which was not finished: {difference}; remove it, "
                "or choose another `output`"
            )
        write_json(self.folder / INPUTS, self.inputs.record())

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those that are still to be made."""
        found = [name for name in names if not self._path(name).is_file()]
        if len(found) < len(names):
            logger.info("%d of %d parts are done already", len(names) - len(found), len(names))
        return found

    def write(self, name: str, **arrays: Any) -> None:
        """Writes a part."""
        with atomic_file(self._path(name)) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)

    def read(self, name: str) -> Mapping[str, NDArray]:
        """Reads a part.

        Raises:
            DataError: it is damaged.
        """
        try:
            with np.load(self._path(name), allow_pickle=False) as content:
                return dict(content)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{self._path(name)} cannot be read ({error}); remove it and run again") from error

    def discard(self) -> None:
        """Removes the parts of a finished work."""
        if self.are_there:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"
