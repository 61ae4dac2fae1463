"""Files of 3D masks and of their features, with a JSON beside that says what computed them.

The masks are OpenMask3D's. The JSON is there so that texts of another CLIP than the features' are refused.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import re
import time
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from opendas_plugin.crops import CropPolicy
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import atomic_file, read_json, write_json
from opendas_plugin.model.checkpoint import backbone_sha256
from opendas_plugin.model.config import Interpolation
from opendas_plugin.version import __version__

FORMAT = 1
PREFIX = "opendas:"


class FeatureSource:
    """A CLIP as the source of features: enough to tell whether image and text features come from the same one.

    Attributes:
        name: what it was asked for by: ``opendas:`` and an adapter's folder or hub id, or a plain CLIP's name or path.
        width: values of a feature.
        adapter: the adapter's folder or hub id; None: plain CLIP.
        template: the adapter's text template; None: plain CLIP.
        crops: the adapter's crop policy; None: plain CLIP, or one that says nothing of it.
    """

    def __init__(self, name: str, model: Any) -> None:
        """Takes a model as ``opendas.load`` or OpenAI's ``clip.load`` returns it."""
        self.name, self._model = name, model
        self.width = int(getattr(model, "feature_width", model.text_projection.shape[1]))
        self.adapter = name.removeprefix(PREFIX) if name.startswith(PREFIX) else None
        config = model.config if self.adapter is not None else None
        self.template: str | None = None if config is None else config.template
        self.crops: CropPolicy | None = None if config is None else config.crop_policy
        self.backbone: str = name if config is None else config.backbone

    def __str__(self) -> str:
        return f"plain CLIP {self.name}" if self.adapter is None else f"the adapter {self.adapter}"

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of all that features depend on: that of the weights alone where nothing was learnt."""
        if self.adapter is None:
            return backbone_sha256(self._model)
        digest, learnt = hashlib.sha256(self._model.config.backbone_sha256.encode()), self._model.learnt_state()
        for key, tensor in sorted(learnt.items()):
            digest.update(f"{key} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().float().cpu().contiguous().numpy().reshape(-1).view(np.uint8))
        config = self._model.config
        if config.interpolation != Interpolation() or config.weights.mix != 1:
            digest.update(f"{config.interpolation} {config.weights.mix}".encode())
        if config.cache.entries:
            digest.update(str(config.cache).encode())
        return digest.hexdigest() if learnt else str(self._model.config.backbone_sha256)


def record_path(features: str | Path) -> Path:
    """The JSON beside a feature file."""
    return Path(features).with_suffix(".json")


def describe(clip: FeatureSource, masks: sparse.csr_matrix, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What decides over features: the CLIP, the masks (their hash) and the settings, as JSON values."""
    digest = hashlib.sha256(str(masks.shape).encode())
    for values in (masks.indptr, masks.indices):
        digest.update(np.asarray(values, dtype=np.int64).tobytes())
    return {
        "format": FORMAT,
        "clip": {
            "name": clip.name,
            "adapter": clip.adapter,
            "backbone": clip.backbone,
            "sha256": clip.sha256,
            "template": clip.template,
            "crop_policy": {} if clip.crops is None else clip.crops.to_dict(),
            "width": clip.width,
        },
        "masks": {"count": masks.shape[1], "sha256": digest.hexdigest()},
        "settings": dict(settings),
    }


