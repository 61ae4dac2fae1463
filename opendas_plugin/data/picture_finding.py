"""Finds the picture that an annotation file names, however the tool that wrote it spells where the picture lay.

Tools write a bare name, a path with slashes or backslashes, a URL, or a path of a server's upload folder, such as
``upload/3/1f2e3d4c-kitchen.jpg`` for the user's ``kitchen.jpg``. The path is looked for in one folder: as it stands,
then without the folders before the name, one after the other, then the name below the folder, where only one file may
have it.
"""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from opendas_plugin.data.images import IMAGE_SUFFIXES
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import find_files

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the names of uploaded files


class Pictures:
    """The pictures of a folder, by what annotation files call them; safe to use from several threads.

    Args:
        folder: where they lie; sub-folders count.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._given: dict[Path, str] = {}

    def find(self, name: str) -> Path:
        """The picture of a name.

        Raises:
            MissingFileError: there is none.
            DataError: several could be meant, or another name is of the same one.
        """
        with self._lock:
            found = self._look(name)
            if found is None:
                raise MissingFileError(
                    f"{self.folder / name} does not exist, and no picture below {self.folder} has its name; check the "
                    "folder of pictures"
                )
            other = self._given.setdefault(found, name)
        if other != name:
            raise DataError(
                f"{other!r} and {name!r} both lead to {found}; give the folder in which both lie, or rename one"
            )
        return found

    def __len__(self) -> int:
        """How many pictures there are."""
        return sum(map(len, self._by_name.values()))

    def _look(self, name: str) -> Path | None:
        whole = self.folder / name
        if _is_file(whole):
            return whole
        if _URL.match(name):
            name = unquote(urlsplit(name).path)
        parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".", "..")]
        for last in dict.fromkeys((parts[-1], _UPLOADED.sub("", parts[-1], count=1))) if parts else ():
            for first in range(len(parts)):
                path = self.folder.joinpath(*parts[first:-1], last)
                if _is_file(path):
                    return path
            below = self._by_name[last]
            if len(below) > 1:
                raise DataError(f"{name!r} may be {below[0]} or {below[1]}; give the folder of the pictures themselves")
            if below:
                return below[0]
        return None

    @cached_property
    def _by_name(self) -> defaultdict[str, list[Path]]:
        found: defaultdict[str, list[Path]] = defaultdict(list)
        if self.folder.is_dir():
            for suffix in IMAGE_SUFFIXES:  # one by one: files that differ in their suffix alone are no trouble here
                for path in find_files(self.folder, (suffix,)).values():
                    found[path.name].append(path)
        return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False
