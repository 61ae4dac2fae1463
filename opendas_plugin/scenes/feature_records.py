"""The JSON beside a feature file: what computed the features, compared by whoever uses or keeps them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import read_json
from opendas_plugin.scenes.feature_source import FeatureSource
from opendas_plugin.scenes.views import Views
from opendas_plugin.stamps import Inputs, changes, digest
from opendas_plugin.version import __version__

log = logging.getLogger(__name__)

FORMAT = 2
"""1: without the scene."""


def record_path(features: str | Path) -> Path:
    """The JSON beside a feature file."""
    return Path(features).with_suffix(".json")


def describe(clip: FeatureSource, masks: sparse.csr_matrix, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What decides over features beside the scene: the CLIP, the masks (their hash) and the settings, as JSON values.

    Whoever computes them adds :func:`scene_inputs`' record as ``inputs``.
    """
    return {
        "format": FORMAT,
        "clip": {
            "name": clip.name,
            "adapter": clip.adapter,
            "backbone": clip.backbone,
            "sha256": clip.sha256,
            "half_sha256": clip.half_sha256,
            "facts": clip.facts,
            "template": clip.template,
            "crop_policy": {} if clip.crops is None else clip.crops.to_dict(),
            "width": clip.width,
        },
        "masks": {"count": masks.shape[1], "sha256": masks_sha256(masks)},
        "settings": dict(settings),
    }


def masks_sha256(masks: sparse.csr_matrix) -> str:
    """The hash of which points belong to which masks (N, M)."""
    found = hashlib.sha256(str(masks.shape).encode())
    for values in (masks.indptr, masks.indices):
        found.update(np.asarray(values, dtype=np.int64).tobytes())
    return found.hexdigest()


def scene_inputs(views: Views, points: NDArray, **files: str | Path | None) -> Inputs:
    """What mask features are made from in a scene: its pictures, their poses and intrinsics, and its cloud (N, 3).

    Args:
        views: the pictures.
        points: (N, 3), metres.
        files: further files by their names, such as SAM's weights.
    """
    pictures = {f"{path.parent.name}/{path.name}": path for path in (*views.colour, *views.depth)}
    poses = {f"the pose of picture {views.colour[i].stem}": digest(pose) for i, pose in enumerate(views.poses)}
    intrinsics = digest(np.append(np.asarray(views.intrinsic, np.float64), views.intrinsic_size))
    values = {"the intrinsic matrix": intrinsics, "the cloud": digest(np.asarray(points, np.float64)), **poses}
    return Inputs({**pictures, **{name: Path(path) for name, path in files.items() if path is not None}}, values)


def check_pair(
    path: str | Path,
    features: NDArray,
    clip: FeatureSource,
    masks: sparse.csr_matrix | None = None,
    inputs: Inputs | None = None,
) -> None:
    """Checks that mask features (M, D) of a file may be used with the text features of ``clip``, masks and a scene.

    Args:
        path: the .npy file; what its record does not say is logged.
        features: what it holds.
        clip: of the texts.
        masks: (N, M), by :func:`sparse_masks`; None: they are not used.
        inputs: the scene, by :func:`scene_inputs`; None: it is not used.

    Raises:
        DataError: another width, CLIP, masks or scene, or no record of just this file where one side has an adapter.
    """
    if features.ndim != 2 or features.shape[1] != clip.width:
        raise DataError(
            f"{path} holds features of shape {features.shape}, but {clip} gives {clip.width} values a text; take the "
            "CLIP that computed them"
        )
    if not record_path(path).is_file():
        if clip.adapter is None:
            log.warning("%s has no record beside it: nothing says which CLIP, masks and pictures it is of", path)
            return
        raise DataError(
            f"{path} has no record beside it ({record_path(path).name}), so that nothing says it is of {clip}; compute "
            f"it again with external.clip_model={clip.name}"
        )
    record = _read_record(path)
    if record.get("features_sha256") != hashlib.sha256(Path(path).read_bytes()).hexdigest():
        raise DataError(f"{path} has changed since {record_path(path).name} was written beside it; compute it again")
    _check_clip(path, record["clip"], clip)
    if masks is not None:
        _check_masks(path, record["masks"], masks)
    if inputs is not None and "inputs" not in record:
        log.warning("%s does not say which pictures, poses and cloud it was computed from", record_path(path))
    elif inputs is not None and (change := inputs.difference(record["inputs"], common=True)):
        raise DataError(f"{path} was computed from something else: {change}; compute it again")


def difference(path: Path, described: Mapping[str, Any], inputs: Inputs | None) -> str | None:
    """Why the features of a file are not those described, of a scene, in words; None: they are."""
    try:
        record = _read_record(path)
    except (MissingFileError, DataError):
        return "it has no record beside it that can be read"
    if record.get("features_sha256") != hashlib.sha256(path.read_bytes()).hexdigest():
        return "it has changed since its record was written"
    if record.get("versions", {}).get("opendas-plugin") != __version__:
        return "another version of opendas-plugin wrote it"
    for part in ("clip", "masks", "settings"):
        if change := next(changes(record[part], described[part]), None):
            return f"{part}: {change}"
    if inputs is not None and "inputs" not in record:
        return "its record does not say which pictures, poses and cloud it was computed from"
    return None if inputs is None else inputs.difference(record["inputs"])


def _read_record(path: str | Path) -> dict[str, Any]:
    record = read_json(record_path(path))
    if not isinstance(record, dict) or any(not isinstance(record.get(p), dict) for p in ("clip", "masks", "settings")):
        raise DataError(f"{record_path(path)} is no record of features; compute {path} again")
    return record


def _check_clip(path: str | Path, own: Mapping[str, Any], clip: FeatureSource) -> None:
    """Compares the CLIP that a record names with that of the texts, in all that both say."""
    theirs = f"plain CLIP {own.get('name')}" if own.get("adapter") is None else f"the adapter {own['adapter']}"
    if "sha256" not in own:
        log.warning("%s does not say which weights computed it", record_path(path))
    half = own.get("half_sha256") is not None and own["half_sha256"] == clip.half_sha256
    if not half and own.get("sha256", clip.sha256) != clip.sha256:
        raise DataError(
            f"{path} was computed with {theirs} ({str(own.get('sha256'))[:12]}), but the texts are encoded by {clip} "
            f"({clip.sha256[:12]}); image and text features must come from the same CLIP"
        )
    crops = None if clip.crops is None else clip.crops.to_dict()
    now = {**clip.facts, "the adapter's template": clip.template, "the adapter's crop policy": crops}
    facts = own.get("facts")
    before = {
        **(facts if isinstance(facts, Mapping) else {}),
        "the adapter's template": own.get("template"),
        "the adapter's crop policy": own.get("crop_policy") or None,
    }
    both = [name for name in before if before[name] is not None and now.get(name) is not None]
    if change := next(changes({n: before[n] for n in both}, {n: now[n] for n in both}), None):
        raise DataError(
            f"{path} was computed with {theirs}, and the texts are encoded by {clip}: {change}; image and text "
            "features must come from the same CLIP"
        )


def _check_masks(path: str | Path, own: Mapping[str, Any], masks: sparse.csr_matrix) -> None:
    if "sha256" not in own:
        log.warning("%s does not say which masks it is of", record_path(path))
    elif own["sha256"] != masks_sha256(masks):
        raise DataError(
            f"{path} holds the features of other masks ({own['sha256'][:12]}) than those given "
            f"({masks_sha256(masks)[:12]}); give the masks that they were computed of, or compute them again"
        )
