"""Masks without classes for a domain's pictures, as a mask proposer that knows no class might give them.

Most of them are spoilt ground truth: every instance is split, merged with a neighbour or eroded. One for every two of
these never saw it: the largest regions of an over-segmentation of colour and, where it is known, depth. The overlap of
both with the ground truth is measured and written down.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from opendas_plugin.crops import mask_box
from opendas_plugin.data.images import read_image
from opendas_plugin.data.segments import Segment, encode
from opendas_plugin.errors import DataError
from opendas_plugin.files import atomic_folder, write_json
from opendas_plugin.label_values import LabelValues
from opendas_plugin.vocabulary import Vocabulary

Mask = NDArray[np.bool_]

MIN_AREA = 100
"""Pixels of the smallest instance that a proposer finds, and of the smallest spoilt mask."""
NO_CLASS = 255
_LARGEST = 65535
_TOUCH = 3  # pixels between two instances that count as neighbours
_REGION = 400  # pixels of the smallest region of the over-segmentation
_BLUR, _COLOUR_STEP = 2.0, 24.0  # pixels; the gradient of the colour, grey values a pixel
_CREASE = 0.006  # second difference of the inverse depth over the inverse depth; 0 on a plane


@dataclass(frozen=True, eq=False)
class LabelledPicture:
    """A picture and its ground truth.

    Attributes:
        name: its path in the folder of all pictures.
        colour: (H, W, 3) uint8 RGB.
        depth: (H, W) metres; None: unknown.
        instances: (H, W) numbers above 0, and 0 where there is none.
        classes: (H, W) uint8 or uint16 label values, as the vocabulary states them, and where there is none its first
            ignored one; where it states none, rows of the vocabulary and ``NO_CLASS``.
    """

    name: str
    colour: NDArray[np.uint8]
    depth: NDArray[np.float64] | None
    instances: NDArray[np.int64]
    classes: NDArray[np.unsignedinteger[Any]]


def labelled_pictures(segments: Sequence[Segment], vocabulary: Vocabulary, images: Path) -> Iterator[LabelledPicture]:
    """Paints the pictures of labelled segments; where segments overlap, the smaller one lies on top.

    Args:
        segments: those of a picture together.
        vocabulary: their names, and the values that they get; up to 255 where it states none.
        images: a folder that all pictures lie in; names are paths in it.

    Raises:
        MissingFileError, DataError: a picture cannot be read, or there are more names than label maps hold.
    """
    values, nothing, dtype = label_numbers(vocabulary)
    for path, own in groupby(segments, key=lambda segment: segment.image):
        ordered = sorted(own, key=lambda segment: -segment.area)
        instances = np.zeros(ordered[0].size, dtype=np.int64)
        classes = np.full(ordered[0].size, nothing, dtype=dtype)
        for number, segment in enumerate(ordered, 1):
            mask = segment.mask()
            instances[mask], classes[mask] = number, values[vocabulary.index[segment.label]]
        yield LabelledPicture(
            Path(os.path.relpath(path, images)).as_posix(), read_image(path), None, instances, classes
        )


def label_numbers(vocabulary: Vocabulary) -> tuple[list[int], int, type[np.uint8] | type[np.uint16]]:
    """The number of each name in a label map, that of no class, and the kind of integer that holds them.

    Raises:
        DataError: there are more names than label maps hold, or a number is too large.
    """
    table = vocabulary.values
    if table is None:
        if len(vocabulary.names) > NO_CLASS:
            raise DataError(f"expected up to {NO_CLASS} names, for 8-bit label maps, got {len(vocabulary.names)}")
        table = LabelValues.places(len(vocabulary.names), ignored=(NO_CLASS,))
    bare = [name for name, own in zip(vocabulary.names, table.of, strict=True) if not own]
    if bare:
        raise DataError(f"the vocabulary states no label value of {bare[0]!r}; add one to draw label maps")
    free = next(number for number in (NO_CLASS, _LARGEST) if number not in table.place)
    values, nothing = [own[0] for own in table.of], table.ignored[0] if table.ignored else free
    if max(*values, nothing) > _LARGEST:
        raise DataError(f"expected label values up to {_LARGEST}, for 16-bit label maps, got {max(*values, nothing)}")
    return values, nothing, np.uint8 if max(*values, nothing) <= 255 else np.uint16


def write_proposals(pictures: Iterable[LabelledPicture], output: Path, *, seed: int = 0) -> dict[str, Any]:
    """Writes proposals, oracle masks and label maps.

    ``proposals.json`` and ``oracle.json`` name the pictures; ``labels/`` has their class maps under the same names;
    ``quality.json`` has what is returned.

    Args:
        pictures: one at a time is needed.
        output: the folder to write.
        seed: of what is split, merged and eroded.

    Returns:
        Of the spoilt ground truth, the over-segmentation and both: number of masks, mean IoU of each mask with the
        instance that it overlaps most, and the share of masks whose IoU is below 0.25.

    Raises:
        DataError: there is no picture with instances.
        OutputError: the folder cannot be written.
    """
    found: dict[str, list[float]] = {"spoilt ground truth": [], "over-segmentation": []}
    proposals, oracle = [], []
    with atomic_folder(output) as folder:
        for number, picture in enumerate(tqdm(pictures, desc="propose masks", unit="picture", disable=None)):
            spoilt = spoil(picture.instances, np.random.default_rng([seed, number]))
            regions = oversegment(picture.colour, picture.depth)[: max(1, len(spoilt) // 2)]
            for kind, masks in (("spoilt ground truth", spoilt), ("over-segmentation", regions)):
                found[kind] += [best_iou(mask, picture.instances) for mask in masks]
                proposals += [_entry(picture.name, mask) for mask in masks]
            oracle += [_entry(picture.name, picture.instances == one) for one in _large(picture.instances)]
            labels = folder / "labels" / Path(picture.name).with_suffix(".png")
            labels.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.classes).save(labels)
        quality = describe(found)
        write_json(folder / "proposals.json", proposals)
        write_json(folder / "oracle.json", oracle)
        write_json(folder / "quality.json", quality)
    return quality


def spoil(instances: NDArray[np.int64], rng: np.random.Generator) -> list[Mask]:
    """Splits, merges or erodes every instance of a map (H, W) with at least ``MIN_AREA`` pixels; each at random."""
    masks = []
    for number in _large(instances):
        mask = instances == number
        action = rng.choice(["split", "merge", "erode"])
        if action == "split":
            masks += split(mask, rng)
        elif action == "merge":
            masks.append(merge(mask, instances, rng))
        else:
            masks.append(erode(mask, rng.uniform(0.1, 0.5)))
    return [mask for mask in masks if mask.sum() >= MIN_AREA]


def split(mask: Mask, rng: np.random.Generator) -> list[Mask]:
    """Cuts a mask in two along a line of random direction that leaves a quarter to three quarters on one side."""
    rows, columns = np.nonzero(mask)
    angle = rng.uniform(0, np.pi)
    along = np.cos(angle) * columns + np.sin(angle) * rows
    first = np.zeros_like(mask)
    first[rows, columns] = along < np.quantile(along, rng.uniform(0.25, 0.75))
    return [first, mask & ~first]


def merge(mask: Mask, instances: NDArray[np.int64], rng: np.random.Generator) -> Mask:
    """Joins a mask with one of the instances that touch it; alone it stays as it is."""
    from scipy import ndimage

    neighbours = np.unique(instances[ndimage.binary_dilation(mask, iterations=_TOUCH) & ~mask])
    neighbours = neighbours[neighbours > 0]
    return mask | (instances == rng.choice(neighbours)) if len(neighbours) else mask


def erode(mask: Mask, share: float) -> Mask:
    """Takes the ``share`` of the mask's pixels away that lie nearest to its border."""
    from scipy import ndimage

    x0, y0, x1, y1 = mask_box(mask)
    window = mask[y0:y1, x0:x1]
    inside = ndimage.distance_transform_edt(np.pad(window, 1))[1:-1, 1:-1]
    eroded = np.zeros_like(mask)
    eroded[y0:y1, x0:x1] = inside > np.quantile(inside[window], share)
    return eroded


