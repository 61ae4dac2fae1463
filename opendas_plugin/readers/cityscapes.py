"""Cityscapes: street images with label PNGs of ids, training ids or colours, in its own training and validation parts.

Layout: ``leftImg8bit/{train,val}/<city>/<city>_<sequence>_<frame>_leftImg8bit.png`` and
``gtFine/{train,val}/<city>/<city>_<sequence>_<frame>_gtFine_{labelIds,labelTrainIds,color,instanceIds}.png``. Instance
ids are an id * 1000 and the object's number, or the id alone for regions and groups.
Source: github.com/mcordts/cityscapesScripts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.images import IMAGE_SUFFIXES, label_frame, read_colours, read_labels
from opendas_plugin.data.reading import ImageReading
from opendas_plugin.errors import ConfigError, DataError, MissingFileError
from opendas_plugin.files import find_files, require_unique
from opendas_plugin.label_values import LabelValues
from opendas_plugin.readers.reader import Context, Dataset, Reader, Sighting, Split

Kind = Literal["labelIds", "labelTrainIds", "color"]
Classes = Literal[19, 27]

IMAGES, SUFFIX = "leftImg8bit", "_leftImg8bit"
VOID = "void label"


class Label(NamedTuple):
    """A row of the toolbox's table: id, evaluated class (255: none), whether its category is void, and R, G, B."""

    name: str
    id: int
    train_id: int
    void: bool
    colour: tuple[int, int, int]


LABELS = (
    Label("unlabeled", 0, 255, True, (0, 0, 0)),
    Label("ego vehicle", 1, 255, True, (0, 0, 0)),
    Label("rectification border", 2, 255, True, (0, 0, 0)),
    Label("out of roi", 3, 255, True, (0, 0, 0)),
    Label("static", 4, 255, True, (0, 0, 0)),
    Label("dynamic", 5, 255, True, (111, 74, 0)),
    Label("ground", 6, 255, True, (81, 0, 81)),
    Label("road", 7, 0, False, (128, 64, 128)),
    Label("sidewalk", 8, 1, False, (244, 35, 232)),
    Label("parking", 9, 255, False, (250, 170, 160)),
    Label("rail track", 10, 255, False, (230, 150, 140)),
    Label("building", 11, 2, False, (70, 70, 70)),
    Label("wall", 12, 3, False, (102, 102, 156)),
    Label("fence", 13, 4, False, (190, 153, 153)),
    Label("guard rail", 14, 255, False, (180, 165, 180)),
    Label("bridge", 15, 255, False, (150, 100, 100)),
    Label("tunnel", 16, 255, False, (150, 120, 90)),
    Label("pole", 17, 5, False, (153, 153, 153)),
    Label("polegroup", 18, 255, False, (153, 153, 153)),
    Label("traffic light", 19, 6, False, (250, 170, 30)),
    Label("traffic sign", 20, 7, False, (220, 220, 0)),
    Label("vegetation", 21, 8, False, (107, 142, 35)),
    Label("terrain", 22, 9, False, (152, 251, 152)),
    Label("sky", 23, 10, False, (70, 130, 180)),
    Label("person", 24, 11, False, (220, 20, 60)),
    Label("rider", 25, 12, False, (255, 0, 0)),
    Label("car", 26, 13, False, (0, 0, 142)),
    Label("truck", 27, 14, False, (0, 0, 70)),
    Label("bus", 28, 15, False, (0, 60, 100)),
    Label("caravan", 29, 255, False, (0, 0, 90)),
    Label("trailer", 30, 255, False, (0, 0, 110)),
    Label("train", 31, 16, False, (0, 80, 100)),
    Label("motorcycle", 32, 17, False, (0, 0, 230)),
    Label("bicycle", 33, 18, False, (119, 11, 32)),
)
"""The toolbox's labels in the order of their ids, 0 to 33; cars' number plates, -1, are in no PNG."""


@dataclass(frozen=True, kw_only=True)
class Cityscapes:
    """Cityscapes, or data in its layout: its training and validation parts, grouped by city and sequence."""

    root: Path
    """Folder that holds leftImg8bit, and gtFine or gtCoarse."""
    classes: Classes = 19
    """The classes that its benchmark evaluates, or all 27 that are no void (a polegroup is a pole in colours)."""
    labels: Kind = "labelIds"
    """Which PNGs are read: those of ids, of training ids (they have 19 classes), or in colours."""
    annotations: Literal["gtFine", "gtCoarse"] = "gtFine"
    """The fine annotations, or the coarse ones."""
    segments: Literal["class", "object"] = "class"
    """One segment for all pixels of a class in an image, or one an object (instanceIds; needs labelIds)."""

    def __post_init__(self) -> None:
        if self.labels == "labelTrainIds" and self.classes == 27:
            raise ConfigError("`labels` labelTrainIds have 19 classes; leave `classes` 27 out, or read labelIds")
        if self.segments == "object" and self.labels != "labelIds":
            raise ConfigError("`segments` object is read of ids; leave `labels` out beside it")


def class_names(classes: Classes) -> tuple[str, ...]:
    """The names in the order of their ids."""
    return tuple(label.name for label in LABELS if not label.void and (classes == 27 or label.train_id != 255))


