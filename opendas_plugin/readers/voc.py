"""Pascal VOC's segmentation: classes, as regions or as single objects, with a void border between them.

Other names than VOC's 20 come from a file that the exporting tool leaves: CVAT's ``labelmap.txt`` of names and colours,
which the PNGs are drawn in, or labelme's ``class_names.txt``.

Layout of ``VOCdevkit/VOC2012``: ``JPEGImages/<stem>.jpg``; ``SegmentationClass/<stem>.png`` and
``SegmentationObject/<stem>.png`` with a palette, whose values are the class (0: background, 255: void) and the object's
number; ``ImageSets/Segmentation/{train,val,trainval}.txt``, a stem a line. Source: host.robots.ox.ac.uk/pascal/VOC.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.colour_tables import BACKGROUND as BACKGROUND_NAME
from opendas_plugin.data.colour_tables import describe_colour, is_background, read_colour_table, without_unlabelled
from opendas_plugin.data.images import IMAGE_SUFFIXES, is_palette, label_frame, read_colours, read_labels
from opendas_plugin.data.reading import ImageReading
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import find_files, names_file, read_list
from opendas_plugin.label_values import LabelValues
from opendas_plugin.readers.reader import Context, Dataset, Reader, Sighting, Split
from opendas_plugin.vocabulary import read_names

NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table", "dog",
    "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "tv monitor",
)  # fmt: skip
"""The 20 class names, of the values 1 to 20."""
RAW_NAMES = {"dining table": "diningtable", "potted plant": "pottedplant", "tv monitor": "tvmonitor"}
BACKGROUND, VOID = 0, 255


def _colour(value: int) -> int:
    """The colour of a value in VOC's palette: its bits, spread over red, green and blue from the highest on."""
    spread = [sum((value >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(3)) for channel in range(3)]
    return spread[0] << 16 | spread[1] << 8 | spread[2]


COLOURS = {_colour(value): value for value in range(256)}
"""VOC's palette, colour -> value, which labelme and others draw their classes in, too."""
VOID_COLOUR = _colour(VOID)


@dataclass(frozen=True, kw_only=True)
class VOC:
    """Pascal VOC's segmentation task, such as VOC2012: 20 classes, its training and validation lists; or data of other
    names in its layout, such as CVAT's segmentation masks.
    """

    root: Path
    """VOC2012 or another year's folder, or the VOCdevkit that holds one."""
    classes: str | None = None
    """Other names than VOC's 20. A file of names and colours, which the label PNGs are drawn in: CVAT's labelmap.txt.
    Or the names of the label values 1, 2, ... in their order, a,b,c or a file with one a line; a first name of
    background or _background_ is that of 0, and labelme's __ignore__ before it that of 255."""
    segments: Literal["class", "object"] = "class"
    """One segment for all pixels of a class in an image (SegmentationClass), or one an object (SegmentationObject)."""
    lists: Literal["train+val", "trainval", "all"] = "train+val"
    """The lists train and val; or trainval, of which a part is drawn to validate on; or no list, but all label PNGs
    that are there."""
    background: bool = False
    """Background is a class, too."""


def read(options: VOC, context: Context) -> Dataset:
    """The images of the lists.

    Raises:
        MissingFileError, DataError: a list is missing. Reading an item raises them, too: a file is missing, or the
            pictures of one image do not fit together.
    """
    folder = _year(options.root, listed=options.lists != "all")
    names, values, in_colours = _classes(options.classes, options.background)
    load = read_colours if in_colours else read_labels
    images = find_files(folder / "JPEGImages", IMAGE_SUFFIXES)  # VOC's are .jpg, other tools' also something else

    def read_one(stem: str) -> ImageReading:
        image, found = images.get(stem, folder / "JPEGImages" / f"{stem}{IMAGE_SUFFIXES[0]}"), ImageReading(stem)
        path = folder / "SegmentationClass" / f"{stem}.png"
        classes = load(path)
        if not in_colours:
            _require_order(path, classes, values)
        objects = folder / "SegmentationObject" / f"{stem}.png"
        numbers = classes if options.segments == "class" else load(objects)
        upright = label_frame(image, classes.shape, str(path), context.exif)
        if classes.shape != numbers.shape:
            sizes = [f"{array.shape[1]}x{array.shape[0]}" for array in (classes, numbers)]
            raise DataError(f"{path} is {sizes[0]}, but {objects} is {sizes[1]}; unpack them again")
        if upright is not None:
            classes, numbers = upright(classes), upright(numbers)
        void = VOID_COLOUR if in_colours else VOID
        odd = set(np.unique(classes).tolist()) - {*values.place, *values.ignored}
        if odd:
            raise DataError(f"{path}: {_no_class(min(odd), values, options.classes, in_colours)}")
        for number in np.unique(numbers).tolist():
            mask = numbers == number
            value = void if number == void else _class_of(classes[mask], void)
            if value in values.place:
                found.add(image, mask, names[values.place[value]], min_area=context.min_area)
            else:
                found.dropped["void" if value == void else "background"] += 1
        return found

    def split(name: str) -> Split[str]:
        path = folder / "ImageSets" / "Segmentation" / f"{name}.txt"
        return Split(read_list(path, "VOC's segmentation lists are in its trainval archive"), read_one)

    stated = None if in_colours else values
    raw_names = RAW_NAMES if options.classes is None else {}
    if options.lists == "all":
        items = sorted(find_files(folder / "SegmentationClass", (".png",)))
        if not items:
            raise MissingFileError(f"{folder / 'SegmentationClass'} holds no PNG; check the folder")
        return Dataset(names, Split(items, read_one), values=stated, raw_names=raw_names)
    if options.lists == "trainval":
        return Dataset(names, split("trainval"), raw_names=raw_names, values=stated)
    return Dataset(names, split("train"), split("val"), raw_names, values=stated)


def look(folder: Path) -> Sighting | None:
    """JPEGImages beside SegmentationClass, or a year's folder with them."""
    for root in (folder, *sorted(folder.glob("VOC*"))):
        if not ((root / "JPEGImages").is_dir() and (root / "SegmentationClass").is_dir()):
            continue
        table = next((root / name for name in ("labelmap.txt", "class_names.txt") if (root / name).is_file()), None)
        lists = {path.stem for path in (root / "ImageSets" / "Segmentation").glob("*.txt")}
        options: dict[str, Any] = {"root": folder if table is None and lists else root}
        if table is not None:
            options["classes"] = table
        if not {"train", "val"} <= lists:
            options["lists"] = "trainval" if "trainval" in lists else "all"
        drawn = f", and {table.name} names the classes" if table is not None else ""
        return Sighting(f"JPEGImages lies beside SegmentationClass{drawn}", options, 8)
    return None


READER = Reader(
    "voc",
    VOC,
    read,
    own_validation=lambda options: options.lists == "train+val",
    look=look,
    looks_for="VOC's JPEGImages beside SegmentationClass",
)


def _classes(source: str | None, background: bool) -> tuple[tuple[str, ...], LabelValues, bool]:
    """The names, their numbers and those that are none, and whether these are colours."""
    table = read_colour_table(source) if source is not None and names_file(source) else None
    if table is not None:
        kept = {
            name: number
            for name, number in zip(table.names, table.numbers, strict=True)
            if background or not is_background(name)
        }
        ignored = {*table.numbers, VOID_COLOUR} - set(kept.values())
        return tuple(kept), LabelValues(tuple((n,) for n in kept.values()), tuple(sorted(ignored))), True
    found = list(NAMES) if source is None else without_unlabelled(read_names(source))
    if found and is_background(found[0]):
        found = found[1:]
    names = (BACKGROUND_NAME, *found) if background else tuple(found)
    first, without = (0, (VOID,)) if background else (1, (BACKGROUND, VOID))
    return names, LabelValues.places(len(names), first, without), False


def _no_class(value: int, values: LabelValues, source: str | None, in_colours: bool) -> str:
    if in_colours:
        return f"the colour {describe_colour(value)} is not in {source}; add its name there"
    if source is None:
        return f"the value {value} is none of VOC's, 0 to {len(NAMES)} and {VOID}; for other names give `classes`"
    return f"the value {value} is none of the {len(values.of)} names of `classes`, {values.describe()}, and {VOID}"


def _require_order(path: Path, classes: NDArray[np.int64], values: LabelValues) -> None:
    """Refuses a PNG in VOC's colours whose palette has them in another order, as painting programs save it."""
    if not is_palette(path):
        return
    pairs = np.unique(np.stack([classes.ravel(), read_colours(path).ravel()]), axis=1).T.tolist()
    meant = {value: COLOURS.get(colour) for value, colour in pairs}
    if set(meant.values()) <= {*values.place, *values.ignored} and any(v != own for v, own in meant.items()):
        value = min(v for v, own in meant.items() if v != own)
        raise DataError(
            f"{path}: its palette has VOC's colours in another order (the value {value} is drawn in the colour of "
            f"{meant[value]}); give a table of names and colours as `classes`, or save it with VOC's palette"
        )


def _year(root: Path, *, listed: bool) -> Path:
    if (root / ("ImageSets" if listed else "SegmentationClass")).is_dir():
        return root
    years = sorted(path.parent for path in root.glob("VOC*/ImageSets"))
    if len(years) != 1:
        raise MissingFileError(f"{root} holds {len(years)} folders such as VOC2012; give that folder itself")
    return years[0]


def _class_of(values: NDArray[np.int64], void: int) -> int:
    """The class that most pixels of a segment have, void aside."""
    found, counts = np.unique(values[values != void], return_counts=True)
    return int(found[counts.argmax()]) if len(found) else void
