"""Files of 3D masks, which are OpenMask3D's, and of their features, with the record of what computed them beside."""

from __future__ import annotations

import hashlib
import logging
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

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import atomic_file, write_json
from opendas_plugin.scenes.feature_records import difference, record_path
from opendas_plugin.stamps import Inputs
from opendas_plugin.version import __version__

log = logging.getLogger(__name__)


def save_features(path: str | Path, features: NDArray, described: Mapping[str, Any]) -> None:
    """Writes features (M, D) and their record, the features whole or not at all.

    Args:
        path: the .npy file.
        features: what to write.
        described: by :func:`~.feature_records.describe`, with the record of the scene as ``inputs``.

    Raises:
        OutputError: the folder cannot be written.
    """
    path = Path(path)
    record_path(path).unlink(missing_ok=True)  # a kill between the two must not leave the old one beside new features
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.lib.format.write_array(file, np.asarray(features))
    versions = {name: metadata.version(name) for name in ("torch", "numpy", "open_clip_torch")}
    about = {
        "features_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "versions": {"opendas-plugin": __version__, "python": platform.python_version(), **versions},
        "written": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    write_json(record_path(path), {**described, **about})


def finished_features(
    path: Path, described: Mapping[str, Any], inputs: Inputs | None = None
) -> NDArray[np.float64] | None:
    """The features at ``path``, if they are whole and were computed just so; otherwise None.

    What keeps features that are there from being used is logged.

    Args:
        path: the .npy file.
        described: by :func:`~.feature_records.describe`.
        inputs: the scene, by :func:`~.feature_records.scene_inputs`; None: it is not looked at.
    """
    if not path.exists():
        return None
    reason = difference(path, described, inputs)
    if reason is None:
        features: NDArray[np.float64] = np.load(path)
        return features
    log.warning("%s is computed again: %s", path, reason)
    return None


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