def label_values(classes: Classes, kind: Kind) -> LabelValues:
    """The numbers of each class of :func:`class_names` in the PNGs of a kind, and those that are none."""
    names = class_names(classes)
    rows: dict[str, list[int]] = {name: [] for name in names}
    ignored = [255] if kind != "color" else []
    taken: dict[int, str] = {}
    for label in LABELS:
        r, g, b = label.colour
        number = {"labelIds": label.id, "labelTrainIds": label.train_id, "color": 65536 * r + 256 * g + b}[kind]
        if number in taken or number in ignored:
            continue
        taken[number] = label.name
        rows.get(label.name, ignored).append(number)
    return LabelValues(tuple(tuple(rows[name]) for name in names), tuple(ignored))


def read(options: Cityscapes, context: Context) -> Dataset:
    """The images that have label PNGs, of the training and the validation part.

    Raises:
        MissingFileError, DataError: a folder or image is missing. Reading an item raises them, too: a file cannot be
            read, sizes differ, or a label value is none of Cityscapes'.
    """
    names, values = class_names(options.classes), label_values(options.classes, options.labels)
    suffix = f"_{options.annotations}_{options.labels}"

    def split(part: str) -> Split[str]:
        images, maps = options.root / IMAGES / part, options.root / options.annotations / part
        picture_of = _by_frame(images, IMAGE_SUFFIXES, SUFFIX)
        map_of = _by_frame(maps, (".png",), suffix)
        if missing := sorted(set(map_of) - set(picture_of)):
            raise MissingFileError(f"{map_of[missing[0]]} has no image {images / missing[0]}{SUFFIX}.*; add it")

        def read_one(frame: str) -> ImageReading:
            image, path = picture_of[frame], map_of[frame]
            numbers = (read_colours if options.labels == "color" else read_labels)(path)
            upright = label_frame(image, numbers.shape, str(path), context.exif)
            regions = numbers
            if options.segments == "object":
                regions = _objects(path.with_name(path.name.replace("_labelIds", "_instanceIds")), numbers, path)
            if upright is not None:
                numbers, regions = upright(numbers), upright(regions)
            found = ImageReading("_".join(frame.split("_")[:-1]) or frame)
            for region, value in _of_regions(regions, numbers).items():
                if value in values.ignored:
                    found.dropped[VOID] += 1
                elif value not in values.place:
                    raise DataError(f"{path}: the label value {value} is none of Cityscapes'; see `labels`")
                else:
                    found.add(image, regions == region, names[values.place[value]], min_area=context.min_area)
            return found

        return Split(sorted(map_of), read_one, len(picture_of) - len(map_of))

    stated = None if options.labels == "color" else values
    if not has_validation(options):
        return Dataset(names, split("train"), values=stated)
    return Dataset(names, split("train"), split("val"), values=stated)


def has_validation(options: Cityscapes) -> bool:
    """Whether there is a validation part, as Cityscapes has it."""
    return (options.root / options.annotations / "val").is_dir()


def look(folder: Path) -> Sighting | None:
    """leftImg8bit beside gtFine or gtCoarse."""
    for name in ("gtFine", "gtCoarse"):
        for kind in ("labelIds", "labelTrainIds", "color"):
            if (folder / IMAGES).is_dir() and any((folder / name).glob(f"train/*/*_{kind}.png")):
                options = {"root": folder, "labels": kind, "annotations": name}
                defaults = {"labels": "labelIds", "annotations": "gtFine"}
                given = {key: value for key, value in options.items() if defaults.get(key) != value}
                return Sighting(f"{IMAGES} lies beside {name} with {kind} PNGs", given, 9)
    return None


READER = Reader(
    "cityscapes",
    Cityscapes,
    read,
    own_validation=has_validation,
    look=look,
    looks_for="Cityscapes' leftImg8bit beside gtFine",
)


def _by_frame(folder: Path, endings: tuple[str, ...], suffix: str) -> dict[str, Path]:
    """``<city>_<sequence>_<frame>`` -> file; the folders of the cities do not count."""
    paths = [path for path in find_files(folder, endings).values() if path.stem.endswith(suffix)]
    require_unique((path.stem for path in paths), f"{folder}: the frame")
    found = {path.stem.removesuffix(suffix): path for path in paths}
    if not found:
        raise MissingFileError(
            f"{folder} holds no file that ends in {suffix}{endings[0]}; check `root`, `labels` and `annotations`"
        )
    return found


def _objects(path: Path, ids: NDArray[np.int64], beside: Path) -> NDArray[np.int64]:
    """Instance ids (H, W); their thousands are the ids."""
    found = read_labels(path)
    if found.shape != ids.shape:
        sizes = [f"{array.shape[1]}x{array.shape[0]}" for array in (found, ids)]
        raise DataError(f"{path} is {sizes[0]}, but {beside} is {sizes[1]}; unpack them again")
    return found


def _of_regions(regions: NDArray[np.int64], numbers: NDArray[np.int64]) -> Mapping[int, int]:
    """Number of each region -> the label value that its first pixel has."""
    found, first = np.unique(regions, return_index=True)
    return dict(zip(found.tolist(), numbers.ravel()[first].tolist(), strict=True))
