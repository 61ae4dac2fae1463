"""Finds a folder of pictures and one of label maps that belong together, for ``opendas-prepare auto``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from opendas_plugin.data.images import IMAGE_SUFFIXES, LABEL_SUFFIXES, read_colours, read_labels
from opendas_plugin.errors import OpenDASError
from opendas_plugin.files import find_files
from opendas_plugin.readers.reader import Sighting

_TABLES = ("labelmap.txt", "classes.txt", "class_names.txt", "labels.txt", "names.txt", "label_colors.txt")
_SPLITS = (("train", "val"), ("train", "valid"), ("training", "validation"))
_HINT = re.compile("label|mask|annot|seg|gt|truth", re.IGNORECASE)
"""What folders of label maps are called, where the pictures have few colours too."""
_LOOKED_AT = 5  # label maps
_LAST, _GREYS = 255, 64  # the last value of 8 bits; a grey photo has more than so many
_MOST = 40  # sub-folders


def look(folder: Path) -> Sighting | None:
    """Two sub-folders, one of pictures and one of label PNGs whose names fit them."""
    if (masks := _masks_alone(folder)) is not None:
        return masks
    files = {path: _stems(path) for path in sorted(folder.iterdir())[:_MOST] if path.is_dir()}
    pairs = [
        (images, labels, suffix)
        for images, (pictures, _) in files.items()
        for labels, (_, maps) in files.items()
        if images != labels and (suffix := _suffix(pictures, maps)) is not None
        if _are_maps(maps) and not _is_map(pictures[min(maps).removesuffix(suffix)])
    ]
    if not pairs:
        return None
    pairs.sort(key=lambda pair: (_values(files[pair[1]][1])[1], not _HINT.search(pair[1].name)))
    images, labels, suffix = next((pair for pair in pairs if "train" in pair[0].name), pairs[0])
    options: dict[str, Any] = {"images": images, "labels": labels, "label_suffix": suffix}
    apart = next((pair for pair in pairs if pair[0].name.startswith("val") and images.name.startswith("train")), None)
    if apart is not None:
        options.update(val_images=apart[0], val_labels=apart[1])
    for train, val in _SPLITS:
        if all((one / part).is_dir() for one in (images, labels) for part in (train, val)):
            options.update(images=images / train, labels=labels / train)
            options.update(val_images=images / val, val_labels=labels / val)
    values, in_colours = _values(files[labels][1])
    table = next((folder / name for name in _TABLES if (folder / name).is_file()), None)
    options["classes"] = table or folder / "classes.txt"
    if _LAST in values and not in_colours:
        options["ignore"] = (_LAST,)
    reason = f"{images.name} has pictures and {labels.name} label maps of the same names"
    return Sighting(reason, options, 2, "" if table else _lacks(folder, values, in_colours))


def _masks_alone(folder: Path) -> Sighting | None:
    """CVAT's segmentation masks, whose export leaves the images out unless it is told to save them."""
    images, labels, table = folder / "JPEGImages", folder / "SegmentationClass", folder / "labelmap.txt"
    if images.exists() or not labels.is_dir() or not table.is_file():
        return None
    return Sighting(
        "SegmentationClass and labelmap.txt are CVAT's segmentation masks",
        {"images": images, "labels": labels, "classes": table},
        6,
        f"put the images into {images} first: they were not saved with the export",
    )


def _stems(folder: Path) -> tuple[Mapping[str, Path], Mapping[str, Path]]:
    """The pictures and the files that may be label maps of a folder, by path without suffix."""
    try:
        return find_files(folder, IMAGE_SUFFIXES), find_files(folder, LABEL_SUFFIXES)
    except OpenDASError:
        return {}, {}


def _suffix(pictures: Mapping[str, Path], maps: Mapping[str, Path]) -> str | None:
    """What the names of label maps have behind those of their pictures, often nothing; None: they are not of them."""
    if not pictures or not maps:
        return None
    first = min(maps)
    found = [stem for stem in pictures if first.startswith(stem)]
    suffix = first.removeprefix(max(found, key=len)) if found else None
    if suffix is None or not all(stem.endswith(suffix) for stem in maps):
        return None
    return suffix if all(stem.removesuffix(suffix) in pictures for stem in maps) else None


def _are_maps(maps: Mapping[str, Path]) -> bool:
    """Whether the first files have few values, as photos never do."""
    try:
        values, _ = _values(maps)
    except OpenDASError:
        return False
    return len(values) <= _LAST + 1


def _is_map(path: Path) -> bool:
    """Whether a picture has one channel of few values, so that it is a label map itself."""
    try:
        return len(np.unique(read_labels(path))) <= _GREYS
    except OpenDASError:
        return False


def _values(maps: Mapping[str, Path]) -> tuple[list[int], bool]:
    """The values of a few label maps, and whether they are colours."""
    some, in_colours = [*maps.values()][:: max(1, len(maps) // _LOOKED_AT)][:_LOOKED_AT], False
    try:
        found = [read_labels(path) for path in some]
    except OpenDASError:
        found, in_colours = [read_colours(path) for path in some], True
    return sorted({value for values in found for value in np.unique(values).tolist()}), in_colours


def _lacks(folder: Path, values: list[int], in_colours: bool) -> str:
    """What is to be written into the file of classes."""
    if in_colours:
        return (
            f"write {folder / 'classes.txt'} first: a line such as `door 120 60 20` for each of {len(values)} colours"
        )
    names = [value for value in values if value != _LAST]
    return (
        f"write {folder / 'classes.txt'} first: one name a line, in the order of the label values (a few maps have "
        f"{min(names, default=0)} to {max(names, default=0)})"
    )
