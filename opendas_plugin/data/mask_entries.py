"""Files of masks without classes, as lists of entries: the project's own list, or COCO's instances."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opendas_plugin.data.segments import MOST_PIXELS, from_polygons, from_runs
from opendas_plugin.errors import DataError


def mask_entries(content: Any, path: str | Path) -> list[Any]:
    """The entries (``file_name``, ``segmentation``, perhaps ``exif``) of a file's content, not yet looked at.

    Args:
        content: a list of them, which is returned; or COCO's instances, of whose annotations the polygons or run-length
            codes are taken and the categories are not.
        path: of the file, for errors.

    Raises:
        DataError: an annotation is of no picture, or its polygons or run lengths are none.
    """
    if isinstance(content, list):
        if content and isinstance(content[0], dict) and "image_id" in content[0] and "file_name" not in content[0]:
            raise DataError(
                f"{path} names pictures by image_id alone, as COCO's results do; give entries with file_name, or a "
                "file with images and annotations"
            )
        return content
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in ("images", "annotations")):
        return [content]
    records = {str(image.get("id")): image for image in content["images"] if isinstance(image, dict)}
    return [_entry(one, records, f"{path}, annotation {place}") for place, one in enumerate(content["annotations"], 1)]


def _entry(annotation: Any, records: Mapping[str, Any], where: str) -> dict[str, Any]:
    record = records.get(str(annotation.get("image_id"))) if isinstance(annotation, dict) else None
    if record is None:
        raise DataError(f"{where} is of no picture among the images; correct its image_id")
    height, width = record.get("height"), record.get("width")
    if not all(type(side) is int and 0 < side <= MOST_PIXELS for side in (height, width)):
        raise DataError(f"{where}: expected height and width of its picture in pixels, got {height!r} and {width!r}")
    code = annotation.get("segmentation")
    try:
        if isinstance(code, list):
            code = from_polygons(code, height, width)
        elif isinstance(code, dict) and isinstance(code.get("counts"), list) and code.get("size") == [height, width]:
            code = from_runs(code["counts"], height, width)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    return {"file_name": record.get("file_name"), "segmentation": code, "exif": annotation.get("exif")}
