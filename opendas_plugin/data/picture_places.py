"""Where the pictures of a prepared domain lie, although the domain, or they, have moved since."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from opendas_plugin.errors import ConfigError, DataError, MissingFileError
from opendas_plugin.files import read_json


@dataclass(frozen=True)
class PicturePlaces:
    """Finds a picture by its path relative to the domain's folder.

    Args:
        folder: the domain's folder, as it is now.
        before: the folder that it was when it was prepared; None: not known.
        root: the folder that all pictures lay under, relative to the domain's; None: not known.
        moved_to: where ``root`` is now; None: where it was.
    """

    folder: Path
    before: Path | None = None
    root: str | None = None
    moved_to: Path | None = None

    @classmethod
    def of(cls, folder: Path, root: Any, images_root: str | Path | None = None) -> PicturePlaces:
        """By what a domain says of itself, and by what the user says.

        Args:
            folder: the domain's.
            root: as :func:`common_root` gave it; something else: not known.
            images_root: where it is now.

        Raises:
            ConfigError: nothing says what ``images_root`` stands in for, or it is no folder.
        """
        root = root if isinstance(root, str) else None
        if images_root is not None and root is None:
            raise ConfigError(
                f"{folder} does not say which folder its pictures lay under, so `images_root` cannot stand in for it; "
                "put the pictures back, or prepare the data again"
            )
        if images_root is not None and not Path(images_root).is_dir():
            raise ConfigError(f"`images_root` must be a folder, got {images_root}")
        return cls(folder, _prepared_in(folder), root, Path(images_root) if images_root else None)

    def find(self, name: str) -> Path:
        """Where the picture ``name`` of a manifest is; where it should be, if it is nowhere."""
        if self.moved_to is not None and self.root is not None:
            return self.moved_to / os.path.relpath(PurePosixPath(name), self.root)
        here = self.folder / name
        if self.before is None or here.is_file():
            return here
        there = Path(os.path.normpath(self.before / name))
        return there if there.is_file() else here


def common_root(folder: Path, images: Collection[Path]) -> str | None:
    """The folder that pictures lie under, relative to a domain's; None: they are on several drives."""
    absolute = folder.resolve()
    try:
        root = os.path.commonpath([image.parent.resolve() for image in images])
        return Path(os.path.relpath(root, absolute)).as_posix()
    except ValueError:
        return None


def _prepared_in(folder: Path) -> Path | None:
    """The folder that a domain was written into, by its ``run.json``; None: it does not say so."""
    try:
        run = read_json(folder / "run.json")
        return Path(run["directory"], run["config"]["output"]).resolve()
    except (MissingFileError, DataError, KeyError, TypeError):
        return None
