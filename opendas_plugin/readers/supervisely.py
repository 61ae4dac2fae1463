"""Supervisely's project format: ``meta.json`` with the classes, and a folder of ``img`` and ``ann`` for each dataset.

``<dataset>/ann/<image's file name>.json`` (older projects: its stem) holds ``size`` and ``objects``. Of an object there
are ``classTitle`` and ``geometryType``: a polygon has an outline, ``exterior``, and holes, ``interior``; a bitmap has
``origin`` and ``data``, a PNG packed by zlib, in base64. Source: docs.supervisely.com, "Supervisely Annotation JSON".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.embedded_masks import png_mask
from opendas_plugin.data.images import IMAGE_SUFFIXES, label_frame
from opendas_plugin.data.outlines import box_mask, placed_mask, polygons_mask
from opendas_plugin.data.reading import ImageReading
from opendas_plugin.errors import ConfigError, DataError, MissingFileError
from opendas_plugin.files import find_files, holds_text, read_json
from opendas_plugin.names import check_names, normal_form
from opendas_plugin.readers.folders import Grouping, group_names
from opendas_plugin.readers.reader import Context, Dataset, Reader, Sighting, Split
from opendas_plugin.stamps import note

KINDS = ("bitmap", "polygon", "rectangle")
NO_AREA = ("line", "point", "graph", "cuboid")
"""Geometries that cover no pixels, or say nothing of which."""


@dataclass(frozen=True, kw_only=True)
class Supervisely:
    """A project of Supervisely: meta.json, and datasets with img and ann folders."""

    root: Path
    """The project's folder, which holds meta.json."""
    val: tuple[str, ...] = ()
    """Datasets of the project to validate on, such as val; the others are trained on."""
    group_by: Grouping | None = None
    """What a split keeps together where no dataset validates: each image, the images of a dataset, or blocks of
    neighbouring frames of a video. Default: datasets if there are several, else images."""

    def __post_init__(self) -> None:
        if self.val and self.group_by is not None:
            raise ConfigError("`group_by` has no effect beside `val`; leave one out")


def read(options: Supervisely, context: Context) -> Dataset:
    """The labelled images of all datasets.

    Raises:
        MissingFileError, DataError: meta.json is missing or not as it should be, or a dataset is not there. Reading an
            item raises them, too: an image is missing or of another size, or an object is none that can be read.
    """
    names = _names(options.root / "meta.json")
    items = _items(options.root)
    odd = sorted(set(options.val) - {dataset for dataset, _ in items.values()})
    if odd:
        there = ", ".join(sorted({dataset for dataset, _ in items.values()}))
        raise DataError(f"{options.root} has no dataset {odd[0]!r}; it has {there}")
    groups = group_names(list(items), options.group_by)

    def read_one(stem: str) -> ImageReading:
        path = items[stem][1]
        note(path)
        content, image = read_json(path), _image_of(path)
        with _format_errors(path):
            height, width = size = (content["size"]["height"], content["size"]["width"])
            if not all(type(side) is int and side > 0 for side in size):
                raise DataError(f"{path}: expected size with height and width in pixels, got {size!r:.60}")
            upright = label_frame(image, size, f"the size in {path}", context.exif)
            found = ImageReading(groups[stem])
            for place, item in enumerate(content["objects"], 1):
                name, kind = normal_form(item["classTitle"]), item["geometryType"]
                if kind in NO_AREA:
                    found.dropped[f"{kind}, which has no area"] += 1
                    continue
                if name not in names:
                    raise DataError(f"{path}: object {place}: the class {name!r:.60} is not in meta.json; add it there")
                try:
                    mask = _mask(kind, item, height, width)
                except DataError as error:
                    raise DataError(f"{path}: object {place} ({name!r:.60}): {error}") from error
                found.add(image, mask if upright is None else upright(mask), name, min_area=context.min_area)
            return found

    labelled = [stem for stem, (_, path) in items.items() if _has_objects(path)]
    train = [stem for stem in labelled if items[stem][0] not in options.val]
    val = [stem for stem in labelled if items[stem][0] in options.val]
    split = Split(train, read_one, len(items) - len(labelled))
    return Dataset(tuple(names), split, Split(val, read_one) if options.val else None)


