"""Superpixels: a picture cut into about equal pieces of one colour; the one file that knows scikit-image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import MissingDependencyError

WEAKNESS = "they are pieces of one colour and know nothing of objects, so take a segmenter's masks where you can"
"""What whoever names superpixels should know."""

_COMPACTNESS = 10.0  # scikit-image's own: how much nearness counts beside colour, in CIELAB


def superpixels(picture: NDArray[np.uint8], count: int) -> NDArray[np.bool_]:
    """Cuts a picture by SLIC (Achanta et al. 2012) as scikit-image has it.

    Args:
        picture: (H, W, 3), RGB.
        count: about how many pieces.

    Returns:
        (M, H, W), each pixel in one mask.

    Raises:
        MissingDependencyError: scikit-image is not installed.
    """
    require_superpixels()
    from skimage.segmentation import slic

    pieces = slic(picture, n_segments=count, compactness=_COMPACTNESS, start_label=0, channel_axis=-1)
    return pieces == np.arange(pieces.max() + 1)[:, None, None]


def require_superpixels() -> None:
    """Raises MissingDependencyError where scikit-image is not installed."""
    try:
        import skimage.segmentation  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("superpixels need scikit-image; pip install 'opendas-plugin[segment]'") from error
