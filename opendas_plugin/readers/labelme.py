"""labelme's JSON files, one beside each photo: polygons, boxes, circles and masks with a name each.

Source: github.com/wkentaro/labelme, versions 3 to 5. A file holds ``imagePath``, ``imageHeight``, ``imageWidth`` and
``shapes``, of which each has ``label``, ``points``, ``shape_type`` (version 3 leaves it out for polygons) and
``group_id``, which joins shapes of one label to one object. A mask is a PNG in base64 over the box of its two points,
of which the last pixel counts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.embedded_masks import png_mask
from opendas_plugin.data.images import label_frame, unsized_frame
from opendas_plugin.data.outlines import box_mask, ellipse_mask, join_groups, placed_mask, polygons_mask
from opendas_plugin.data.picture_finding import Pictures
from opendas_plugin.data.reading import ImageReading
from opendas_plugin.data.typed_labels import TypedLabels
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import find_files, holds_text, read_json
from opendas_plugin.readers.folders import Grouping, group_names
from opendas_plugin.readers.reader import Context, Dataset, Reader, Sighting, Split
from opendas_plugin.stamps import note

VERSIONS = "3 to 5"
NO_AREA = ("line", "linestrip", "point", "points")
"""Kinds of shapes that cover no pixels."""
KINDS = ("polygon", "rectangle", "circle", "mask")
LEFT_OUT = "label that is none of the classes"


@dataclass(frozen=True, kw_only=True)
class Labelme:
    """labelme's JSON files beside the photos: polygons, rectangles, circles and masks."""

    root: Path
    """Folder of the JSON files; sub-folders count."""
    images: Path | None = None
    """Folder of the photos, if they do not lie where the JSON files say."""
    classes: str | None = None
    """Names in their order, a,b,c or a file with one name a line, such as labelme's labels.txt; other labels are left
    out. Default: all labels that occur, by the alphabet."""
    group_by: Grouping | None = None
    """What a split keeps together: each image, the images of a sub-folder, or blocks of neighbouring frames of a video.
    Default: sub-folders if there are several, else images."""


def read(options: Labelme, context: Context) -> Dataset:
    """The photos that have a JSON file; all files are looked through for their labels first.

    Raises:
        MissingFileError, DataError: there is no JSON file, or one is not labelme's. Reading an item raises them, too: a
            photo is missing or of another size, or a shape is none that can be read.
    """
    paths = find_files(options.root, (".json",))
    if not paths:
        raise MissingFileError(f"{options.root} holds no JSON file; give the folder that labelme wrote into")
    found = dict(zip(paths, context.each(_labels, list(paths.values()), progress="looking for labels"), strict=True))
    labels = TypedLabels(Counter(label for own in found.values() for label in own), options.classes, str(options.root))
    stems = [stem for stem, own in found.items() if own]
    groups = group_names(stems, options.group_by)
    pictures = Pictures(options.images or options.root)
    owners: dict[Path, Path] = {}

    def read_one(stem: str) -> ImageReading:
        path = paths[stem]
        content = _load(path)
        with _format_errors(path, content):
            image = _picture(path, content["imagePath"], pictures, options.images is None)
            if (other := owners.setdefault(image, path)) != path:
                raise DataError(f"{other} and {path} are of one photo, {image}; keep one of them")
            size, upright = _frame(path, content, image, context)
            reading = ImageReading(groups[stem])
            for name, mask in join_groups(_objects(path, content["shapes"], labels, size, reading)):
                mask = mask if upright is None else upright(mask)
                reading.add(image, mask, name, min_area=context.min_area)
            return reading

    return Dataset(labels.names, Split(stems, read_one, max(0, len(pictures) - len(stems))))


def look(folder: Path) -> Sighting | None:
    """JSON files with labelme's ``shapes`` and ``imagePath``."""
    for path in sorted(folder.glob("*.json"))[:3] + sorted(folder.glob("*/*.json"))[:3]:
        if holds_text(path, '"shapes"', '"imagePath"'):
            names = folder / "labels.txt"
            return Sighting(
                f"{path.relative_to(folder)} has labelme's shapes and imagePath",
                {"root": folder, **({"classes": names} if names.is_file() else {})},
                7,
            )
    return None


