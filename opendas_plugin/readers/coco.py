"""Readers for COCO's two formats: instances (polygons or run-length codes in JSON) and panoptic (JSON and PNGs)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from opendas_plugin.data.images import Exif, label_frame, read_ids
from opendas_plugin.data.picture_finding import Pictures
from opendas_plugin.data.reading import ImageReading, too_small
from opendas_plugin.data.segments import Segment, check_rle, encode, from_polygons, from_runs
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.files import read_json, require_unique
from opendas_plugin.label_values import LabelValues
from opendas_plugin.names import check_names, fold_name, normal_form
from opendas_plugin.readers.coco_looking import look
from opendas_plugin.readers.reader import Context, Dataset, Reader, Split

CROWD = "crowd region"


@dataclass(frozen=True, kw_only=True)
class Coco:
    """COCO's formats: an instances JSON, or a panoptic JSON with its folder of PNGs."""

    images: Path
    """Folder of images."""
    instances_json: Path | None = None
    """Instances JSON: polygons or run-length codes."""
    panoptic_json: Path | None = None
    """Panoptic JSON."""
    panoptic_dir: Path | None = None
    """Folder of the panoptic PNGs."""
    val_images: Path | None = None
    """Validation images, if they lie apart from those of training."""
    val_instances_json: Path | None = None
    """Validation instances JSON, if there is one."""
    val_panoptic_json: Path | None = None
    """Validation panoptic JSON, if there is one."""
    val_panoptic_dir: Path | None = None
    """Folder of the validation panoptic PNGs."""

    def __post_init__(self) -> None:
        _check_files(self.instances_json, self.panoptic_json, self.panoptic_dir, "")
        if has_validation(self):
            _check_files(self.val_instances_json, self.val_panoptic_json, self.val_panoptic_dir, "val_")
        elif self.val_images is not None or self.val_panoptic_dir is not None:
            raise ConfigError("validation data needs `val_instances_json` or `val_panoptic_json`")


def has_validation(options: Coco) -> bool:
    """Whether a JSON of validation data is given."""
    return options.val_instances_json is not None or options.val_panoptic_json is not None


def read(options: Coco, context: Context) -> Dataset:
    """The training part and, if it lies apart, the validation part."""
    train = _labels(options.instances_json, options.panoptic_json, options.panoptic_dir)
    split = train.split(options.images, context.min_area, context.exif)
    if not has_validation(options):
        return Dataset(train.names, split, raw_names=train.raw_names, values=train.values)
    val = _labels(options.val_instances_json, options.val_panoptic_json, options.val_panoptic_dir)
    odd = sorted(set(val.names) ^ set(train.names))
    if odd:
        raise DataError(f"training and validation data name different classes: {odd[0]!r} is only in one of them")
    if dict(zip(val.names, val.values.of, strict=True)) != dict(zip(train.names, train.values.of, strict=True)):
        raise DataError("training and validation data have other category ids for the same names; use one release")
    val_split = val.split(options.val_images or options.images, context.min_area, context.exif)
    return Dataset(train.names, split, val_split, train.raw_names, values=train.values)


READER = Reader(
    "coco",
    Coco,
    read,
    own_validation=has_validation,
    look=look,
    looks_for="COCO's JSON with images, annotations and categories",
)


def _check_files(instances: Path | None, panoptic: Path | None, folder: Path | None, prefix: str) -> None:
    if (instances is None) == (panoptic is None) or (panoptic is None) != (folder is None):
        raise ConfigError(
            f"give `{prefix}instances_json`, or `{prefix}panoptic_json` with `{prefix}panoptic_dir`, and not both "
            "formats"
        )


def _labels(instances: Path | None, panoptic: Path | None, folder: Path | None) -> Instances | Panoptic:
    if panoptic is not None and folder is not None:
        return Panoptic(panoptic, folder)
    if instances is not None:
        return Instances(instances)
    raise ConfigError("give `instances_json` or `panoptic_json`")


