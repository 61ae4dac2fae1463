"""The two sides of a semantic evaluation, read from files: predicted class maps and the label maps they are held to."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from opendas_plugin.data.images import LABEL_SUFFIXES, read_labels
from opendas_plugin.data.segments import EMPTY, check_rle
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.eval.classification import Confusion
from opendas_plugin.eval.number_tables import doubt
from opendas_plugin.eval.semantic import NONE
from opendas_plugin.files import find_files, read_json
from opendas_plugin.label_values import UNKNOWN, LabelValues
from opendas_plugin.wording import counted

ClassMap = NDArray[np.int64]
Found = TypeVar("Found")
Readers = dict[str, Callable[[tuple[int, ...]], ClassMap]]
"""Path without suffix -> a function that reads or paints the map, of the size (H, W) that it is given."""

_UNUSED = 255  # in a predicted PNG, where it is no class: a pixel without a prediction

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelling:
    """How stored values become class indices; a value that is not in the tables is an error.

    Args:
        labels: the numbers of the classes in label maps, and those to ignore.
        predictions: likewise in predictions; what is ignored there is a pixel without a prediction, and so is 255 in a
            PNG if it is no class.
        labels_stated, predictions_stated: whether somebody said so; else the order of the names is taken for it, and
            :meth:`check_doubt` looks.
    """

    labels: LabelValues
    predictions: LabelValues
    labels_stated: bool = True
    predictions_stated: bool = True

    def read_labels(self, path: Path) -> ClassMap:
        """Reads a label map: (H, W) class indices, ``NONE`` where the pixel is ignored.

        Raises:
            MissingFileError, DataError: the file cannot be read, or holds a value that is no class and not ignored.
        """
        return self._places(path, self.labels, "give it as `ignore`, or state what it means with `label_values`")

    def read_predictions(self, path: Path) -> ClassMap:
        """Reads a predicted PNG likewise, ``NONE`` where there is no prediction.

        Raises:
            MissingFileError, DataError: the file cannot be read, or holds a value that is no class.
        """
        table = self.predictions
        if _UNUSED not in table.place and _UNUSED not in table.ignored:
            table = replace(table, ignored=(*table.ignored, _UNUSED))
        return self._places(path, table, "state what it means with `prediction_values`")

    def check_doubt(self, confusion: Confusion) -> None:
        """Looks at sides whose numbers nobody has stated, after they were counted.

        Raises:
            DataError: the numbers of one side look like a dataset's own ids, with gaps, and those of the other do not.
        """
        seen = [np.flatnonzero(counts).tolist() for counts in (confusion.sum(axis=1), confusion[:, :-1].sum(axis=0))]
        labels = [self.labels.of[place][0] if not self.labels_stated else place for place in seen[0]]
        predicted = [self.predictions.of[place][0] if not self.predictions_stated else place for place in seen[1]]
        for stated, one, other, setting in (
            (self.predictions_stated, predicted, labels, "prediction_values"),
            (self.labels_stated, labels, predicted, "label_values"),
        ):
            dataset = None if stated else doubt(one, other, len(self.labels.of))
            if dataset is not None:
                raise DataError(
                    f"the numbers of one side leave the gaps between {dataset}'s own ids free, and those of the other "
                    f"do not; state what they mean with `{setting}` ({dataset}, places, or a file)"
                )

    def _places(self, path: Path, table: LabelValues, advice: str) -> ClassMap:
        stored = read_labels(path)
        places = table.places_of(stored)
        odd = places == UNKNOWN
        if odd.any():
            which = f"{counted(len(table.of), 'class', 'classes')}, {table.describe()}"
            raise DataError(f"{path}: value {stored[odd][0]} is not one of the {which}; {advice}")
        return places


def map_files(folder: Path) -> dict[str, Path]:
    """The PNGs and TIFFs in a folder and its sub-folders: path without suffix, with forward slashes -> file.

    Raises:
        MissingFileError: there is no such folder, or no label map in it.
        DataError: two files differ in their suffix alone.
    """
    found = find_files(folder, LABEL_SUFFIXES) if folder.is_dir() else {}
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
        readers = {stem: partial(_read, path, labelling) for stem, path in map_files(predictions).items()}
    else:
        readers = _readers_of_json(predictions, labelling)
    chosen = match(readers, maps)
    missing = [stem for stem in maps if stem not in chosen]
    if missing:
        raise MissingFileError(
            f"{predictions} has no prediction for {maps[missing[0]]} ({counted(len(missing), 'such label map')} "
            f"of {len(maps)}); "
            "predict these images too: scoring without them would flatter"
        )
    if len(chosen) < len(readers):
        one, many = "prediction has no label map and is", "predictions have no label map and are"
        logger.warning("%s left out", counted(len(readers) - len(chosen), one, many))
    for stem, path in maps.items():
        labels = labelling.read_labels(path)
        yield stem, labels, chosen[stem](labels.shape)


def check_label_maps(ground_truth: Path, labelling: Labelling) -> None:
    """Reads all label maps of a folder once, so that a bad one is found before long work and not after it.

    Raises:
        MissingFileError, DataError: as :func:`pairs`; also where every pixel is ignored.
    """
    left = False
    for path in map_files(ground_truth).values():
        left |= bool((labelling.read_labels(path) != NONE).any())
    if not left:
        raise DataError(f"{ground_truth}: no pixel is left to score, all are ignored; check `ignore`")


def match(readers: Mapping[str, Found], stems: Collection[str]) -> dict[str, Found]:
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


def without_suffix(name: str) -> str:
    """A picture's path without its suffix, with forward slashes."""
    return PurePosixPath(name.replace("\\", "/")).with_suffix("").as_posix()


