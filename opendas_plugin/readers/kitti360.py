"""KITTI-360: street images with semantic ids, instance ids and confidence, and the official lists of frames.

Layout: ``data_2d_raw/<drive>/image_00/data_rect/<10 digits>.png``; ``data_2d_semantics/train/<drive>/image_00/`` with
``semantic`` (8-bit ids), ``instance`` (16-bit, id * 1000 + instance) and ``confidence`` (16-bit, 65535 is sure); and
``data_2d_semantics/train/2013_05_28_drive_{train,val}_frames.txt``, a line ``image labels`` for each frame.
Source: github.com/autonomousvision/kitti360Scripts and cvlibs.net/datasets/kitti-360.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.images import label_frame, read_labels
from opendas_plugin.data.reading import ImageReading, too_small
from opendas_plugin.data.segments import Segment, encode
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.files import read_lines, require_unique
from opendas_plugin.label_values import LabelValues
from opendas_plugin.readers.reader import Context, Dataset, Reader, Sighting, Split
from opendas_plugin.stamps import note

Classes = Literal[37, 19]

SEMANTICS = Path("data_2d_semantics", "train")
UNSURE = "low confidence"
VOID = "void label"
_SURE = 65535


@dataclass(frozen=True)
class Label:
    """A row of the toolbox's table: id in the PNGs, KITTI-360's number, evaluated class (255: none), has instances."""

    name: str
    id: int
    kitti_id: int
    train_id: int
    instances: bool


LABELS = (
    Label("unlabeled", 0, -1, 255, False),
    Label("ego vehicle", 1, -1, 255, False),
    Label("rectification border", 2, -1, 255, False),
    Label("out of roi", 3, -1, 255, False),
    Label("static", 4, -1, 255, False),
    Label("dynamic", 5, -1, 255, False),
    Label("ground", 6, -1, 255, False),
    Label("road", 7, 1, 0, False),
    Label("sidewalk", 8, 3, 1, False),
    Label("parking", 9, 2, 255, False),
    Label("rail track", 10, 10, 255, False),
    Label("building", 11, 11, 2, True),
    Label("wall", 12, 7, 3, False),
    Label("fence", 13, 8, 4, False),
    Label("guard rail", 14, 30, 255, False),
    Label("bridge", 15, 31, 255, False),
    Label("tunnel", 16, 32, 255, False),
    Label("pole", 17, 21, 5, True),
    Label("polegroup", 18, -1, 255, False),
    Label("traffic light", 19, 23, 6, True),
    Label("traffic sign", 20, 24, 7, True),
    Label("vegetation", 21, 5, 8, False),
    Label("terrain", 22, 4, 9, False),
    Label("sky", 23, 9, 10, False),
    Label("person", 24, 19, 11, True),
    Label("rider", 25, 20, 12, True),
    Label("car", 26, 13, 13, True),
    Label("truck", 27, 14, 14, True),
    Label("bus", 28, 34, 15, True),
    Label("caravan", 29, 16, 255, True),
    Label("trailer", 30, 15, 255, True),
    Label("train", 31, 33, 16, True),
    Label("motorcycle", 32, 17, 17, True),
    Label("bicycle", 33, 18, 18, True),
    Label("garage", 34, 12, 2, True),
    Label("gate", 35, 6, 4, False),
    Label("stop", 36, 29, 255, True),
    Label("smallpole", 37, 22, 5, True),
    Label("lamp", 38, 25, 255, True),
    Label("trash bin", 39, 26, 255, True),
    Label("vending machine", 40, 27, 255, True),
    Label("box", 41, 28, 255, True),
    Label("unknown construction", 42, 35, 255, False),
    Label("unknown vehicle", 43, 36, 255, False),
    Label("unknown object", 44, 37, 255, False),
)
"""The toolbox's labels in the order of their ids, 0 to 44."""


def class_names(classes: Classes) -> tuple[str, ...]:
    """The 37 annotated classes by KITTI-360's number, or the 19 evaluated ones by their training number."""
    if classes == 37:
        return tuple(label.name for label in sorted(LABELS, key=lambda label: label.kitti_id) if label.kitti_id > 0)
    first = {label.train_id: label.name for label in reversed(LABELS) if label.train_id != 255}
    return tuple(first[number] for number in sorted(first))


def class_of_id(classes: Classes) -> NDArray[np.int64]:
    """(256,) place of each id in :func:`class_names`, -1 for none.

    The evaluation merges garages with buildings, gates with fences and small poles with poles; so do the 19 classes.
    """
    place = np.full(256, -1, np.int64)
    for label in LABELS:
        if classes == 37 and label.kitti_id > 0:
            place[label.id] = label.kitti_id - 1
        elif classes == 19 and label.train_id != 255:
            place[label.id] = label.train_id
    return place


def label_values(classes: Classes) -> LabelValues:
    """The ids of each class of :func:`class_names` in the semantic PNGs; the others are ignored."""
    place = class_of_id(classes)[: len(LABELS)]
    rows = [tuple(np.flatnonzero(place == row).tolist()) for row in range(len(class_names(classes)))]
    return LabelValues(tuple(rows), tuple(np.flatnonzero(place < 0).tolist()))