def save_features(path: str | Path, features: NDArray, described: Mapping[str, Any]) -> None:
    """Writes features (M, D) and their record, the features whole or not at all.

    Raises:
        OutputError: the folder cannot be written.
    """
    path = Path(path)
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.lib.format.write_array(file, np.asarray(features))
    versions = {name: metadata.version(name) for name in ("torch", "numpy", "open_clip_torch")}
    about = {
        "features_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "versions": {"opendas-plugin": __version__, "python": platform.python_version(), **versions},
        "written": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    write_json(record_path(path), {**described, **about})


def finished_features(path: Path, described: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """The features at ``path``, if they are whole and were computed just so; otherwise None."""
    try:
        record = read_json(record_path(path))
        whole = record["features_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not whole or any(record.get(key) != value for key, value in described.items()):
        return None
    features: NDArray[np.float64] = np.load(path)
    return features


def read_array(path: str | Path, advice: str) -> NDArray[Any]:
    """Reads the array of a ``.npy`` file, which is as long as its head says; ``advice``: what to do if there is none.

    Raises:
        MissingFileError, DataError: there is no such file, or it holds something else.
    """
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # no memory is taken before the size is looked at
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingFileError(f"{path} does not exist; {advice}") from error
    except (OSError, ValueError, EOFError, OverflowError, SyntaxError, TypeError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} cannot be read as a .npy file ({reason}); {advice}") from error
    if not isinstance(mapped, np.ndarray):
        raise DataError(f"{path} is an archive of arrays; expected a .npy file with one")
    return np.array(mapped)


def read_features(path: str | Path, masks: int) -> NDArray[np.float64]:
    """Reads features (M, D) of ``masks`` masks.

    Raises:
        MissingFileError, DataError: there is no such file, or it holds something else.
    """
    features = read_array(path, "compute the features first")
    if features.ndim != 2 or len(features) != masks or features.dtype.kind != "f":
        raise DataError(
            f"{path} holds {features.dtype} {features.shape} for {masks} masks; expected a feature for each mask"
        )
    if not np.isfinite(features).all():
        raise DataError(f"{path} holds values that are not numbers; compute the features again")
    return features.astype(np.float64)


def check_pair(path: str | Path, features: NDArray, clip: FeatureSource) -> None:
    """Checks that text features of ``clip`` may be compared with the mask features (M, D) of a file.

    Raises:
        DataError: another width, another adapter, or no record of just this file where one side has an adapter.
    """
    if features.ndim != 2 or features.shape[1] != clip.width:
        raise DataError(
            f"{path} holds features of shape {features.shape}, but {clip} gives {clip.width} values a text; take the "
            "CLIP that computed them"
        )
    if not record_path(path).is_file():
        if clip.adapter is None:
            return
        raise DataError(
            f"{path} has no record beside it ({record_path(path).name}), so that nothing says it is of {clip}; compute "
            f"it again with external.clip_model={clip.name}"
        )
    record = read_json(record_path(path))
    if record.get("features_sha256") != hashlib.sha256(Path(path).read_bytes()).hexdigest():
        raise DataError(f"{path} has changed since {record_path(path).name} was written beside it; compute it again")
    own = record.get("clip", {})
    plain = own.get("adapter") is None and clip.adapter is None
    if not plain and own.get("sha256") != clip.sha256:
        theirs = f"plain CLIP {own.get('name')}" if own.get("adapter") is None else f"the adapter {own['adapter']}"
        raise DataError(
            f"{path} was computed with {theirs} ({str(own.get('sha256'))[:12]}), but the texts are encoded by {clip} "
            f"({clip.sha256[:12]}); image and text features must come from the same CLIP"
        )


def safe_kinds() -> list[Any]:
    """What ``torch.load`` must be allowed to build for OpenMask3D's masks, numpy arrays of float16; nothing of it acts.

    Files that numpy 1 wrote name the same function by its old module.
    """
    reconstruct = np.empty(0).__reduce__()[0]  # its module has another name in each major version of numpy
    arrays = [np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in (np.float16, np.float32, np.float64, bool))]
    return [*arrays, bytes, reconstruct, (reconstruct, "numpy.core.multiarray._reconstruct")]


def read_masks(path: str | Path) -> NDArray | torch.Tensor:
    """Reads a mask file, (points, masks), as OpenMask3D writes it (a numpy array by ``torch.save``), or ``.npy``.

    Raises:
        MissingFileError, DataError: there is no such file, it cannot be read, or holds something else.
    """
    masks = read_array(path, "compute the masks first") if Path(path).suffix == ".npy" else _load_masks(path)
    if not isinstance(masks, np.ndarray | torch.Tensor):
        raise DataError(f"{path} holds a {type(masks).__name__}; expected an array of points x masks")
    if isinstance(masks, np.ndarray) and masks.dtype.kind not in "biuf":
        raise DataError(f"{path} holds {masks.dtype}; expected numbers above 0 where a point belongs to a mask")
    return masks


def _load_masks(path: str | Path) -> Any:
    if not Path(path).is_file():
        raise MissingFileError(f"{path} does not exist; compute the masks first")
    try:
        with torch.serialization.safe_globals(safe_kinds()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can fail at any point of its reader
        refused = re.search(r"GLOBAL (\S+) was not an allowed", str(error))
        reason = f"it asks for {refused[1]}" if refused else (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path} cannot be read as masks ({reason}); expected an array of points x masks") from error


def sparse_masks(masks: Any, points: int) -> sparse.csr_matrix:
    """Returns (N, M) masks as a sparse matrix, checked against the cloud's number of points.

    Raises:
        DataError: no masks, none with a point, or another number of rows.
    """
    if masks.ndim != 2 or masks.shape[1] == 0:
        raise DataError(f"the mask file holds no masks: expected (points, masks), got {tuple(masks.shape)}")
    if masks.shape[0] != points:
        raise DataError(
            f"the masks are about {masks.shape[0]} points, but the cloud has {points}; they must be of the same cloud"
        )
    if isinstance(masks, torch.Tensor):
        masks = masks.cpu().numpy()
    matrix = sparse.csr_matrix(masks > 0)
    if not matrix.nnz:
        raise DataError(f"all {masks.shape[1]} masks are empty; compute the masks again")
    return matrix


def save_masks(path: str | Path, masks: NDArray) -> None:
    """Writes masks (points, masks) as OpenMask3D does: a numpy array of float16 by ``torch.save``."""
    with atomic_file(path) as temporary:
        torch.save(np.asarray(masks, dtype=np.float16), temporary)