READER = Reader("labelme", Labelme, read, look=look, looks_for="labelme's JSON files with shapes and imagePath")


def _labels(path: Path) -> list[str]:
    """The labels of a file."""
    content = _load(path)
    with _format_errors(path, content):
        labels = [shape["label"] for shape in content["shapes"]]
    odd = [label for label in labels if not isinstance(label, str) or not label.strip()]
    if odd:
        raise DataError(f"{path}: a label should be a text that is not empty, got {odd[0]!r:.60}")
    return labels


def _load(path: Path) -> Any:
    note(path)
    return read_json(path)


def _picture(path: Path, said: str, pictures: Pictures, beside: bool) -> Path:
    """The photo, which lies where the file says, or has the file's stem; else anywhere in the folder of photos."""
    if beside:
        for image in (path.parent / said.replace("\\", "/"), path.parent / said.replace("\\", "/").split("/")[-1]):
            if image.is_file():
                return image
    return pictures.find(said)


def _frame(path: Path, content: dict[str, Any], image: Path, context: Context) -> Any:
    size: tuple[Any, Any] = (content.get("imageHeight"), content.get("imageWidth"))
    if size == (None, None):
        return unsized_frame(image, str(path), context.exif)
    if not all(type(side) is int and side > 0 for side in size):
        raise DataError(f"{path}: expected imageHeight and imageWidth in pixels, got {size!r:.60}")
    return size, label_frame(image, size, f"the size in {path}", context.exif)


def _objects(
    path: Path, shapes: list[dict[str, Any]], labels: TypedLabels, size: tuple[int, int], reading: ImageReading
) -> Iterator[tuple[str, Any, NDArray[np.bool_]]]:
    """Class, group and mask of each shape that is one; others are counted as dropped."""
    for place, shape in enumerate(shapes, 1):
        name, kind = labels.find(shape["label"]), shape.get("shape_type") or "polygon"
        if name is None or kind in NO_AREA:
            reading.dropped[LEFT_OUT if name is None else f"{kind}, which has no area"] += 1
            continue
        try:
            yield name, shape.get("group_id"), _mask(kind, shape, *size)
        except DataError as error:
            raise DataError(f"{path}: shape {place} ({shape['label']!r:.60}): {error}") from error


def _mask(kind: str, shape: dict[str, Any], height: int, width: int) -> NDArray[np.bool_]:
    points = shape["points"]
    if kind == "polygon":
        return polygons_mask([points], height, width)
    if kind == "rectangle":
        return box_mask(points, height, width)
    if kind == "circle":
        if len(points) != 2 or not all(isinstance(point, list) and len(point) == 2 for point in points):
            raise DataError(f"expected a circle's middle and a point on it, got {points!r:.60}")
        centre, rim = points
        radius = math.dist(centre, rim)
        return ellipse_mask(centre, (radius, radius), height, width)
    if kind == "mask":
        (x0, y0), (x1, y1) = ((int(x), int(y)) for x, y in points)
        bits = png_mask(shape["mask"])
        if bits.shape != (y1 - y0 + 1, x1 - x0 + 1):
            raise DataError(
                f"the mask is {bits.shape[1]}x{bits.shape[0]}, but its box is {x1 - x0 + 1}x{y1 - y0 + 1} pixels"
            )
        return placed_mask(bits, x0, y0, height, width)
    known = ", ".join((*KINDS, *NO_AREA))
    raise DataError(f"the shape type {kind!r:.60} is none of versions {VERSIONS} of labelme ({known}); draw it as one")


@contextmanager
def _format_errors(path: Path, content: Any) -> Iterator[None]:
    version = content.get("version") if isinstance(content, dict) else None
    expected = f"expected labelme's JSON of version {VERSIONS}" + (f", got version {version}" if version else "")
    try:
        yield
    except KeyError as error:
        raise DataError(f"{path}: {expected}, where {error} is missing; save it with such a version") from error
    except (TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: {expected}, but found something else ({error})") from error
