"""Files of mask features, with the record of what computed them beside; the masks themselves: :mod:`.mask_arrays`."""

from __future__ import annotations

import hashlib
import logging
import platform
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.files import atomic_file, write_json
from opendas_plugin.scenes.feature_records import difference, record_path
from opendas_plugin.scenes.mask_arrays import read_array
from opendas_plugin.stamps import Inputs
from opendas_plugin.version import __version__
from opendas_plugin.wording import counted

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


def read_features(path: str | Path, masks: int) -> NDArray[np.float64]:
    """Reads features (M, D) of ``masks`` masks.

    Raises:
        MissingFileError, DataError: there is no such file, or it holds something else.
    """
    features = read_array(path, "compute the features first")
    if features.ndim != 2 or len(features) != masks or features.dtype.kind != "f":
        raise DataError(
            f"{path} holds {features.dtype} {features.shape} for {counted(masks, 'mask')}; expected a feature "
            "for each mask"
        )
    if not np.isfinite(features).all():
        raise DataError(f"{path} holds values that are not numbers; compute the features again")
    return features.astype(np.float64)
