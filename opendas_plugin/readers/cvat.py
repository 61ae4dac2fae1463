"""CVAT's own format, "CVAT for images 1.1": one XML file of polygons, masks, boxes and ellipses.

Its segmentation masks, with ``labelmap.txt``, are read by ``voc`` or ``folders``. In the XML a mask is run lengths that
go row by row over a box; shapes of one ``group_id`` and one label are one object; and what has a higher ``z_order``
lies on top: pixels below it are not the lower shape's. Source: docs.cvat.ai, "CVAT XML format".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.embedded_masks import row_runs_mask
from opendas_plugin.data.images import label_frame
from opendas_plugin.data.outlines import box_mask, ellipse_mask, join_groups, placed_mask, polygons_mask
from opendas_plugin.data.picture_finding import Pictures
from opendas_plugin.data.reading import ImageReading
from opendas_plugin.errors import DataError
from opendas_plugin.files import holds_text, read_text, require_unique
from opendas_plugin.names import check_names, normal_form
from opendas_plugin.readers.folders import Grouping, group_names
from opendas_plugin.readers.reader import Context, Dataset, Reader, Sighting, Split

VERSION = "1.1"
KINDS = ("polygon", "mask", "box", "ellipse")
NO_AREA = ("polyline", "points", "cuboid", "skeleton", "tag")
"""Kinds of shapes that cover no pixels, or say nothing of which."""
NO_GROUP = "0"
"""The group of shapes that are in none."""


@dataclass(frozen=True, kw_only=True)
class Cvat:
    """CVAT's XML, as "CVAT for images 1.1" exports it; its segmentation masks are read by voc, or folders."""

    annotations: Path
    """The file annotations.xml."""
    images: Path
    """Folder of the images; sub-folders count."""
    group_by: Grouping | None = None
    """What a split keeps together: each image, the images of a sub-folder, or blocks of neighbouring frames of a video.
    Default: sub-folders if there are several, else images."""


def read(options: Cvat, context: Context) -> Dataset:
    """The images that have shapes.

    Raises:
        MissingFileError, DataError: the XML is missing or another. Reading an item raises them, too: an image is
            missing or of another size, or a shape is none that can be read.
    """
    path = options.annotations
    root = _load(path)
    names = _names(path, root)
    with _format_errors(path):
        images = {image.attrib["name"]: image for image in root.findall("image")}
        require_unique((image.attrib["name"] for image in root.findall("image")), f"{path}: the image")
    labelled = [name for name, image in images.items() if any(shape.tag in KINDS for shape in image)]
    stems = {name: name.replace("\\", "/").rpartition(".")[0] or name for name in labelled}
    groups = group_names([*stems.values()], options.group_by)
    pictures = Pictures(options.images)

    def read_one(name: str) -> ImageReading:
        element = images[name]
        with _format_errors(path):
            size = (int(element.attrib["height"]), int(element.attrib["width"]))
            image = pictures.find(name)
            upright = label_frame(image, size, f"its size in {path}", context.exif)
            found = ImageReading(groups[stems[name]])
            for shape in element:
                if shape.tag in NO_AREA:
                    found.dropped[f"{shape.tag}, which has no area"] += 1
            for label, mask in join_groups(_visible(element, names, size, f"{path}, image {name}")):
                found.add(image, mask if upright is None else upright(mask), label, min_area=context.min_area)
            return found

    return Dataset(names, Split(labelled, read_one, len(images) - len(labelled)))


def look(folder: Path) -> Sighting | None:
    """An XML file with CVAT's ``annotations`` and images."""
    for path in sorted([*folder.glob("*.xml"), *folder.glob("*/*.xml")])[:10]:
        if holds_text(path, "<annotations>", "<image ", "<version>"):
            images = next((one for one in (folder / "images", path.parent / "images") if one.is_dir()), folder)
            reason = f"{path.relative_to(folder)} is CVAT's XML of images"
            return Sighting(reason, {"annotations": path, "images": images}, 8)
    return None


READER = Reader("cvat", Cvat, read, look=look, looks_for="CVAT's annotations.xml")


