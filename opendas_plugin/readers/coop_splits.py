"""Datasets of whole pictures with one name each, by the split files of CoOp (Zhou et al., IJCV 2022), or without.

A split file, ``split_zhou_<Dataset>.json`` of github.com/KaiyangZhou/CoOp, holds ``train``, ``val`` and ``test``, each
a list of ``[path, label, name]``. Its base-to-new protocol takes the first half of the labels, rounded up, as base;
``train`` is learnt from and ``test`` judged by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from opendas_plugin.data.images import read_image
from opendas_plugin.data.reading import ImageReading
from opendas_plugin.errors import DataError
from opendas_plugin.files import read_json, require_unique
from opendas_plugin.readers.reader import Context, Dataset, Split

SPLITS = "splits"
"""In ``domain.json``: whose splits a domain of whole pictures has."""
COOP = "CoOp's"
DRAWN = "drawn here"


@dataclass(frozen=True)
class Named:
    """A picture and its name.

    Args:
        image: its path.
        label: the number of the name, from 0.
        name: the name.
    """

    image: Path
    label: int
    name: str


def read_split(path: Path, images: Path) -> dict[str, list[Named]]:
    """Reads a split file.

    Args:
        path: the file.
        images: folder that its paths are relative to.

    Returns:
        The pictures of ``train`` and ``test``.

    Raises:
        MissingFileError, DataError: no such file; it is no split file; a path leads out of the folder or is listed
            twice; a number has two names, or a name two numbers.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in ("train", "test")):
        raise DataError(f'{path}: expected CoOp\'s {{"train": [...], "val": [...], "test": [...]}}; download it again')
    found = {part: [_entry(entry, path, images) for entry in content[part]] for part in ("train", "test")}
    everything = [entry for part in found.values() for entry in part]
    if not everything:
        raise DataError(f"{path} lists no picture; download it again")
    require_unique((entry.image for entry in everything), f"{path}: the picture")
    numbers: dict[str, int] = {}
    names: dict[int, str] = {}
    for entry in everything:
        if names.setdefault(entry.label, entry.name) != entry.name:
            raise DataError(
                f"{path}: the label {entry.label} has the names {names[entry.label]!r} and {entry.name!r}; it is no "
                "split file of CoOp as published"
            )
        if numbers.setdefault(entry.name, entry.label) != entry.label:
            raise DataError(f"{path}: the name {entry.name!r} has two labels; it is no split file of CoOp as published")
    return found


def draw_split(images: Path, names: Mapping[str, str]) -> dict[str, list[Named]]:
    """Draws 50% of each name's pictures to learn from and 30% to judge by, as CoOp's rule is, with a seed of our own.

    Args:
        images: folder with a folder for each name.
        names: folder -> name, for those that are called otherwise.

    Raises:
        DataError: no folder holds a picture.
    """
    found: dict[str, list[Named]] = {"train": [], "test": []}
    folders = sorted(path for path in images.iterdir() if path.is_dir() and not path.name.startswith("."))
    for label, folder in enumerate(folders):
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        order = np.random.default_rng(label).permutation(len(files)).tolist()
        first, last = round(0.5 * len(files)), round(0.7 * len(files))
        for part, places in (("train", order[:first]), ("test", order[last:])):
            name = names.get(folder.name, folder.name.replace("_", " "))
            found[part] += [Named(files[place], label, name) for place in sorted(places)]
    if not found["test"]:
        raise DataError(f"{images} holds no folders of pictures; check the folder")
    return found


def whole_pictures(found: Mapping[str, Sequence[Named]], context: Context, title: str, splits: str) -> Dataset:
    """A dataset whose segments are whole pictures: the first half of the labels, rounded up, is base.

    Args:
        found: the pictures of ``train`` and ``test``.
        context: of the run.
        title: of the domain.
        splits: whose splits these are, for ``domain.json``.
    """
    by_label = {entry.label: entry.name for part in found.values() for entry in part}
    names = tuple(by_label[label] for label in sorted(by_label))

    def read_one(entry: Named) -> ImageReading:
        reading, size = ImageReading(entry.image.stem), read_image(entry.image).shape[:2]
        reading.add(entry.image, np.ones(size, dtype=bool), entry.name, min_area=context.min_area)
        return reading

    return Dataset(
        names,
        Split(list(found["train"]), read_one),
        Split(list(found["test"]), read_one),
        novel=names[(len(names) + 1) // 2 :],
        title=title,
        info={SPLITS: splits},
    )


def _entry(entry: Any, path: Path, images: Path) -> Named:
    if not isinstance(entry, list) or [type(value) for value in entry] != [str, int, str]:
        raise DataError(f"{path}: expected entries [path, label, name], got {entry!r:.80}; download it again")
    inner = PurePosixPath(entry[0])
    if inner.is_absolute() or ".." in inner.parts:
        raise DataError(f"{path}: {entry[0]!r:.80} leads out of {images}; it is no split file of CoOp as published")
    return Named(images / inner, entry[1], entry[2].replace("_", " "))
