"""Reader for a folder of images and a folder of label maps with the same file stems; CamVid's layout is one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from opendas_plugin.data.colour_tables import describe_colour, is_background, read_colour_table, without_unlabelled
from opendas_plugin.data.images import IMAGE_SUFFIXES, LABEL_SUFFIXES, Exif, label_frame, read_colours, read_labels
from opendas_plugin.data.reading import ImageReading, too_small
from opendas_plugin.data.segments import Segment, encode
from opendas_plugin.data.splits import match_names
from opendas_plugin.errors import ConfigError, DataError, MissingFileError
from opendas_plugin.files import find_files, names_file
from opendas_plugin.label_values import LabelValues
from opendas_plugin.names import check_names
from opendas_plugin.readers.folder_pairs import look
from opendas_plugin.readers.reader import Context, Dataset, Reader, Split
from opendas_plugin.vocabulary import read_names

Grouping = Literal["image", "folder", "video"]
Regions = Literal["class", "component"]

# A video is cut into this many blocks of neighbouring frames; a block is never divided between two splits.
BLOCKS = 10


@dataclass(frozen=True, kw_only=True)
class Folders:
    """A folder of images and a folder of label PNGs with the same file stems; a pixel's value is its class's place, or
    its colour the class's.
    """

    images: Path
    """Folder of images; sub-folders count."""
    labels: Path
    """Folder of label PNGs or TIFFs: one channel, 8 or 16 bits; or colours, with a table of them as classes."""
    classes: str
    """All names in the order of the label values: a,b,c or a file with one name a line; labelme's first __ignore__ has
    none. Or a file of names and colours,
    which the label PNGs are drawn in: CVAT's labelmap.txt, or lines such as door 120 60 20."""
    offset: int = 0
    """Label value of the first class where the others follow it, such as 1 where 0 is background; values below it are
    no class."""
    ignore: tuple[int, ...] = ()
    """Label values that are no class. Where a class of the list has one, the class is left out; no other is
    renumbered."""
    ignore_classes: tuple[str, ...] = ()
    """Classes of the list that are none; of CVAT's file the background is always left out."""
    label_suffix: str = ""
    """What the stems of label files have behind those of their images, such as _labels; other files are passed over."""
    regions: Regions = "class"
    """One segment for all pixels of a class in an image, or one for each connected component."""
    group_by: Grouping | None = None
    """What a split keeps together: each image, the images of a sub-folder, or blocks of neighbouring frames of a video
    (files that differ in their last number). Default: sub-folders if there are several, else images."""
    val_images: Path | None = None
    """Validation images, if they lie apart."""
    val_labels: Path | None = None
    """Validation label PNGs, if they lie apart."""

    def __post_init__(self) -> None:
        if (self.val_images is None) != (self.val_labels is None):
            raise ConfigError("`val_images` and `val_labels` go together; give both or neither")
        if self.offset < 0:
            raise ConfigError(f"`offset` must be 0 or more, got {self.offset}")


def read(options: Folders, context: Context) -> Dataset:
    """The labelled images of the folders, and of the validation folders."""
    names, values, in_colours = classes_of(options)

    def split(images: Path, labels: Path) -> Split[str]:
        return label_maps(
            images,
            labels,
            names,
            values,
            in_colours=in_colours,
            label_suffix=options.label_suffix,
            regions=options.regions,
            min_area=context.min_area,
            group_by=options.group_by,
            exif=context.exif,
        )

    train, val = split(options.images, options.labels), None
    if options.val_images is not None and options.val_labels is not None:
        val = split(options.val_images, options.val_labels)
    return Dataset(names, train, val, values=None if in_colours else values)


READER = Reader(
    "folders",
    Folders,
    read,
    own_validation=lambda options: options.val_images is not None,
    look=look,
    looks_for="a folder of pictures beside one of label maps with the same names",
)


def classes_of(options: Folders) -> tuple[tuple[str, ...], LabelValues, bool]:
    """The classes, the numbers of their pixels and those to ignore, and whether these are colours.

    Raises:
        ConfigError: numbers are given for colours.
        MissingFileError, DataError: the names cannot be read, or one to be ignored is not among them.
    """
    table = read_colour_table(options.classes) if names_file(options.classes) else None
    if table is not None and (options.ignore or options.offset):
        raise ConfigError("`ignore` and `offset` are for label values; of a table of colours ignore `ignore_classes`")
    names = list(table.names) if table else without_unlabelled(read_names(options.classes))
    numbers = table.numbers if table else range(options.offset, options.offset + len(names))
    left_out = set(match_names(names, options.ignore_classes, "names of ignored classes"))
    left_out |= {name for name in names if table is not None and is_background(name)}
    ignored = {*options.ignore, *range(options.offset)}
    kept = {}
    for name, number in zip(names, numbers, strict=True):
        if name in left_out or number in ignored:
            ignored.add(number)
        else:
            kept[name] = number
    return tuple(kept), LabelValues(tuple((n,) for n in kept.values()), tuple(sorted(ignored))), table is not None


