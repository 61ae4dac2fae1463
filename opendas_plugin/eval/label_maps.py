"""The two sides of a semantic evaluation, read from files: predicted class maps and the label maps they are held to."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from opendas_plugin.data.images import read_labels
from opendas_plugin.data.segments import check_rle
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.eval.semantic import NONE
from opendas_plugin.files import read_json

ClassMap = NDArray[np.int64]
Readers = dict[str, Callable[[], ClassMap]]
"""Path without suffix -> a function that reads or paints the map."""

_SUFFIXES = (".png", ".tif", ".tiff")  # more than 255 classes are often stored as TIFF
_UNUSED = 255  # in a predicted PNG, where it is no class: a pixel without a prediction

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelling:
    """How stored values become class indices.

    Args:
        classes: N, the number of classes.
        ignore: label values to ignore.
        offset: the label value of the first class, such as 1 where 0 means "other".
        prediction_offset: likewise of predicted values and category ids.
    """

    classes: int
    ignore: tuple[int, ...] = (255,)
    offset: int = 0
    prediction_offset: int = 0

    def labels(self, path: Path) -> ClassMap:
        """Reads a label map: (H, W) class indices, ``NONE`` where the pixel is ignored.

        Raises:
            MissingFileError, DataError: the file cannot be read, or holds a value that is no class and not ignored.
        """
        stored = read_labels(path)
        ignored = np.isin(stored, self.ignore)
        return np.where(ignored, NONE, self._indices(stored, self.offset, ~ignored, path, "pass --ignore or --offset"))

    def predictions(self, path: Path) -> ClassMap:
        """Reads a predicted PNG likewise; values below the offset, and 255, are pixels without a prediction.

        Raises:
            MissingFileError, DataError: the file cannot be read, or holds a value that is no class.
        """
        stored = read_labels(path)
        there = stored >= self.prediction_offset
        if self.classes + self.prediction_offset <= _UNUSED:
            there &= stored != _UNUSED
        return np.where(there, self._indices(stored, self.prediction_offset, there, path, "check `num_classes`"), NONE)

    def _indices(self, stored: ClassMap, offset: int, used: NDArray[np.bool_], path: Path, advice: str) -> ClassMap:
        indices = stored - offset
        odd = used & ((indices < 0) | (indices >= self.classes))
        if odd.any():
            raise DataError(
                f"{path}: value {stored[odd][0]} is not one of the {self.classes} classes, {offset} to "
                f"{offset + self.classes - 1}; {advice}"
            )
        return indices


def map_files(folder: Path) -> dict[str, Path]:
    """The PNGs and TIFFs in a folder and its sub-folders: path without suffix, with forward slashes -> file.

    Raises:
        MissingFileError: there is no such folder, or no label map in it.
    """
    found = {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    }
    if not found:
        raise MissingFileError(f"{folder} is not a folder with PNG or TIFF label maps; check the path")
    return found


def pairs(predictions: Path, ground_truth: Path, labelling: Labelling) -> Iterator[tuple[str, ClassMap, ClassMap]]:
    """Yields stem, true classes (H, W) and predicted classes (H, W) of every label map, in the order of the stems.

    Args:
        predictions: ``sem_seg_predictions.json`` of detectron2 and OVSeg (a list of ``file_name``, ``category_id``
            and ``segmentation``, COCO run-length code), or a folder of PNGs.
        ground_truth: folder of label PNGs. A prediction belongs to the label map of its path without suffix, as far
            as the label map's path in its folder goes.
        labelling: how values become classes.

    Raises:
        MissingFileError: a file is missing, or a label map has no prediction.
        DataError: a file does not hold what it should, or the sizes of a pair differ.
    """
    maps = map_files(ground_truth)
    readers: Readers
    if predictions.is_dir():
        readers = {stem: partial(labelling.predictions, path) for stem, path in map_files(predictions).items()}
    else:
        readers = _readers_of_json(predictions, labelling)
    chosen = match(readers, maps)
    missing = [stem for stem in maps if stem not in chosen]
    if missing:
        raise MissingFileError(
            f"{predictions} has no prediction for {maps[missing[0]]} ({len(missing)} such label maps of {len(maps)}); "
            "predict all images, or give a folder with the label maps of those predicted"
        )
    if len(chosen) < len(readers):
        logger.warning("%d predictions have no label map and are left out", len(readers) - len(chosen))
    for stem, path in maps.items():
        labels, predicted = labelling.labels(path), chosen[stem]()
        if labels.shape != predicted.shape:
            sizes = [f"{shape[1]}x{shape[0]}" for shape in (predicted.shape, labels.shape)]
            raise DataError(f"{path}: the prediction is {sizes[0]}, the label map {sizes[1]}; predict at its size")
        yield stem, labels, predicted


def match(readers: Readers, stems: Collection[str]) -> Readers:
    """Finds the prediction of each stem by the longest end of the prediction's path that is one.

    Raises:
        DataError: two predictions have one stem.
    """
    found: dict[str, str] = {}
    for name in readers:
        parts = PurePosixPath(name).parts
        stem = next((end for start in range(len(parts)) if (end := "/".join(parts[start:])) in stems), None)
        if stem is None:
            continue
        if stem in found:
            raise DataError(f"predictions {found[stem]} and {name} both belong to the label map {stem}; keep one")
        found[stem] = name
    return {stem: readers[name] for stem, name in found.items()}


def _readers_of_json(path: Path, labelling: Labelling) -> Readers:
    content = read_json(path)
    segments: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for place, entry in enumerate(content if isinstance(content, list) else [content]):
        fault = _fault(entry, labelling)
        if fault is not None:
            raise DataError(f"{path}, entry {place + 1}: {fault}")
        segments[PurePosixPath(entry["file_name"].replace("\\", "/")).with_suffix("").as_posix()].append(entry)
    return {
        name: partial(_paint, entries, labelling.prediction_offset, f"{path}, {name}")
        for name, entries in segments.items()
    }


def _fault(entry: Any, labelling: Labelling) -> str | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str):
        return 'expected {"file_name": ..., "category_id": ..., "segmentation": {"size": ..., "counts": ...}}'
    category, first = entry.get("category_id"), labelling.prediction_offset
    if type(category) is not int or not first <= category < first + labelling.classes:
        last = first + labelling.classes - 1
        return f"category_id {category!r} is not one of the classes, {first} to {last}; check `num_classes`"
    return check_rle(entry.get("segmentation"))


def _paint(entries: list[Mapping[str, Any]], offset: int, where: str) -> ClassMap:
    sizes = {tuple(entry["segmentation"]["size"]) for entry in entries}
    if len(sizes) > 1:
        raise DataError(f"{where}: expected masks of one size, got {sorted(sizes)}")
    painted = np.full(sizes.pop(), NONE, dtype=np.int64)
    for entry in entries:
        painted[coco_mask.decode(entry["segmentation"]).view(bool)] = entry["category_id"] - offset
    return painted
