"""What COCO's two formats share: categories with their names, images with their sizes, crowds, and errors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from opendas_plugin.data.images import Exif, label_frame
from opendas_plugin.data.picture_finding import Pictures
from opendas_plugin.errors import DataError
from opendas_plugin.files import read_json, require_unique
from opendas_plugin.label_values import LabelValues
from opendas_plugin.names import check_names, fold_name, normal_form
from opendas_plugin.wording import counted

CROWD = "crowd region"


@dataclass(frozen=True)
class LabelledImage:
    """A picture, the size of its labels, and what brings labels into the picture's frame, if they are not in it."""

    path: Path
    size: tuple[int, int]
    upright: Callable[[NDArray[Any]], NDArray[Any]] | None


class Categories:
    """What both formats have: the categories, the images, and that annotations are of images.

    Args:
        path: the JSON.

    Attributes:
        content: what it holds.
        names, raw_names, values: as :class:`~.coco_instances.Instances` has them.

    Raises:
        MissingFileError, DataError: the file is missing, unreadable or not of this format.
    """

    def __init__(self, path: Path) -> None:
        self.content: dict[str, Any] = read_json(path)
        self._path = path
        with format_errors(path):
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
        """The name of a category's id."""
        if category not in self._of:
            raise DataError(
                f"{self._path}: the category id {category} is not among its "
                f"{counted(len(self._of), 'category', 'categories')}; add it there"
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


def clean_names(raw: Sequence[str]) -> list[str]:
    """Drops COCO's suffixes ``-stuff``, ``-other`` and ``-merged`` from names that stay unique without them."""
    short = [re.sub(r"(-(stuff|other|merged))+$", "", name) or name for name in raw]
    times = Counter(fold_name(name) for name in short)
    return [name if times[fold_name(name)] == 1 else whole for name, whole in zip(short, raw, strict=True)]


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


def find_image(record: dict[str, Any], pictures: Pictures, path: Path, exif: Exif | None) -> LabelledImage:
    """The picture of a record in the file ``path``."""
    image, size = pictures.find(record["file_name"]), (record["height"], record["width"])
    if not all(type(side) is int and side > 0 for side in size):
        raise DataError(f"{path}: expected height and width of {image} in pixels, got {size}")
    return LabelledImage(image, size, label_frame(image, size, f"its record in {path}", exif))


def is_crowd(annotation: dict[str, Any], path: Path) -> bool:
    """Whether it is one; tools write 0, 1, true, false and null, or nothing."""
    crowd = annotation.get("iscrowd")
    if crowd not in (None, 0, 1):
        raise DataError(f"{path}: annotation {annotation.get('id')}: expected iscrowd to be 0 or 1, got {crowd!r:.60}")
    return bool(crowd)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{what} should be a text that is not empty, got {value!r:.60}")
    return value


@contextmanager
def format_errors(path: Path) -> Iterator[None]:
    """Says of a file that is not of the format what is missing or odd."""
    try:
        yield
    except KeyError as error:
        raise DataError(
            f"{path}: expected COCO's format, but {error} is missing; check that this is the right JSON"
        ) from error
    except (TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected COCO's format, but found something else ({error})") from error
