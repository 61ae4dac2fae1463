"""Masks without classes for the point clouds of a domain's scenes; the 3D counterpart of :mod:`..data.proposals`."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from tqdm import tqdm

from opendas_plugin.data.proposals import Mask, best_iou, describe
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import read_json, write_json, write_text
from opendas_plugin.scenes.mask_arrays import save_masks
from opendas_plugin.scenes.mask_files import read_integers
from opendas_plugin.scenes.pointcloud import geometric_masks, read_ply
from opendas_plugin.stamps import Inputs
from opendas_plugin.version import __version__
from opendas_plugin.wording import counted

log = logging.getLogger(__name__)

MIN_POINTS = 100
"""Points of the smallest instance and of the smallest mask, as in ScanNet's evaluation."""
_REACH = 0.1  # metres within which two instances are neighbours


def write_proposals_3d(data: Path, scenes: Sequence[str], output: Path, *, seed: int = 0) -> dict[str, Any]:
    """Writes proposals and oracle masks for the clouds of some scenes of a domain.

    ``proposals/<scene>_masks.pt`` and ``oracle/<scene>_masks.pt`` are OpenMask3D's: (points, masks), in the order of
    the points of ``scenes/<scene>/<scene>.ply``; ``quality.json`` has what is returned, ``scenes.txt`` the names. A
    scene is made from its own files and the seed alone, and kept if ``output`` has it so.

    Args:
        data: the domain's folder.
        scenes: names of folders in ``data/scenes``.
        output: the folder to write.
        seed: of what is split, merged and eroded.

    Returns:
        As :func:`opendas_plugin.data.proposals.write_proposals`.

    Raises:
        MissingDependencyError: open3d is not there.
        MissingFileError, DataError: the domain lacks its scenes.
        OutputError: the folder cannot be written.
    """
    found: dict[str, list[float]] = {"spoilt ground truth": [], "over-segmentation": []}
    for scene in tqdm(scenes, desc="propose masks", unit="scene", disable=None):
        for kind, ious in _write_scene(data, scene, output, seed).items():
            found[kind] += ious
    quality = describe(found)
    write_json(output / "quality.json", quality)
    write_text(output / "scenes.txt", "".join(f"{scene}\n" for scene in scenes))
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


def _write_scene(data: Path, scene: str, output: Path, seed: int) -> dict[str, list[float]]:
    """Writes a scene's masks, unless they are there; returns the IoUs of each kind of proposals."""
    cloud, truth = scene_sources(data, scene)
    record, source = scene_record(output, scene), {"seed": seed, "version": __version__, **sources_sha256(data, scene)}
    files = {kind: output / kind / f"{scene}_masks.pt" for kind in ("proposals", "oracle")}
    if (kept := _kept(record, source, files)) is not None:
        return kept
    record.unlink(missing_ok=True)
    points, _ = read_ply(cloud)
    instances = read_integers(truth, "class * 1000 + instance")
    if len(instances) != len(points):
        raise DataError(f"{truth} is about {counted(len(instances), 'point')}, but {cloud} has {len(points):,}")
    spoilt = spoil(points, instances, np.random.default_rng([seed, *scene.encode()]))
    regions = list(geometric_masks(points, fewest=MIN_POINTS).T)[: max(1, len(spoilt) // 2)]
    save_masks(files["proposals"], np.stack([*spoilt, *regions], axis=1))
    save_masks(files["oracle"], np.stack([instances == one for one in _large(instances)], axis=1))
    found = {"spoilt ground truth": spoilt, "over-segmentation": regions}
    ious = {kind: [best_iou(mask, instances) for mask in masks] for kind, masks in found.items()}
    write_json(record, {"source": source, "ious": ious, "written": Inputs(files).record()})
    return ious


def check_scene(data: Path, scene: str, masks: Path) -> None:
    """Checks that masks, by :func:`write_proposals_3d`, were made from a scene of just this domain.

    Raises:
        DataError: its cloud or its ground truth is another.
    """
    if not scene_record(masks, scene).is_file():
        log.warning("%s does not say which clouds its masks were made from", masks)
        return
    content = read_json(scene_record(masks, scene))
    known = content.get("source") if isinstance(content, dict) else None
    for suffix, now in sources_sha256(data, scene).items():
        if isinstance(known, dict) and known.get(suffix, now) != now:
            what = "cloud" if suffix == ".ply" else "ground truth"
            raise DataError(
                f"the masks in {masks} were made from another {what} of {scene} than the one in {data}; make them again"
            )


def scene_sources(data: Path, scene: str) -> tuple[Path, Path]:
    """A scene's cloud, and its ground truth of class * 1000 + instance."""
    return data / "scenes" / scene / f"{scene}.ply", data / "ground_truth" / f"{scene}.txt"


def scene_record(output: Path, scene: str) -> Path:
    """The file that says what a scene's masks were made from."""
    return output / "scenes" / f"{scene}.json"


def sources_sha256(data: Path, scene: str) -> dict[str, str]:
    """The hashes of a scene's cloud and ground truth, by their suffixes.

    Raises:
        MissingFileError: one is missing.
    """
    for path in scene_sources(data, scene):
        if not path.is_file():
            raise MissingFileError(f"{path} does not exist; expected scenes, as `opendas-prepare office` writes them")
    return {path.suffix: hashlib.sha256(path.read_bytes()).hexdigest() for path in scene_sources(data, scene)}


def _kept(record: Path, source: dict[str, Any], files: dict[str, Path]) -> dict[str, list[float]] | None:
    """The IoUs of masks that are there, whole and of these sources; None: they have to be made."""
    if not record.is_file() or not all(file.is_file() for file in files.values()):
        return None
    known = read_json(record)
    if not isinstance(known, dict) or known.get("source") != source:
        log.warning("the masks of %s are made again: they are of other files, another seed or version", record.stem)
        return None
    if difference := Inputs(files).difference(known.get("written")):
        log.warning("the masks of %s are made again: %s", record.stem, difference)
        return None
    kept: dict[str, list[float]] = known["ious"]
    return kept


def _large(instances: NDArray[np.int64]) -> list[int]:
    numbers, sizes = np.unique(instances, return_counts=True)
    return numbers[(sizes >= MIN_POINTS) & (numbers > 0)].tolist()
