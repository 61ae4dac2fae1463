"""Small masks that labelling tools keep as text inside their files: a PNG in base64, or row-wise run lengths."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opendas_plugin.data.segments import MOST_PIXELS
from opendas_plugin.errors import DataError

_MOST_BYTES = 1 << 28


def png_mask(text: object, *, zipped: bool = False) -> NDArray[np.bool_]:
    """A mask, bool (h, w), of a PNG in base64: pixels that are not 0, or not transparent where the PNG says
    which ones are, by an alpha channel or a table of its values.

    Args:
        text: what stands in the file.
        zipped: the PNG is packed by zlib first, as Supervisely's are.

    Raises:
        DataError: the text is something else.
    """
    try:
        packed = base64.b64decode(text if isinstance(text, str) else "?", validate=True)
        content = zlib.decompressobj().decompress(packed, _MOST_BYTES) if zipped else packed
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"{picture.width}x{picture.height} pixels")
            picture.load()
            by_table = "transparency" in picture.info and picture.mode in ("1", "L", "P", "RGB")
            shown = picture.convert("RGBA") if by_table else picture
            bands = shown.getbands()
            if "A" not in bands and len(bands) > 1:
                raise ValueError(f"mode {picture.mode!r}")
            return np.asarray(shown.getchannel("A") if "A" in bands else shown) != 0
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error, Image.DecompressionBombError) as error:
        packed_as = "a PNG that is packed by zlib, in base64" if zipped else "a PNG in base64"
        raise DataError(f"expected a mask as {packed_as}, got something else ({error})") from error


def row_runs_mask(runs: Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """A mask, bool (H, W), of run lengths that go row by row, pixels outside first, as CVAT writes them.

    Raises:
        DataError: they are no whole numbers from 0, or do not add up to the size.
    """
    if height < 1 or width < 1 or height * width > MOST_PIXELS:
        raise DataError(f"expected the mask's sides in pixels, got {width}x{height}")
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise DataError(f"expected run lengths, whole numbers from 0, that add up to {width}x{height} pixels")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(height, width)
