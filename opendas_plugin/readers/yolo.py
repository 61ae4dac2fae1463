"""YOLO's segmentation layout: ``data.yaml``, folders ``images`` and ``labels``, a text file of polygons for each image.

``data.yaml`` holds ``names`` (a list, or number -> name), ``train`` and ``val`` (folders, or text files of image paths,
or lists of them, relative to ``path``), as Ultralytics' tools read it. The labels of ``.../images/a.jpg`` are
``.../labels/a.txt``: a line for each object, its class's number and then x and y of each point as shares of the image's
width and height. Source: docs.ultralytics.com/datasets/segment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from opendas_plugin.data.images import IMAGE_SUFFIXES, unsized_frame
from opendas_plugin.data.outlines import polygons_mask
from opendas_plugin.data.reading import ImageReading
from opendas_plugin.errors import DataError, MissingFileError, OpenDASError
from opendas_plugin.files import find_files, read_lines, read_text, require_unique
from opendas_plugin.names import check_names, normal_form
from opendas_plugin.readers.folders import Grouping, group_names
from opendas_plugin.readers.reader import Context, Dataset, Reader, Sighting, Split
from opendas_plugin.stamps import note

_BOX = 5
"""Numbers of a line of a detection dataset: a class, and a box's middle and sides."""
_NO_PIXELS = (
    "a box says nothing of which pixels are the object's; export the labels for segmentation, or make masks of the "
    "boxes first"
)
_BOXES = f"the labels are boxes, of a detection dataset, and {_NO_PIXELS}"


@dataclass(frozen=True, kw_only=True)
class Yolo:
    """YOLO's segmentation layout: data.yaml, images, and a text file of polygons for each."""

    data: Path
    """The file data.yaml, or the folder that holds it."""
    group_by: Grouping | None = None
    """What a split keeps together where there is no validation part: each image, the images of a sub-folder, or blocks
    of neighbouring frames of a video. Default: sub-folders if there are several, else images."""


def read(options: Yolo, context: Context) -> Dataset:
    """The training images, and the validation images where data.yaml names others.

    Raises:
        MissingFileError, DataError: data.yaml, or a folder that it names, is missing or not as it should be. Reading an
            item raises them, too: an image cannot be read, or a line is no polygon.
    """
    path = _yaml_of(options.data)
    content = _load(path)
    names = _names(path, content)

    def split(part: str) -> Split[tuple[Path, Path]]:
        images = _images(path, content, part)
        labelled = [(image, labels) for image in images if _is_labelled(labels := labels_of(image))]
        if not labelled:
            raise MissingFileError(
                f"no image of {part} in {path} has labels, such as {labels_of(images[0])}; check the folders"
            )
        groups = group_names([image.with_suffix("").as_posix() for image, _ in labelled], options.group_by)

        def read_one(item: tuple[Path, Path]) -> ImageReading:
            image, labels = item
            note(labels)
            found = ImageReading(groups[image.with_suffix("").as_posix()])
            (height, width), upright = unsized_frame(image, str(labels), context.exif)
            for number, line in enumerate(read_lines(labels), 1):
                if not line:
                    continue
                try:
                    place, points = _polygon(line, len(names))
                    outline = [[x * width, y * height] for x, y in points]
                    mask = polygons_mask([outline], height, width)
                except DataError as error:
                    raise DataError(f"{labels}, line {number}: {error}") from error
                found.add(image, mask if upright is None else upright(mask), names[place], min_area=context.min_area)
            return found

        return Split(labelled, read_one, len(images) - len(labelled))

    if not has_validation(options):
        return Dataset(names, split("train"))
    return Dataset(names, split("train"), split("val"))


def has_validation(options: Yolo) -> bool:
    """Whether data.yaml names validation images that are not those of training."""
    try:
        path = _yaml_of(options.data)
        content = _load(path)
        return content.get("val") is not None and content["val"] != content.get("train")
    except OpenDASError:  # read() says what is wrong
        return False