def _readers_of_json(path: Path, labelling: Labelling) -> Readers:
    content = read_json(path)
    segments: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    pictures: dict[str, str] = {}
    for place, entry in enumerate(content if isinstance(content, list) else [content]):
        fault = _fault(entry, labelling)
        if fault is not None:
            raise DataError(f"{path}, entry {place + 1}: {fault}")
        picture = PurePosixPath(entry["file_name"].replace("\\", "/"))
        stem = without_suffix(entry["file_name"])
        if pictures.setdefault(stem, picture.as_posix()) != picture.as_posix():
            raise DataError(f"{path}: {pictures[stem]} and {picture} differ only in their suffix; keep one of them")
        segments[stem].append(entry)
    return {
        name: partial(_paint, entries, labelling.predictions, f"{path}, {name}") for name, entries in segments.items()
    }


def _fault(entry: Any, labelling: Labelling) -> str | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str):
        return 'expected {"file_name": ..., "category_id": ..., "segmentation": {"size": ..., "counts": ...}}'
    category, table = entry.get("category_id"), labelling.predictions
    if type(category) is not int or category not in table.place:
        return (
            f"category_id {category!r:.40} is not one of the classes, {table.describe()}; state what "
            "numbers mean with `prediction_values` (detectron2 writes dataset ids, which may have gaps)"
        )
    fault = check_rle(entry.get("segmentation"))
    return None if fault == EMPTY else fault


def _read(path: Path, labelling: Labelling, size: tuple[int, ...]) -> ClassMap:
    predicted = labelling.read_predictions(path)
    _require_size(str(path), predicted.shape, size)
    return predicted


def _paint(entries: list[Mapping[str, Any]], table: LabelValues, where: str, size: tuple[int, ...]) -> ClassMap:
    for entry in entries:  # before anything is decoded: a few characters may say a gigabyte
        _require_size(where, entry["segmentation"]["size"], size)
    painted = np.full(size, NONE, dtype=np.int64)
    for entry in entries:
        painted[coco_mask.decode(entry["segmentation"]).view(bool)] = table.place[entry["category_id"]]
    return painted


def _require_size(where: str, found: Sequence[int], size: Sequence[int]) -> None:
    if tuple(found) != tuple(size):
        sizes = [f"{width}x{height}" for height, width in (found, size)]
        raise DataError(f"{where}: the prediction is {sizes[0]}, the label map {sizes[1]}; predict at its size")