class Instances:
    """An instances JSON: each annotation is a segment; crowd regions are dropped.

    Args:
        path: the JSON.

    Attributes:
        names: the class names, without suffixes.
        raw_names: class name -> as it is in the JSON, where they differ.
        values: the category ids of the names; 0 is no class, unless it is a category's id.

    Raises:
        MissingFileError, DataError: the file is missing, unreadable or not of this format.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._categories = _Categories(path)
        self._annotations: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        self.names, self.raw_names = self._categories.names, self._categories.raw_names
        self.values = self._categories.values
        with _format_errors(path):
            annotations = self._categories.content["annotations"]
            numbered = (annotation["id"] for annotation in annotations if annotation.get("id") is not None)
            require_unique(numbered, f"{path}: the annotation id")
            for annotation in annotations:
                self._annotations[annotation["image_id"]].append(annotation)
            self._records = self._categories.records(self._annotations)

    def split(self, images: Path, min_area: int, exif: Exif | None = None) -> Split[Any]:
        """The images of a folder that have annotations; those without are left out and counted.

        Raises (when an item is read):
            MissingFileError, DataError: an image is missing or of another size, or an annotation is wrong.
        """
        pictures = Pictures(images)

        def read_one(image_id: Any) -> ImageReading:
            with _format_errors(self._path):
                image = _image(self._records[image_id], pictures, self._path, exif)
                found = ImageReading(image.path.stem)
                for annotation in self._annotations[image_id]:
                    if _is_crowd(annotation, self._path):
                        found.dropped[CROWD] += 1
                        continue
                    rle = _run_lengths(annotation, image, self._path)
                    if coco_mask.area(rle) < min_area:
                        found.dropped[too_small(min_area)] += 1
                        continue
                    label = self._categories.name(annotation["category_id"])
                    found.segments.append(Segment(image.path, rle, label, found.group))
                return found

        labelled = [image_id for image_id in self._records if image_id in self._annotations]
        return Split(labelled, read_one, len(self._records) - len(labelled))


class Panoptic:
    """A panoptic JSON and its folder of PNGs, whose pixels hold the segment id as R + 256 G + 65536 B.

    Crowd regions are dropped. For arguments, attributes and errors see :class:`Instances`.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._folder = path, folder
        self._categories = _Categories(path)
        self.names, self.raw_names = self._categories.names, self._categories.raw_names
        self.values = self._categories.values
        with _format_errors(path):
            self._annotations: list[dict[str, Any]] = self._categories.content["annotations"]
            annotated = [annotation["image_id"] for annotation in self._annotations]
            require_unique(annotated, f"{path}: the annotation of the image id")
            self._records = self._categories.records(annotated)

    def split(self, images: Path, min_area: int, exif: Exif | None = None) -> Split[dict[str, Any]]:
        """As :meth:`Instances.split`; also a PNG that disagrees with the JSON is a DataError."""
        pictures = Pictures(images)

        def read_one(annotation: dict[str, Any]) -> ImageReading:
            with _format_errors(self._path):
                image = _image(self._records[annotation["image_id"]], pictures, self._path, exif)
                ids, areas = self._ids(annotation, image)
                found = ImageReading(image.path.stem)
                require_unique(
                    (segment["id"] for segment in annotation["segments_info"]),
                    f"{self._path}, {image.path}: the segment id",
                )
                for segment in annotation["segments_info"]:
                    area = areas[segment["id"]]
                    if _is_crowd(segment, self._path):
                        found.dropped[CROWD] += 1
                    elif area < min_area:
                        found.dropped[too_small(min_area)] += 1
                    else:
                        label = self._categories.name(segment["category_id"])
                        found.segments.append(Segment(image.path, encode(ids == segment["id"]), label, found.group))
                return found

        return Split(self._annotations, read_one, len(self._records) - len(self._annotations))

    def _ids(self, annotation: dict[str, Any], image: _Image) -> tuple[NDArray[np.int64], dict[int, int]]:
        """The ids of an image's pixels (H, W), and the number of pixels of each."""
        png = self._folder / annotation["file_name"]
        ids, (height, width) = read_ids(png), image.size
        if ids.shape != image.size:
            raise DataError(f"{png} is {ids.shape[1]}x{ids.shape[0]}, but its image {image.path} is {width}x{height}")
        ids = ids if image.upright is None else image.upright(ids)
        areas = dict(zip(*(values.tolist() for values in np.unique(ids, return_counts=True)), strict=True))
        listed = {segment["id"] for segment in annotation["segments_info"]}
        stray = sorted(set(areas) - listed - {0})
        if stray:
            raise DataError(
                f"{png}: the segment id {stray[0]} is in the PNG and not in {self._path}; use a pair of one release"
            )
        empty = [segment["id"] for segment in annotation["segments_info"] if segment["id"] not in areas]
        if empty:
            raise DataError(f"{png}: no pixel has the segment id {empty[0]} of {self._path}; remove the empty segment")
        return ids, areas


def clean_names(raw: Sequence[str]) -> list[str]:
    """Drops COCO's suffixes ``-stuff``, ``-other`` and ``-merged`` from names that stay unique without them."""
    short = [re.sub(r"(-(stuff|other|merged))+$", "", name) or name for name in raw]
    times = Counter(fold_name(name) for name in short)
    return [name if times[fold_name(name)] == 1 else whole for name, whole in zip(short, raw, strict=True)]


@dataclass(frozen=True)
class _Image:
    """A picture, the size of its labels, and what brings labels into the picture's frame, if they are not in it."""

    path: Path
    size: tuple[int, int]
    upright: Callable[[NDArray[Any]], NDArray[Any]] | None