def labels_of(image: Path) -> Path:
    """Where the labels of an image lie: beside the last folder ``images`` of its path, in ``labels``."""
    parts = list(image.parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def look(folder: Path) -> Sighting | None:
    """A YAML file with ``names`` and ``train``, and what it still lacks to be read."""
    poor = None
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        try:
            content = _load(path)
        except OpenDASError:
            continue
        said = f"{path.name} has YOLO's names and train"
        options = {"data": folder if path.name == "data.yaml" else path}
        try:
            _names(path, content)
            images = _images(path, content, "train")
            lines = [
                line for image in images[:50] if labels_of(image).is_file() for line in read_lines(labels_of(image))
            ]
        except OpenDASError as error:
            poor = poor or Sighting(said, options, 1, f"first mend this: {error}")
            continue
        if any(len(line.split()) > _BOX for line in lines):
            return Sighting(f"{said}, and the labels are polygons", options, 8)
        lacks = _BOXES if any(lines) else f"there are no labels yet, such as {labels_of(images[0])}"
        poor = poor or Sighting(said, options, 1, f"first mend this: {lacks}")
    return poor


READER = Reader(
    "yolo",
    Yolo,
    read,
    own_validation=has_validation,
    look=look,
    looks_for="YOLO's data.yaml with labels that are polygons",
)


def _yaml_of(path: Path) -> Path:
    return path / "data.yaml" if path.is_dir() else path


def _load(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(read_text(path, "give YOLO's data.yaml, or the folder that holds it"))
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: expected YAML ({' '.join(str(error).split()):.200})") from error
    if not isinstance(content, dict) or "names" not in content or "train" not in content:
        raise DataError(f"{path}: expected YOLO's data.yaml with `names`, `train` and `val`, got {content!r:.60}")
    return content


def _names(path: Path, content: dict[str, Any]) -> tuple[str, ...]:
    """The names in the order of their numbers, which begin at 0."""
    names = content["names"]
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise DataError(f"{path}: expected names of the numbers 0 to {len(names) - 1}, got {names!r:.80}")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str | int) for name in names):
        raise DataError(f"{path}: expected names as a list, or as number: name, got {names!r:.80}")
    if any(isinstance(name, bool) for name in names):
        raise DataError(f"{path}: YAML takes a name such as yes, no, on or off for true or false; put it in quotes")
    count = content.get("nc", len(names))
    if count != len(names):
        raise DataError(f"{path}: expected {count!r:.20} names, as nc says, got {len(names)}; correct one of them")
    found = tuple(normal_form(str(name)) for name in names)
    check_names(found, f"{path}: names")
    return found


def _images(path: Path, content: dict[str, Any], part: str) -> list[Path]:
    """The images of a part, sorted within each of its entries."""
    entries = content[part] if isinstance(content[part], list) else [content[part]]
    if not entries or not all(isinstance(entry, str) for entry in entries):
        raise DataError(f"{path}: expected a folder of images as {part}, got {content[part]!r:.80}")
    root = path.parent / str(content["path"]) if content.get("path") else path.parent
    root = root if root.is_dir() else path.parent  # the path of the machine that wrote it
    found: list[Path] = []
    for entry in entries:
        place = _place(root, entry)
        if place.is_file() and place.suffix == ".txt":
            found += [_listed(place, line, root) for line in read_lines(place) if line]
        else:
            found += _below(place, f"{path}, {part}")
    require_unique(found, f"{path}: the image of {part}")
    if not found:
        raise MissingFileError(f"{path}: {part} names no image; correct it")
    return found


def _place(root: Path, entry: str) -> Path:
    """Where an entry leads; Roboflow's begin with ``../`` and mean a folder beside data.yaml."""
    place = root / entry
    beside = root / entry.removeprefix("../")
    return beside if not place.exists() and beside.exists() else place


def _below(folder: Path, what: str) -> list[Path]:
    if not folder.is_dir():
        raise MissingFileError(f"{what}: {folder} is not a folder; correct the entry, or `path` before it")
    found = sorted(path for suffix in IMAGE_SUFFIXES for path in find_files(folder, (suffix,)).values())
    stems = [path.with_suffix("").as_posix() for path in found]
    require_unique(stems, f"{what}: the image")  # they would share their labels
    return found


def _listed(place: Path, line: str, root: Path) -> Path:
    """An image of a text file; ``./`` means beside that file, as Ultralytics has it."""
    return place.parent / line[2:] if line.startswith("./") else root / line


def _is_labelled(labels: Path) -> bool:
    return labels.is_file() and bool(read_text(labels).strip())


def _polygon(line: str, count: int) -> tuple[int, list[tuple[float, float]]]:
    """The class and the points, as shares of the sides, of a line."""
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        values = []
    if len(values) == _BOX:
        raise DataError(f"this is a box, of a detection dataset, and {_NO_PIXELS}")
    if len(values) < 7 or len(values) % 2 == 0 or not all(map(math.isfinite, values)):
        raise DataError(f"expected a class and x and y of three points or more, got {line!r:.60}")
    place = int(values[0])
    if place != values[0] or not 0 <= place < count:
        raise DataError(f"the class {line.split()[0]:.20} is none of the {count} names, 0 to {count - 1}; correct it")
    points = list(zip(values[1::2], values[2::2], strict=True))
    if max(values[1:]) > 1.5 or min(values[1:]) < -0.5:
        raise DataError(f"expected points as shares of the width and height, 0 to 1, got {line!r:.60}")
    return place, points