def oversegment(colour: NDArray[np.uint8], depth: NDArray[np.float64] | None) -> list[Mask]:
    """Cuts a picture at its colour edges and, where depth is known, at its steps and creases.

    Regions are connected pixels away from edges, of 400 at least; all other pixels join the nearest region.

    Args:
        colour: (H, W, 3).
        depth: (H, W), metres, 0 where there is none; None: unknown.

    Returns:
        The regions, the largest first.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(colour.astype(np.float64), (_BLUR, _BLUR, 0))
    steps = np.sqrt(sum(ndimage.sobel(smooth, axis=axis) ** 2 for axis in (0, 1)).sum(axis=-1)) / 8
    even = steps < _COLOUR_STEP
    if depth is not None:
        inverse = 1 / np.maximum(depth, 1e-3)  # linear in the picture over any plane
        even &= np.abs(ndimage.laplace(ndimage.gaussian_filter(inverse, 1))) / inverse < _CREASE
    numbered, count = ndimage.label(even)
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)
    small = (sizes < _REGION)[numbered] | (numbered == 0)
    if small.all():
        return []
    rows, columns = ndimage.distance_transform_edt(small, return_distances=False, return_indices=True)
    regions = numbered[rows, columns]
    numbers, areas = np.unique(regions, return_counts=True)
    return [regions == number for number in numbers[np.argsort(-areas, kind="stable")]]


def best_iou(mask: Mask, instances: NDArray[np.int64]) -> float:
    """The IoU of a mask with the instance (number above 0) that it overlaps most by that measure."""
    sizes = np.bincount(instances.ravel())
    common = np.bincount(instances[mask], minlength=len(sizes))
    return float((common / (sizes + mask.sum() - common))[1:].max(initial=0.0))


def describe(found: dict[str, list[float]]) -> dict[str, Any]:
    """Number, mean IoU and share below 0.25 of each kind of masks, and of all.

    Raises:
        DataError: there are no masks.
    """
    everything = {**found, "all": [iou for ious in found.values() for iou in ious]}
    if not everything["all"]:
        raise DataError("expected instances to propose masks for, got none; check the data")
    return {
        kind: {
            "masks": len(ious),
            "mean_iou": round(float(np.mean(ious)), 4),
            "below_0.25": round(float(np.mean(np.array(ious) < 0.25)), 4),
        }
        for kind, ious in everything.items()
        if ious
    }


def _large(instances: NDArray[np.int64]) -> Iterator[int]:
    numbers, sizes = np.unique(instances, return_counts=True)
    yield from (int(number) for number in numbers[(sizes >= MIN_AREA) & (numbers > 0)])


def _entry(name: str, mask: Mask) -> dict[str, Any]:
    return {"file_name": name, "segmentation": encode(mask), "exif": "turned"}
