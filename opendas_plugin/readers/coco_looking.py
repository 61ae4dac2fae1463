"""Finds COCO's JSON files and their pictures in a folder, for ``opendas-prepare auto``."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opendas_plugin.data.picture_finding import Pictures
from opendas_plugin.errors import OpenDASError
from opendas_plugin.files import holds_text
from opendas_plugin.readers.reader import Sighting

_DEPTH = 3
_MOST = 200  # folders and files that are looked into
_NAME = re.compile(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')
_TRAIN, _VAL = re.compile("train", re.IGNORECASE), re.compile("val", re.IGNORECASE)


def look(folder: Path) -> Sighting | None:
    """JSON files with ``images``, ``annotations`` and ``categories``, and the folder in which their pictures lie."""
    folders, files = _below(folder)
    found = [path for path in files if holds_text(path, '"images"', '"annotations"', '"categories"')]
    found = [path for path in found if holds_text(path, '"segmentation"') or holds_text(path, '"segments_info"')]
    if not found:
        return None
    named = {path: path.relative_to(folder).as_posix() for path in found}
    val = next((path for path in found if _VAL.search(named[path]) and not _TRAIN.search(named[path])), None)
    train = next((path for path in found if _TRAIN.search(named[path])), None)
    train = train or next((path for path in found if path != val), found[0])
    options = _options(train, folder, folders, "")
    if val is not None and val != train and holds_text(val, '"segments_info"') == ("panoptic_json" in options):
        apart = _options(val, folder, folders, "val_")
        options.update(
            {name: value for name, value in apart.items() if options.get(name.removeprefix("val_")) != value}
        )
    return Sighting(f"{named[train]} has COCO's images, annotations and categories", options, 7)


def _below(folder: Path) -> tuple[list[Path], list[Path]]:
    """The first folders and JSON files of a folder, to some depth, those that lie higher first."""
    folders, files, level = [folder], [], [folder]
    for _ in range(_DEPTH):
        entries = sorted(entry for one in level for entry in _entries(one))
        files += [entry for entry in entries if entry.suffix == ".json" and entry.is_file()]
        level = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")][:_MOST]
        folders += level
    return folders[:_MOST], files[:_MOST]


def _entries(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError:  # one that may not be read
        return


def _options(path: Path, folder: Path, folders: list[Path], prefix: str) -> dict[str, Any]:
    """The settings for one JSON file."""
    names = _names(path)
    if holds_text(path, '"segments_info"'):
        pngs = [name for name in names if name.endswith(".png")]
        pictures = [name for name in names if name not in pngs] or pngs
        return {
            f"{prefix}panoptic_json": path,
            f"{prefix}panoptic_dir": _place(pngs, [path.with_suffix(""), *folders]) or path.with_suffix(""),
            f"{prefix}images": _place(pictures, folders) or folder,
        }
    return {f"{prefix}instances_json": path, f"{prefix}images": _place(names, [path.parent, *folders]) or folder}


def _names(path: Path) -> list[str]:
    """The first and the last file names of a JSON file, which may be too large to be read at once."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        parts = (content[: 1 << 20], content[-(1 << 20) :])
    return list(dict.fromkeys(json.loads(found) for part in parts for found in _NAME.findall(part)))


def _place(names: list[str], folders: list[Path]) -> Path | None:
    """The folder in which a few of the pictures lie, as they are named; else the one below which they are found."""
    some = [*names[:3], *names[-3:]]
    for folder in folders:
        if some and all((folder / name).is_file() for name in some):
            return folder
    for folder in reversed(folders):
        try:
            if some and Pictures(folder).find(some[0]):
                return folder
        except OpenDASError:
            continue
    return None
