"""COCO's instances JSON: polygons or run-length codes."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from opendas_plugin.data.images import Exif
from opendas_plugin.data.picture_finding import Pictures
from opendas_plugin.data.reading import ImageReading, too_small
from opendas_plugin.data.segments import Segment, check_rle, encode, from_polygons, from_runs
from opendas_plugin.errors import DataError
from opendas_plugin.files import require_unique
from opendas_plugin.readers.coco_common import CROWD, Categories, LabelledImage, find_image, format_errors, is_crowd
from opendas_plugin.readers.reader import Split


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
        self._categories = Categories(path)
        self._annotations: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        self.names, self.raw_names = self._categories.names, self._categories.raw_names
        self.values = self._categories.values
        with format_errors(path):
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
            with format_errors(self._path):
                image = find_image(self._records[image_id], pictures, self._path, exif)
                found = ImageReading(image.path.stem)
                for annotation in self._annotations[image_id]:
                    if is_crowd(annotation, self._path):
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


def _run_lengths(annotation: dict[str, Any], image: LabelledImage, path: Path) -> dict[str, Any]:
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
