"""Pascal VOC's segmentation: 20 classes, as regions of a class or as single objects, with a void border between them.

Layout of ``VOCdevkit/VOC2012``: ``JPEGImages/<stem>.jpg``; ``SegmentationClass/<stem>.png`` and
``SegmentationObject/<stem>.png`` with a palette, whose values are the class (0: background, 255: void) and the object's
number; ``ImageSets/Segmentation/{train,val,trainval}.txt``, a stem a line. Source: host.robots.ox.ac.uk/pascal/VOC.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.images import label_frame, read_labels
from opendas_plugin.data.reading import ImageReading
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import read_list
from opendas_plugin.label_values import LabelValues
from opendas_plugin.readers.reader import Context, Dataset, Reader, Split

NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table", "dog",
    "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "tv monitor",
)  # fmt: skip
"""The 20 class names, of the values 1 to 20."""
RAW_NAMES = {"dining table": "diningtable", "potted plant": "pottedplant", "tv monitor": "tvmonitor"}
BACKGROUND, VOID = 0, 255


@dataclass(frozen=True, kw_only=True)
class VOC:
    """Pascal VOC's segmentation task, such as VOC2012: 20 classes, its training and validation lists."""

    root: Path
    """VOC2012 or another year's folder, or the VOCdevkit that holds one."""
    segments: Literal["class", "object"] = "class"
    """One segment for all pixels of a class in an image (SegmentationClass), or one an object (SegmentationObject)."""
    lists: Literal["train+val", "trainval"] = "train+val"
    """The lists train and val; or trainval, of which a part is drawn to validate on."""
    background: bool = False
    """Background is a class, too."""


def read(options: VOC, context: Context) -> Dataset:
    """The images of the lists.

    Raises:
        MissingFileError, DataError: a list is missing. Reading an item raises them, too: a file is missing, or the
            pictures of one image do not fit together.
    """
    folder = _year(options.root)

    def read_one(stem: str) -> ImageReading:
        image, found = folder / "JPEGImages" / f"{stem}.jpg", ImageReading(stem)
        path = folder / "SegmentationClass" / f"{stem}.png"
        classes = read_labels(path)
        objects = folder / "SegmentationObject" / f"{stem}.png"
        numbers = classes if options.segments == "class" else read_labels(objects)
        upright = label_frame(image, classes.shape, str(path), context.exif)
        if classes.shape != numbers.shape:
            raise DataError(f"{path} and its objects are not of one size; unpack them again")
        if upright is not None:
            classes, numbers = upright(classes), upright(numbers)
        for number in np.unique(numbers).tolist():
            mask = numbers == number
            value = VOID if number == VOID else _class_of(classes[mask], path)
            if value == VOID or (value == BACKGROUND and not options.background):
                found.dropped["void" if value == VOID else "background"] += 1
            else:
                found.add(image, mask, ("background", *NAMES)[value], min_area=context.min_area)
        return found

    def split(name: str) -> Split[str]:
        path = folder / "ImageSets" / "Segmentation" / f"{name}.txt"
        return Split(read_list(path, "VOC's segmentation lists are in its trainval archive"), read_one)

    names = ("background", *NAMES) if options.background else NAMES
    first, ignored = (0, (VOID,)) if options.background else (1, (BACKGROUND, VOID))
    values = LabelValues.places(len(names), first, ignored)
    if options.lists == "trainval":
        return Dataset(names, split("trainval"), raw_names=RAW_NAMES, values=values)
    return Dataset(names, split("train"), split("val"), RAW_NAMES, values=values)


READER = Reader("voc", VOC, read, own_validation=lambda options: options.lists == "train+val")


def _year(root: Path) -> Path:
    if (root / "ImageSets").is_dir():
        return root
    years = sorted(path.parent for path in root.glob("VOC*/ImageSets"))
    if len(years) != 1:
        raise MissingFileError(f"{root} holds {len(years)} folders such as VOC2012; give that folder itself")
    return years[0]


def _class_of(values: NDArray[np.int64], path: Path) -> int:
    """The class that most pixels of a segment have, void aside."""
    found, counts = np.unique(values[values != VOID], return_counts=True)
    if not len(found):
        return VOID
    if found[-1] > len(NAMES):
        raise DataError(f"{path}: the value {found[-1]} is none of VOC's, 0 to {len(NAMES)} and {VOID}")
    return int(found[counts.argmax()])