@dataclass(frozen=True, kw_only=True)
class Kitti360:
    """KITTI-360: the frames of its official training and validation lists, a segment for each instance or class."""

    root: Path
    """Folder that holds data_2d_raw and data_2d_semantics."""
    classes: Classes = 37
    """All annotated classes, or those that its benchmark evaluates."""
    every: int = 1
    """Reads every n-th frame of the lists; neighbouring frames of a drive look alike."""
    min_confidence: float = 0.5
    """Segments of a lower mean confidence are dropped."""

    def __post_init__(self) -> None:
        if self.every < 1 or not 0 <= self.min_confidence <= 1:
            raise ConfigError("`every` must be 1 or more, and `min_confidence` between 0 and 1")


def read(options: Kitti360, context: Context) -> Dataset:
    """The frames of the official training and validation lists, grouped by drive.

    A segment is one instance, or all pixels of a class that has no instances. Those of few pixels or a low mean
    confidence are dropped; a frame without a confidence map counts as sure.

    Raises:
        MissingFileError, DataError: a list, an image or a label PNG is missing, cannot be read, or they do not match.
    """
    names, place = class_names(options.classes), class_of_id(options.classes)
    has_instances = np.array([label.instances for label in LABELS])

    def read_one(frame: tuple[str, str]) -> ImageReading:
        image, labels = options.root / frame[0], options.root / frame[1]
        ids = read_labels(labels)
        upright = label_frame(image, ids.shape, str(labels), context.exif)
        instances = read_labels(_beside(labels, "instance"))
        if ids.shape != instances.shape:
            sizes = [f"{array.shape[1]}x{array.shape[0]}" for array in (ids, instances)]
            raise DataError(f"{labels} is {sizes[0]}, but its instances are {sizes[1]}; download them again")
        if ids.max() >= len(LABELS):
            raise DataError(f"{labels}: the id {ids.max()} is none of KITTI-360's, 0 to {len(LABELS) - 1}")
        confidence = _confidence(_beside(labels, "confidence"), ids.shape)
        if upright is not None:
            ids, instances, confidence = upright(ids), upright(instances), upright(confidence)
        region = place[ids] * 2**16 + np.where(has_instances[ids], instances, 0)
        found = ImageReading(labels.parents[2].name)
        values, region, areas = np.unique(region, return_inverse=True, return_counts=True)
        region = region.reshape(ids.shape)
        certainty = np.bincount(region.ravel(), weights=confidence.ravel()) / areas
        for number, value in enumerate(values.tolist()):
            if value < 0:
                found.dropped[VOID] += 1
            elif areas[number] < context.min_area:
                found.dropped[too_small(context.min_area)] += 1
            elif certainty[number] < options.min_confidence:
                found.dropped[UNSURE] += 1
            else:
                found.segments.append(Segment(image, encode(region == number), names[value >> 16], found.group))
        return found

    def split(part: str) -> Split[tuple[str, str]]:
        frames = read_frames(options.root / SEMANTICS / f"2013_05_28_drive_{part}_frames.txt")
        return Split(frames[:: options.every], read_one)

    return Dataset(names, split("train"), split("val"), values=label_values(options.classes))


def look(folder: Path) -> Sighting | None:
    """The lists of frames in data_2d_semantics."""
    if any((folder / SEMANTICS).glob("2013_05_28_drive_*_frames.txt")):
        return Sighting(f"{SEMANTICS.as_posix()} holds KITTI-360's lists of frames", {"root": folder}, 9)
    return None


READER = Reader(
    "kitti360",
    Kitti360,
    read,
    own_validation=lambda options: True,
    look=look,
    looks_for="KITTI-360's data_2d_semantics",
)


def read_frames(path: Path) -> list[tuple[str, str]]:
    """The (image, labels) paths of a list, relative to the dataset's root.

    Raises:
        MissingFileError, DataError: no such file; a line does not hold two paths, or a frame is listed twice.
    """
    frames = []
    lines = read_lines(path, "give the folder that holds data_2d_raw and data_2d_semantics")
    for number, line in enumerate(lines, 1):
        match line.split():
            case [image, labels]:
                frames.append((image, labels))
            case []:
                pass
            case _:
                raise DataError(f"{path}, line {number}: expected an image and its labels, got {line!r:.80}")
    require_unique((labels for _, labels in frames), f"{path}: the frame")
    return frames


def _beside(labels: Path, kind: str) -> Path:
    return labels.parents[1] / kind / labels.name


def _confidence(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """In 0..1; all sure where there is no map."""
    note(path)  # a run that goes on notices one that came since
    if not path.is_file():
        return np.ones(shape)
    values = read_labels(path)
    if values.shape != shape:
        sizes = [f"{size[1]}x{size[0]}" for size in (values.shape, shape)]
        raise DataError(f"{path} is {sizes[0]}, but its labels are {sizes[1]}; download it again")
    return values / _SURE
