"""What OpenMask3D needs to run on current libraries, and its crash on an empty SAM mask, mended from outside.

The fixes act under plain and ``opendas:`` names alike. Each is applied only where it is needed and named once in the
log. The numbers of a run that OpenMask3D finishes by itself do not change.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.scenes.mask_arrays import read_values

logger = logging.getLogger(__name__)
_told: set[str] = set()


def fix_libraries() -> None:
    """Mends what numpy has changed since."""
    if not hasattr(np, "in1d"):
        setattr(np, "in1d", lambda first, second, **options: np.isin(np.ravel(first), second, **options))  # noqa: B010
        tell(f"numpy {np.__version__} lacks np.in1d: set to np.isin")


def read_host_masks(path: str | Path) -> NDArray[Any]:
    """A mask file as OpenMask3D's code goes on with it: an array of numpy's (N, M), whatever kind of file it is.

    Raises:
        MissingFileError, DataError: see :func:`~opendas_plugin.scenes.mask_arrays.read_values`.
    """
    tell("torch.load refuses OpenMask3D's mask files, numpy arrays: they are read for it, and other kinds too")
    masks = read_values(path)
    return masks if isinstance(masks, np.ndarray) else (masks > 0).toarray().astype(np.float16)


def make_folder(path: str | Path) -> None:
    """Makes the output folder, which compute_features_single_scene.py forgets and misses after all the work."""
    if not Path(path).is_dir():
        Path(path).mkdir(parents=True, exist_ok=True)
        tell(f"the output folder {path} is made")


def accept_empty_masks(run_sam: Callable[..., NDArray]) -> Callable[..., NDArray]:
    """Wraps ``run_sam``: where SAM finds nothing, on which the crops break off, the box of the points stands in."""

    @functools.wraps(run_sam)
    def fixed(image_size: NDArray, *args: Any, point_coords: NDArray, **kwargs: Any) -> NDArray:
        mask = run_sam(image_size, *args, point_coords=point_coords, **kwargs)
        if mask.any():
            return mask
        tell("SAM finds nothing at some mask, on which OpenMask3D crashes: the box of its points stands in")
        (top, left), (bottom, right) = point_coords.min(axis=0), point_coords.max(axis=0)
        mask = np.zeros(image_size.shape[:2], dtype=bool)
        mask[top : bottom + 1, left : right + 1] = True
        return mask

    return fixed


def tell(message: str) -> None:
    """Names a fix in the log, once."""
    if message not in _told:
        _told.add(message)
        logger.info("host fix: %s", message)