def _load(path: Path) -> Element:
    text = read_text(path, "export the task as CVAT for images 1.1, and give its annotations.xml")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError(f"{path}: expected CVAT's XML, which has no document type of its own; export it again")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected XML ({error}); export it again") from error
    version = (root.findtext("version") or "").strip()
    if root.tag != "annotations" or version != VERSION:
        found = f"version {version!r:.20}" if root.tag == "annotations" else f"<{root.tag:.40}>"
        raise DataError(f"{path}: expected CVAT for images {VERSION}, got {found}; export the task in that format")
    if root.find("track") is not None:
        raise DataError(f"{path} holds tracks, as CVAT for video does; export the task as CVAT for images {VERSION}")
    return root


def _names(path: Path, root: Element) -> tuple[str, ...]:
    """The labels of the file's head, less those of skeletons' parts."""
    labels = [label for label in root.iterfind("./meta//labels/label") if label.find("parent") is None]
    kinds = {None, "", "any", *KINDS, "rectangle"}  # older files say no type
    found = [
        normal_form((label.findtext("name") or "").strip())
        for label in labels
        if (label.findtext("type") or "").strip() in kinds
    ]
    found = list(dict.fromkeys(found))  # a project lists the labels of each of its tasks
    if not found:
        raise DataError(f"{path}: the head has no labels for shapes with an area; export the task again")
    check_names(found, f"{path}: labels")
    return tuple(found)


def _visible(
    image: Element, names: tuple[str, ...], size: tuple[int, int], where: str
) -> Iterator[tuple[str, str | None, NDArray[np.bool_]]]:
    """Label, group and mask of each shape with an area, less what lies on top of it; the topmost come first."""
    shapes = [(int(shape.get("z_order", "0")), place, shape) for place, shape in enumerate(image, 1)]
    shapes = sorted((one for one in shapes if one[2].tag not in NO_AREA), key=lambda one: -one[0])
    above, own = (np.zeros(size, dtype=bool) for _ in range(2))
    level: int | None = None
    for height, place, shape in shapes:
        if height != level:
            above, own, level = above | own, np.zeros(size, dtype=bool), height
        label = normal_form(shape.attrib["label"])
        what = f"{where}: shape {place} ({label!r:.60})"
        if label not in names:
            raise DataError(f"{what}: this label is not among the labels of the file's head; add it there")
        try:
            mask = _mask(shape, *size)
        except DataError as error:
            raise DataError(f"{what}: {error}") from error
        own |= mask
        group = shape.get("group_id")
        yield label, None if group == NO_GROUP else group, mask & ~above


def _mask(shape: Element, height: int, width: int) -> NDArray[np.bool_]:
    values: Mapping[str, str] = shape.attrib
    rotation = float(values.get("rotation", "0"))
    if shape.tag == "polygon":
        points = [[float(number) for number in point.split(",")] for point in values["points"].split(";")]
        return polygons_mask([points], height, width)
    if shape.tag == "box":
        corners = [[float(values[x]), float(values[y])] for x, y in (("xtl", "ytl"), ("xbr", "ybr"))]
        return box_mask(corners, height, width, rotation)
    if shape.tag == "ellipse":
        middle, radii = ([float(values[x]), float(values[y])] for x, y in (("cx", "cy"), ("rx", "ry")))
        return ellipse_mask(middle, radii, height, width, rotation)
    if shape.tag == "mask":
        left, top, across, down = (int(float(values[name])) for name in ("left", "top", "width", "height"))
        runs = [int(run) for run in values["rle"].replace(",", " ").split()]
        return placed_mask(row_runs_mask(runs, down, across), left, top, height, width)
    known = ", ".join((*KINDS, *NO_AREA))
    raise DataError(
        f"the kind {shape.tag!r:.40} is none of CVAT for images {VERSION} ({known}); draw it as one of them"
    )


@contextmanager
def _format_errors(path: Path) -> Iterator[None]:
    expected = f"expected CVAT for images {VERSION}"
    try:
        yield
    except KeyError as error:
        raise DataError(f"{path}: {expected}, but an attribute {error} is missing; export the task again") from error
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: {expected}, but found something else ({error})") from error
