"""Readers for COCO's two formats: instances (polygons or run-length codes in JSON) and panoptic (JSON and PNGs)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from opendas_plugin.data.images import read_ids, read_image
from opendas_plugin.data.reading import ImageReading, Reading, read_images, too_small
from opendas_plugin.data.segments import Segment, check_rle, encode
from opendas_plugin.errors import DataError
from opendas_plugin.files import read_json
from opendas_plugin.vocabulary import check_names, fold_name

CROWD = "crowd region"


def read_instances(
    path: Path, images: Path, *, min_area: int = 100, workers: int = 2, journal: Path | None = None
) -> Reading:
    """Reads an instances JSON: each annotation is a segment; crowd regions and those below ``min_area`` are dropped.

    Images without an annotation are left out and counted. ``journal``: see
    :func:`~opendas_plugin.data.reading.read_images`.

    Raises:
        MissingFileError, DataError: a file is missing, unreadable or not of this format, or an image's size differs.
    """
    content, names, raw_names = _open(path)
    with _format_errors(path):
        annotations: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for annotation in content["annotations"]:
            annotations[annotation["image_id"]].append(annotation)
        records = {record["id"]: record for record in content["images"]}
        unknown = set(annotations) - set(records)
        if unknown:
            raise DataError(
                f"{path}: annotations name the image id {sorted(unknown)[0]}, which is not among the images"
            )

    def read(image_id: Any) -> ImageReading:
        with _format_errors(path):
            image, height, width = _image(records[image_id], images, path)
            found = ImageReading(image.stem)
            for annotation in annotations[image_id]:
                if annotation.get("iscrowd"):
                    found.dropped[CROWD] += 1
                    continue
                rle = _run_lengths(annotation, height, width, path)
                if coco_mask.area(rle) < min_area:
                    found.dropped[too_small(min_area)] += 1
                    continue
                label = _name(names, annotation["category_id"], path)
                found.segments.append(Segment(image, rle, label, found.group))
            return found

    labelled = [image_id for image_id in records if image_id in annotations]
    found = read_images(read, labelled, workers=workers, progress=f"reading {path.name}", journal=journal)
    return Reading(tuple(names.values()), found, raw_names, len(records) - len(labelled))


def read_panoptic(
    path: Path, folder: Path, images: Path, *, min_area: int = 100, workers: int = 2, journal: Path | None = None
) -> Reading:
    """Reads a panoptic JSON and its folder of PNGs, whose pixels hold the segment id as R + 256 G + 65536 B.

    Crowd regions and segments below ``min_area`` are dropped; images without an annotation are left out and counted.
    ``journal``: see :func:`~opendas_plugin.data.reading.read_images`.

    Raises:
        MissingFileError, DataError: as :func:`read_instances`; also a PNG that disagrees with the JSON.
    """
    content, names, raw_names = _open(path)
    with _format_errors(path):
        records = {record["id"]: record for record in content["images"]}
        annotations: list[dict[str, Any]] = content["annotations"]
        unknown = {annotation["image_id"] for annotation in annotations} - set(records)
        if unknown:
            raise DataError(
                f"{path}: annotations name the image id {sorted(unknown)[0]}, which is not among the images"
            )

    def read(annotation: dict[str, Any]) -> ImageReading:
        with _format_errors(path):
            image, height, width = _image(records[annotation["image_id"]], images, path)
            png = folder / annotation["file_name"]
            ids = read_ids(png)
            if ids.shape != (height, width):
                raise DataError(f"{png} is {ids.shape[1]}x{ids.shape[0]}, but its image {image} is {width}x{height}")
            areas = dict(zip(*np.unique(ids, return_counts=True), strict=True))
            listed = {segment["id"] for segment in annotation["segments_info"]}
            stray = sorted(set(areas) - listed - {0})
            if stray:
                raise DataError(
                    f"{png}: the segment id {stray[0]} is in the PNG and not in {path}; use a pair of one release"
                )
            found = ImageReading(image.stem)
            for segment in annotation["segments_info"]:
                area = areas.get(segment["id"], 0)
                if not area:
                    raise DataError(
                        f"{png}: no pixel has the segment id {segment['id']} of {path}; remove the empty segment"
                    )
                if segment.get("iscrowd"):
                    found.dropped[CROWD] += 1
                elif area < min_area:
                    found.dropped[too_small(min_area)] += 1
                else:
                    label = _name(names, segment["category_id"], path)
                    found.segments.append(Segment(image, encode(ids == segment["id"]), label, found.group))
            return found

    found = read_images(read, annotations, workers=workers, progress=f"reading {path.name}", journal=journal)
    return Reading(tuple(names.values()), found, raw_names, len(records) - len(annotations))


def clean_names(raw: Sequence[str]) -> list[str]:
    """Drops COCO's suffixes ``-stuff``, ``-other`` and ``-merged`` from names that stay unique without them."""
    short = [re.sub(r"(-(stuff|other|merged))+$", "", name) or name for name in raw]
    times = Counter(fold_name(name) for name in short)
    return [name if times[fold_name(name)] == 1 else whole for name, whole in zip(short, raw, strict=True)]


def _open(path: Path) -> tuple[dict[str, Any], dict[Any, str], dict[str, str]]:
    """The JSON, category id -> cleaned name, and cleaned name -> raw name where they differ."""
    content = read_json(path)
    with _format_errors(path):
        categories = content["categories"]
        raw = [str(category["name"]) for category in categories]
        check_names(raw, f"{path}: category names")
        names = clean_names(raw)
        raw_names = {name: whole for name, whole in zip(names, raw, strict=True) if name != whole}
        return content, {category["id"]: name for category, name in zip(categories, names, strict=True)}, raw_names


def _image(record: dict[str, Any], images: Path, path: Path) -> tuple[Path, int, int]:
    image, height, width = images / record["file_name"], record["height"], record["width"]
    found = read_image(image).shape[:2]
    if found != (height, width):
        raise DataError(
            f"{image} is {found[1]}x{found[0]}, but {path} says {width}x{height}; use the images it was made for"
        )
    return image, height, width


def _run_lengths(annotation: dict[str, Any], height: int, width: int, path: Path) -> dict[str, Any]:
    """The compressed code of an annotation; polygons that cover no pixel give an empty one."""
    mask, where = annotation["segmentation"], f"{path}: annotation {annotation.get('id')}"
    if isinstance(mask, list):
        polygons = [polygon for polygon in mask if len(polygon) >= 6 and len(polygon) % 2 == 0]
        if not polygons:
            raise DataError(
                f"{where}: expected a polygon of at least three points, got {mask!r:.60}; remove the annotation"
            )
        return _as_text(coco_mask.merge(coco_mask.frPyObjects(polygons, height, width)))
    if list(mask["size"]) != [height, width]:
        rows, columns = mask["size"]
        raise DataError(f"{where}: the mask is {columns}x{rows}, but its image is {width}x{height}")
    rle = _as_text(mask if isinstance(mask["counts"], str) else coco_mask.frPyObjects(mask, height, width))
    wrong = check_rle(rle)
    if wrong:
        raise DataError(f"{where}: {wrong}; correct or remove the annotation")
    return rle


def _as_text(rle: dict[str, Any]) -> dict[str, Any]:
    counts = rle["counts"]
    return {
        "size": [int(side) for side in rle["size"]],
        "counts": counts.decode() if isinstance(counts, bytes) else counts,
    }


def _name(names: dict[Any, str], category: Any, path: Path) -> str:
    if category not in names:
        raise DataError(f"{path}: the category id {category} is not among its {len(names)} categories; add it there")
    return names[category]


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