def label_maps(
    images: Path,
    labels: Path,
    names: Sequence[str],
    values: LabelValues,
    *,
    in_colours: bool = False,
    label_suffix: str = "",
    regions: Regions = "class",
    min_area: int = 100,
    group_by: Grouping | None = None,
    exif: Exif | None = None,
) -> Split[str]:
    """Images and label maps (PNG or TIFF), matched by path without suffix.

    Args:
        images, labels: the two folders; sub-folders count.
        names: the class names.
        values: the numbers of their pixels, and those of pixels that are no class.
        in_colours: label maps are drawn in colours, which the numbers stand for, 65536 R + 256 G + B each.
        label_suffix: what the stems of label maps have behind those of their images; other files are passed over.
        regions: "class": all pixels of a class in an image are one segment; "component": each connected region is one.
        min_area: smaller segments are dropped, in pixels.
        group_by: what one split keeps together: "image"; the images of one sub-"folder"; or blocks of neighbouring
            frames of one "video", which are files that differ in their last number. None: folders if there are
            several, else images.
        exif: see :func:`~opendas_plugin.data.images.label_frame`.

    Raises:
        MissingFileError, DataError: a folder or image is missing. Reading an item raises them, too: a file cannot be
            read, sizes differ, or a label value is neither a class nor ignored.
    """
    check_names(names, "class names")
    picture_of, map_of = _by_stem(images, IMAGE_SUFFIXES), _by_stem(labels, LABEL_SUFFIXES, label_suffix)
    missing = sorted(set(map_of) - set(picture_of))
    if missing:
        raise MissingFileError(
            f"{map_of[missing[0]]} has no image {images / missing[0]}.*; add it or remove the labels, or give what "
            "label files have behind the stems of images as `label_suffix`"
        )
    stems = sorted(map_of)
    groups = group_names(stems, group_by)

    def read_one(stem: str) -> ImageReading:
        found = ImageReading(groups[stem])
        image, label_map = picture_of[stem], (read_colours if in_colours else read_labels)(map_of[stem])
        upright = label_frame(image, label_map.shape, str(map_of[stem]), exif)
        label_map = label_map if upright is None else upright(label_map)
        for value in np.unique(label_map).tolist():
            if value in values.ignored:
                found.dropped["ignored label value"] += 1
                continue
            if value not in values.place:
                raise DataError(f"{map_of[stem]}: {_no_class(value, values, in_colours)}")
            numbers = _numbered(label_map == value, regions)
            for number, area in enumerate(np.bincount(numbers.ravel())[1:].tolist(), 1):
                if area < min_area:
                    found.dropped[too_small(min_area)] += 1
                else:
                    name = names[values.place[value]]
                    found.segments.append(Segment(image, encode(numbers == number), name, found.group))
        return found

    return Split(stems, read_one, unlabelled=len(picture_of) - len(stems))


def group_names(stems: Sequence[str], group_by: Grouping | None) -> dict[str, str]:
    """Stem (path without suffix, with forward slashes) -> the group that one split keeps together; see label_maps."""
    if group_by is None:
        group_by = "folder" if len({_folder(stem) for stem in stems}) > 1 else "image"
    if group_by == "image":
        return {stem: stem for stem in stems}
    if group_by == "folder":
        return {stem: _folder(stem) for stem in stems}
    videos: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for stem in stems:
        numbered = re.fullmatch(r"(.*?)(\d+)(\D*)", stem)
        video, frame = (numbered[1] + numbered[3], int(numbered[2])) if numbered else (stem, 0)
        videos[video].append((frame, stem))
    groups = {}
    for video, frames in videos.items():
        frames.sort()
        blocks = min(BLOCKS, len(frames))
        for place, (_, stem) in enumerate(frames):
            groups[stem] = f"{video}#{place * blocks // len(frames)}"
    return groups


def _folder(stem: str) -> str:
    return stem.rpartition("/")[0] or "."


def _numbered(region: np.ndarray, regions: Regions) -> np.ndarray:
    """Int (H, W): 0 outside ``region``, 1 in its first segment, 2 in the next."""
    from scipy import ndimage

    if regions == "class":
        return region.astype(np.intp)
    return ndimage.label(region, structure=np.ones((3, 3)))[0]


def _by_stem(folder: Path, endings: tuple[str, ...], suffix: str = "") -> dict[str, Path]:
    """Stem, without ``suffix``, -> file."""
    found = find_files(folder, endings)
    found = {stem.removesuffix(suffix): path for stem, path in found.items() if stem.endswith(suffix)}
    if not found:
        raise MissingFileError(
            f"{folder} holds no file that ends in {', '.join(suffix + ending for ending in endings)}; check the path"
        )
    return found


def _no_class(value: int, values: LabelValues, in_colours: bool) -> str:
    """What to say of a pixel that is neither a class nor ignored."""
    if in_colours:
        return f"the colour {describe_colour(value)} is not in the table of `classes`; add its name to it"
    return (
        f"label value {value} is not one of the {len(values.of)} classes, {values.describe()}; add its name to "
        f"`classes`, or pass `ignore` {value}"
    )
