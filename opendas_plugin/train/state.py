"""Checkpoints: one file that holds all a run needs to go on exactly where it was.

``RUN/checkpoint.safetensors`` holds the learnt tensors and the optimiser's, and in its header, as JSON, how far the run
is and what it is a run of. It is written beside the old one and renamed over it, so there is always a whole one. No
random state is stored: every draw is made from a seed of its position (see :mod:`opendas_plugin.train.sampling`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.files import atomic_file
from opendas_plugin.vocabulary import Vocabulary

NAME = "checkpoint.safetensors"
FORMAT = 1


@dataclass(frozen=True)
class Position:
    """How far a run is: stages done, and steps done in the next stage."""

    stage: int = 0
    step: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """A run's state.

    Args:
        position: how far the run is.
        tensors: prompts and optimiser state by name, on the CPU.
        identity: what it is a run of, as plain JSON: configuration, and fingerprints of data and backbone.
    """

    position: Position
    tensors: Mapping[str, Tensor]
    identity: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """Writes the checkpoint, the old one staying whole until the new one is.

        Raises:
            OutputError: it could not be written.
        """
        header = {"format": FORMAT, "position": asdict(self.position), "identity": self.identity}
        with atomic_file(folder / NAME) as path:
            try:
                save_file(dict(self.tensors), path, metadata={"opendas": json.dumps(header, sort_keys=True)})
            except SafetensorError as error:  # its message ends with the system's, such as a full disk
                raise OSError(str(error)) from error

    @classmethod
    def load(cls, folder: Path) -> Checkpoint | None:
        """Reads the checkpoint in ``folder``, None where there is none.

        Raises:
            DataError: the file is no checkpoint of this format.
        """
        path = folder / NAME
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads(file.metadata()["opendas"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
            if header["format"] != FORMAT:
                raise DataError(
                    f"{path} has format {header['format']}, expected {FORMAT}; use the version that wrote it"
                )
            return cls(Position(**header["position"]), tensors, header["identity"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path} is damaged ({error}); start again in another folder") from error

    def require(self, identity: Mapping[str, Any], folder: Path) -> None:
        """Checks that the run that wrote this is the one that wants to go on.

        Raises:
            ConfigError: with the first field that differs, and both values.
        """
        ours, theirs = flat(identity), flat(self.identity)
        for name in [*theirs, *(name for name in ours if name not in theirs)]:
            if ours.get(name) != theirs.get(name):
                raise ConfigError(
                    f"cannot go on with the run in {folder}: it has {name} = {theirs.get(name)}, now it is "
                    f"{ours.get(name)}; set it back or choose another output folder"
                )


def fingerprint(segments: Iterable[Segment], vocabulary: Vocabulary) -> str:
    """SHA-256 of the names, and of each segment's mask, label and image file name (the folder may move)."""
    digest = hashlib.sha256(repr((vocabulary.names, vocabulary.novel, vocabulary.template)).encode())
    for segment in segments:
        digest.update(repr((segment.image.name, segment.rle["size"], segment.rle["counts"], segment.label)).encode())
    return digest.hexdigest()


def remove_leftovers(folder: Path) -> None:
    """Deletes the half-written files that a killed process left in ``folder``."""
    for file in folder.glob(".*.tmp"):
        file.unlink(missing_ok=True)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with names joined by dots."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found
