"""Masks without classes for the office domain's point clouds; the 3D counterpart of :mod:`.proposals`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from tqdm import tqdm

from opendas_plugin.data.mask_features import save_masks
from opendas_plugin.data.pointcloud import geometric_masks, read_ply
from opendas_plugin.errors import MissingFileError
from opendas_plugin.files import atomic_folder, write_json, write_text
from opendas_plugin.office.proposals import Mask, best_iou, describe

MIN_POINTS = 100
"""Points of the smallest instance and of the smallest mask, as in ScanNet's evaluation."""
_REACH = 0.1  # metres within which two instances are neighbours


def write_proposals_3d(data: Path, scenes: Sequence[str], output: Path, *, seed: int = 0) -> dict[str, Any]:
    """Writes proposals and oracle masks for the clouds of some scenes of an office domain.

    ``proposals/<scene>_masks.pt`` and ``oracle/<scene>_masks.pt`` are OpenMask3D's: (points, masks), in the order of
    the points of ``scenes/<scene>/<scene>.ply``; ``quality.json`` has what is returned, ``scenes.txt`` the names.

    Args:
        data: the domain's folder.
        scenes: names of folders in ``data/scenes``.
        output: the folder to write.
        seed: of what is split, merged and eroded.

    Returns:
        As :func:`opendas_plugin.office.proposals.write_proposals`.

    Raises:
        MissingDependencyError: open3d is not there.
        MissingFileError, DataError: the domain lacks its scenes.
        OutputError: the folder cannot be written.
    """
    found: dict[str, list[float]] = {"spoilt ground truth": [], "over-segmentation": []}
    with atomic_folder(output) as folder:
        for kind in ("proposals", "oracle"):
            (folder / kind).mkdir()
        for number, scene in enumerate(tqdm(scenes, desc="propose masks", unit="scene", disable=None)):
            points, _ = read_ply(data / "scenes" / scene / f"{scene}.ply")
            instances = _instances(data / "ground_truth" / f"{scene}.txt")
            spoilt = spoil(points, instances, np.random.default_rng([seed, number]))
            regions = list(geometric_masks(points, fewest=MIN_POINTS).T)[: max(1, len(spoilt) // 2)]
            for kind, masks in (("spoilt ground truth", spoilt), ("over-segmentation", regions)):
                found[kind] += [best_iou(mask, instances) for mask in masks]
            oracle = [instances == one for one in _large(instances)]
            for kind, masks in (("proposals", [*spoilt, *regions]), ("oracle", oracle)):
                save_masks(folder / kind / f"{scene}_masks.pt", np.stack(masks, axis=1))
        quality = describe(found)
        write_json(folder / "quality.json", quality)
        write_text(folder / "scenes.txt", "".join(f"{scene}\n" for scene in scenes))
    return quality


def spoil(points: NDArray[np.float64], instances: NDArray[np.int64], rng: np.random.Generator) -> list[Mask]:
    """Splits, merges or erodes every instance (number above 0) of a cloud with at least 100 points; each at random.

    Args:
        points: (N, 3), metres.
        instances: (N,) the instance of each point.
    """
    masks = []
    for number in _large(instances):
        mask = instances == number
        action = rng.choice(["split", "merge", "erode"])
        if action == "split":
            masks += split(points, mask, rng)
        elif action == "merge":
            masks.append(merge(points, mask, instances, rng))
        else:
            masks.append(erode(points, mask, rng.uniform(0.1, 0.5)))
    return [mask for mask in masks if mask.sum() >= MIN_POINTS]


def split(points: NDArray[np.float64], mask: Mask, rng: np.random.Generator) -> list[Mask]:
    """Cuts a mask in two along a plane of random direction that leaves a quarter to three quarters on one side."""
    rows = np.flatnonzero(mask)
    along = points[rows] @ rng.normal(size=3)
    first = np.zeros_like(mask)
    first[rows] = along < np.quantile(along, rng.uniform(0.25, 0.75))
    return [first, mask & ~first]


def merge(points: NDArray[np.float64], mask: Mask, instances: NDArray[np.int64], rng: np.random.Generator) -> Mask:
    """Joins a mask with one of the instances within ten centimetres of it; alone it stays as it is."""
    others = np.flatnonzero(~mask & (instances > 0))
    distance, _ = cKDTree(points[mask]).query(points[others], distance_upper_bound=_REACH)
    neighbours = np.unique(instances[others[np.isfinite(distance)]])
    return mask | (instances == rng.choice(neighbours)) if len(neighbours) else mask


def erode(points: NDArray[np.float64], mask: Mask, share: float) -> Mask:
    """Takes the ``share`` of the mask's points away that lie nearest to points of others."""
    rows = np.flatnonzero(mask)
    distance, _ = cKDTree(points[~mask]).query(points[rows])
    eroded = np.zeros_like(mask)
    eroded[rows[distance > np.quantile(distance, share)]] = True
    return eroded


def _instances(path: Path) -> NDArray[np.int64]:
    """The instance of each point, whatever its class: class * 1000 + instance, 0 for none."""
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; expected a domain that prepare_data.py office wrote")
    return np.loadtxt(path, dtype=np.int64)


def _large(instances: NDArray[np.int64]) -> list[int]:
    numbers, sizes = np.unique(instances, return_counts=True)
    return numbers[(sizes >= MIN_POINTS) & (numbers > 0)].tolist()