class _Categories:
    """What both formats have: the categories, the images, and that annotations are of images."""

    def __init__(self, path: Path) -> None:
        self.content: dict[str, Any] = read_json(path)
        self._path = path
        with _format_errors(path):
            categories = _without_heading(self.content["categories"], self.content["annotations"])
            raw = [
                normal_form(_text(category["name"], f"{path}: the name of category {category['id']}"))
                for category in categories
            ]
            require_unique((category["id"] for category in categories), f"{path}: the category id")
            check_names(raw, f"{path}: category names")
            clean = clean_names(raw)
            self.raw_names = {name: whole for name, whole in zip(clean, raw, strict=True) if name != whole}
            self._of = {category["id"]: name for category, name in zip(categories, clean, strict=True)}
            if len(self._of) < len(clean):
                raise DataError(f"{path}: two categories have one id; every id has one name")
        self.names = tuple(self._of.values())
        try:
            self.values = LabelValues(tuple((number,) for number in self._of), () if 0 in self._of else (0,))
        except DataError as error:
            raise DataError(f"{path}: category ids: {error}") from error

    def name(self, category: Any) -> str:
        if category not in self._of:
            raise DataError(
                f"{self._path}: the category id {category} is not among its {len(self._of)} categories; add it there"
            )
        return self._of[category]

    def records(self, annotated: Iterable[Any]) -> dict[Any, dict[str, Any]]:
        """Image id -> the image, among which all annotated ids must be."""
        images = self.content["images"]
        for record in images:
            _text(record["file_name"], f"{self._path}: the file_name of image {record['id']}")
        require_unique((record["id"] for record in images), f"{self._path}: the image id")
        require_unique((record["file_name"] for record in images), f"{self._path}: the image")
        records = {record["id"]: record for record in images}
        unknown = sorted(set(annotated) - set(records))
        if unknown:
            raise DataError(f"{self._path}: annotations name the image id {unknown[0]}, which is not among the images")
        return records


def _without_heading(categories: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The categories less Roboflow's first, which has the number 0 and is the super-category of others, no class.

    It stays where an annotation has it.
    """
    heads = [one for one in categories if one["id"] == 0 and one.get("supercategory") in ("none", "", None)]
    above = [one.get("supercategory") for one in categories]
    used = (part.get("category_id") for one in annotations for part in one.get("segments_info") or [one])
    if len(heads) != 1 or heads[0]["name"] not in above or 0 in used:
        return categories
    return [one for one in categories if one is not heads[0]]


def _image(record: dict[str, Any], pictures: Pictures, path: Path, exif: Exif | None) -> _Image:
    image, size = pictures.find(record["file_name"]), (record["height"], record["width"])
    if not all(type(side) is int and side > 0 for side in size):
        raise DataError(f"{path}: expected height and width of {image} in pixels, got {size}")
    return _Image(image, size, label_frame(image, size, f"its record in {path}", exif))


def _run_lengths(annotation: dict[str, Any], image: _Image, path: Path) -> dict[str, Any]:
    """The compressed code of an annotation; polygons that cover no pixel give an empty one."""
    rle = _decoded(annotation, *image.size, path)
    return rle if image.upright is None else encode(image.upright(coco_mask.decode(rle).view(bool)))


def _decoded(annotation: dict[str, Any], height: int, width: int, path: Path) -> dict[str, Any]:
    mask, where = annotation["segmentation"], f"{path}: annotation {annotation.get('id')}"
    try:
        if mask in ([], None) and annotation.get("bbox"):
            raise DataError("it is a box without a mask, and a box says nothing of which pixels are the object's")
        if isinstance(mask, list):
            return from_polygons(mask, height, width)
        if list(mask["size"]) != [height, width]:
            raise DataError(f"the mask is {_size(mask['size'])}, but its image is {width}x{height}")
        if not isinstance(mask["counts"], str):
            rle = from_runs(mask["counts"], height, width)
        else:
            rle = {"size": [height, width], "counts": mask["counts"]}
        wrong = check_rle(rle)
        if wrong:
            raise DataError(wrong)
    except DataError as error:
        raise DataError(f"{where}: {error}; correct or remove the annotation") from error
    return rle


def _size(size: Any) -> str:
    return f"{size[1]}x{size[0]}" if isinstance(size, list) and len(size) == 2 else f"{size!r:.60}"


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{what} should be a text that is not empty, got {value!r:.60}")
    return value


def _is_crowd(annotation: dict[str, Any], path: Path) -> bool:
    """Whether it is one; tools write 0, 1, true, false and null, or nothing."""
    crowd = annotation.get("iscrowd")
    if crowd not in (None, 0, 1):
        raise DataError(f"{path}: annotation {annotation.get('id')}: expected iscrowd to be 0 or 1, got {crowd!r:.60}")
    return bool(crowd)


@contextmanager
def _format_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise DataError(
            f"{path}: expected COCO's format, but {error} is missing; check that this is the right JSON"
        ) from error
    except (TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected COCO's format, but found something else ({error})") from error
