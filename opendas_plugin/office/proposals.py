"""Masks without classes for the office domain's pictures, as a mask proposer that knows no class might give them.

Half of the recipe spoils the ground truth: every instance is split, merged with a neighbour or eroded. The other half
never sees it: an over-segmentation of colour and depth. Both are class-agnostic, and their overlap with the ground
truth is measured and written down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from tqdm import tqdm

from opendas_plugin.crops import mask_box
from opendas_plugin.data.images import read_image, read_labels
from opendas_plugin.data.segments import encode
from opendas_plugin.errors import DataError
from opendas_plugin.files import atomic_folder, write_json

Mask = NDArray[np.bool_]

MIN_AREA = 100
"""Pixels of the smallest instance that a proposer finds, and of the smallest spoilt mask."""
_TOUCH = 3  # pixels between two instances that count as neighbours
_REGION = 400  # pixels of the smallest region of the over-segmentation
_BLUR, _COLOUR_STEP = 2.0, 24.0  # pixels; the gradient of the colour, grey values a pixel
_CREASE = 0.006  # second difference of the inverse depth over the inverse depth; 0 on a plane


def write_proposals(data: Path, scenes: Sequence[str], output: Path, *, seed: int = 0) -> dict[str, Any]:
    """Writes proposals, oracle masks and label maps for all pictures of some scenes of an office domain.

    ``proposals.json`` and ``oracle.json`` name pictures in ``data/scenes``; ``labels/`` has their class maps
    (row of the vocabulary, 255: none) under the same paths; ``quality.json`` has what is returned.

    Args:
        data: the domain's folder.
        scenes: names of folders in ``data/scenes``.
        output: the folder to write.
        seed: of what is split, merged and eroded.

    Returns:
        Of the spoilt ground truth, the over-segmentation and both: number of masks, mean IoU of each mask with the
        instance that it overlaps most, and the share of masks whose IoU is below 0.25.

    Raises:
        MissingFileError, DataError: the domain lacks its scenes.
        OutputError: the folder cannot be written.
    """
    found: dict[str, list[float]] = {"spoilt ground truth": [], "over-segmentation": []}
    proposals, oracle = [], []
    with atomic_folder(output) as folder:
        for number, name in enumerate(
            tqdm(_pictures(data, scenes), desc="propose masks", unit="picture", disable=None)
        ):
            colour, depth, instances, classes = _read(data / "scenes", name)
            for kind, masks in (
                ("spoilt ground truth", spoil(instances, np.random.default_rng([seed, number]))),
                ("over-segmentation", oversegment(colour, depth)),
            ):
                found[kind] += [best_iou(mask, instances) for mask in masks]
                proposals += [_entry(name, mask) for mask in masks]
            oracle += [_entry(name, instances == one) for one in _large(instances)]
            labels = folder / "labels" / Path(name).with_suffix(".png")
            labels.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(classes).save(labels)
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
    neighbours = np.unique(instances[ndimage.binary_dilation(mask, iterations=_TOUCH) & ~mask])
    neighbours = neighbours[neighbours > 0]
    return mask | (instances == rng.choice(neighbours)) if len(neighbours) else mask


def erode(mask: Mask, share: float) -> Mask:
    """Takes the ``share`` of the mask's pixels away that lie nearest to its border."""
    x0, y0, x1, y1 = mask_box(mask)
    window = mask[y0:y1, x0:x1]
    inside = ndimage.distance_transform_edt(np.pad(window, 1))[1:-1, 1:-1]
    eroded = np.zeros_like(mask)
    eroded[y0:y1, x0:x1] = inside > np.quantile(inside[window], share)
    return eroded


def oversegment(colour: NDArray[np.uint8], depth: NDArray[np.float64]) -> list[Mask]:
    """Cuts a picture at its colour edges and at the steps and creases of its depth.

    Regions are connected pixels away from edges, of 400 at least; all other pixels join the nearest region.

    Args:
        colour: (H, W, 3).
        depth: (H, W), metres, 0 where there is none.
    """
    smooth = ndimage.gaussian_filter(colour.astype(np.float64), (_BLUR, _BLUR, 0))
    steps = np.sqrt(sum(ndimage.sobel(smooth, axis=axis) ** 2 for axis in (0, 1)).sum(axis=-1)) / 8
    inverse = 1 / np.maximum(depth, 1e-3)  # linear in the picture over any plane
    crease = np.abs(ndimage.laplace(ndimage.gaussian_filter(inverse, 1))) / inverse
    numbered, count = ndimage.label((steps < _COLOUR_STEP) & (crease < _CREASE))
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)
    small = (sizes < _REGION)[numbered] | (numbered == 0)
    if small.all():
        return []
    rows, columns = ndimage.distance_transform_edt(small, return_distances=False, return_indices=True)
    regions = numbered[rows, columns]
    return [regions == number for number in np.unique(regions)]


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
        raise DataError("expected pictures with instances, got no mask; check the scenes")
    return {
        kind: {
            "masks": len(ious),
            "mean_iou": round(float(np.mean(ious)), 4),
            "below_0.25": round(float(np.mean(np.array(ious) < 0.25)), 4),
        }
        for kind, ious in everything.items()
        if ious
    }


def _pictures(data: Path, scenes: Sequence[str]) -> list[str]:
    found = [
        f"{scene}/color/{path.name}"
        for scene in scenes
        for path in sorted((data / "scenes" / scene / "color").glob("*.jpg"), key=lambda path: int(path.stem))
    ]
    if not found:
        raise DataError(f"{data} has no pictures in scenes/; expected a domain that prepare_data.py office wrote")
    return found


def _read(
    scenes: Path, name: str
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.int64], NDArray[np.uint8]]:
    """Colour, depth in metres, instance numbers and classes of a picture."""
    scene, number = (scenes / name).parent.parent, Path(name).with_suffix(".png").name
    depth, instances, classes = (read_labels(scene / kind / number) for kind in ("depth", "instance", "class"))
    return read_image(scenes / name), depth / 1000, instances, classes.astype(np.uint8)


def _large(instances: NDArray[np.int64]) -> Iterator[int]:
    numbers, sizes = np.unique(instances, return_counts=True)
    yield from (int(number) for number in numbers[(sizes >= MIN_AREA) & (numbers > 0)])


def _entry(name: str, mask: Mask) -> dict[str, Any]:
    return {"file_name": name, "segmentation": encode(mask)}