def look(folder: Path) -> Sighting | None:
    """meta.json with classes, beside datasets that have a folder ``ann``."""
    datasets = sorted(path.parent.name for path in folder.glob("*/ann") if path.is_dir())
    if not datasets or not holds_text(folder / "meta.json", '"classes"'):
        return None
    val = tuple(name for name in datasets if name in ("val", "valid", "validation"))
    options = {"root": folder, **({"val": val} if val and len(datasets) > len(val) else {})}
    return Sighting(f"meta.json lies beside {datasets[0]}/ann, as Supervisely has it", options, 8)


READER = Reader(
    "supervisely",
    Supervisely,
    read,
    own_validation=lambda options: bool(options.val),
    look=look,
    looks_for="Supervisely's meta.json beside folders of ann",
)


def _names(path: Path) -> dict[str, str]:
    """The classes that may have an area: name -> its shape."""
    content = read_json(path)
    with _format_errors(path):
        shapes = {normal_form(one["title"]): one["shape"] for one in content["classes"]}
        check_names((normal_form(one["title"]) for one in content["classes"]), f"{path}: classes")
    return {name: shape for name, shape in shapes.items() if shape not in NO_AREA}


def _items(root: Path) -> dict[str, tuple[str, Path]]:
    """Path of an image's annotation below the root, without suffix -> its dataset and the file."""
    found = {}
    for stem, path in find_files(root, (".json",)).items():
        if path.parent.name == "ann":
            dataset = path.parent.parent.relative_to(root).as_posix().replace("/datasets/", "/")
            found[stem] = (dataset, path)
    if not found:
        raise MissingFileError(f"{root} has no dataset with a folder ann; give the project's folder")
    return {_in_dataset(stem): item for stem, item in found.items()}


def _in_dataset(stem: str) -> str:
    """``ds/a.jpg`` for ``ds/ann/a.jpg``."""
    folder, _, name = stem.rpartition("/")
    return f"{folder.removesuffix('ann')}{name}"


def _image_of(path: Path) -> Path:
    """The image of an annotation, in ``img`` beside ``ann``."""
    image = path.parent.parent / "img" / path.name.removesuffix(".json")
    if image.is_file():
        return image
    for suffix in IMAGE_SUFFIXES:  # older projects leave the image's suffix out
        if (older := image.with_name(image.name + suffix)).is_file():
            return older
    raise MissingFileError(f"{image} does not exist, the image of {path}; add it or remove the annotation")


def _has_objects(path: Path) -> bool:
    content = read_json(path)
    with _format_errors(path):
        return bool(content["objects"])


def _mask(kind: str, item: dict[str, Any], height: int, width: int) -> NDArray[np.bool_]:
    if kind == "polygon":
        return polygons_mask([item["points"]["exterior"]], height, width, item["points"].get("interior", ()))
    if kind == "rectangle":
        return box_mask(item["points"]["exterior"], height, width)
    if kind == "bitmap":
        left, top = item["bitmap"]["origin"]
        if type(left) is not int or type(top) is not int:
            raise DataError(f"expected the bitmap's origin as two whole numbers, got {[left, top]!r:.60}")
        return placed_mask(png_mask(item["bitmap"]["data"], zipped=True), left, top, height, width)
    raise DataError(f"the geometry {kind!r:.60} is none that can be read ({', '.join((*KINDS, *NO_AREA))}); convert it")


@contextmanager
def _format_errors(path: Path) -> Iterator[None]:
    expected = "expected Supervisely's JSON of images"
    try:
        yield
    except KeyError as error:
        raise DataError(f"{path}: {expected}, but {error} is missing; export the project in that format") from error
    except (TypeError, AttributeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: {expected}, but found something else ({error})") from error
