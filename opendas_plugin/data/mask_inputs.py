"""Masks of one image as segmenters, detectors and labelling tools hand them over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.crops import Box, mask_box
from opendas_plugin.data.segments import EMPTY, Region, Segment, check_rle, from_runs
from opendas_plugin.errors import DataError

if TYPE_CHECKING:
    import torch


IMAGE = Path("image")
"""What stands for the picture's file."""


@dataclass(frozen=True, eq=False)
class ArrayMask:
    """A mask in memory, bool (H, W); it is not encoded, which takes as long as a crop."""

    array: NDArray[np.bool_]
    image: Path = IMAGE

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.array.shape[0], self.array.shape[1]

    @property
    def box(self) -> Box:
        """See :func:`opendas_plugin.crops.mask_box`."""
        return mask_box(self.array)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.array))

    def mask(self) -> NDArray[np.bool_]:
        """The array."""
        return self.array


@dataclass(frozen=True)
class BoxMask:
    """All pixels of a box in an image of ``size`` (H, W)."""

    size: tuple[int, int]
    box: Box
    image: Path = IMAGE

    @property
    def area(self) -> int:
        """Number of pixels; 0 where the box has no extent."""
        x0, y0, x1, y1 = self.box
        return max(x1 - x0, 0) * max(y1 - y0, 0)

    def mask(self) -> NDArray[np.bool_]:
        """The box's pixels, bool (H, W)."""
        x0, y0, x1, y1 = self.box
        inside = np.zeros(self.size, dtype=bool)
        inside[y0:y1, x0:x1] = True
        return inside


def read_masks(masks: Any, height: int, width: int) -> list[Region]:
    """Reads masks of one image; a mask may be empty.

    Args:
        masks: one of these, of M masks in all:

            - bool or 0/1 integer (M, H, W) or (M, 1, H, W), numpy or torch on any device; one bool (H, W)
            - a sequence of bool (H, W), or of COCO's run-length codes, compressed or not
            - the list of dicts of segment-anything's ``SamAutomaticMaskGenerator`` (``segmentation`` of either kind)
            - what transformers' mask-generation pipeline returns (``masks``)
            - an object with such a ``mask``, as supervision's ``Detections``; where that is None, its ``xyxy`` boxes
        height, width: of the image, in pixels.

    Raises:
        DataError: something else, or masks of another size than the image.
    """
    import torch

    if hasattr(masks, "mask") and not isinstance(masks, np.ma.MaskedArray):
        if masks.mask is None:
            return read_boxes(masks.xyxy, height, width)
        return read_masks(masks.mask, height, width)
    if isinstance(masks, Mapping):
        if "masks" in masks:
            return read_masks(masks["masks"], height, width)
        return [_from_dict(masks, 0, height, width)]
    if isinstance(masks, torch.Tensor) or (isinstance(masks, np.ndarray) and masks.dtype.kind != "O"):
        return [_from_array(mask, place, height, width) for place, mask in enumerate(_stack(masks))]
    if not isinstance(masks, Sequence | np.ndarray) or isinstance(masks, str | bytes):
        raise DataError(f"expected masks as an array (M, H, W), run-length codes or {_TOOLS}, got {type(masks)}")
    return [
        _from_dict(mask, place, height, width)
        if isinstance(mask, Mapping)
        else _from_array(_array(mask, place), place, height, width)
        for place, mask in enumerate(masks)
    ]


def read_boxes(boxes: Any, height: int, width: int) -> list[Region]:
    """Turns boxes (M, 4), x0 y0 x1 y1 in pixels, into masks of all pixels that each touches.

    A box is clipped to the image; one that lies outside it or has no extent is an empty mask.

    Raises:
        DataError: boxes of another shape, or that are no finite numbers.
    """
    import torch

    try:
        values = boxes.detach().cpu().numpy() if isinstance(boxes, torch.Tensor) else np.asarray(boxes)
    except ValueError as error:
        raise DataError(f"expected boxes as numbers (M, 4), x0 y0 x1 y1 ({error})") from error
    if values.size == 0:
        return []
    if values.ndim != 2 or values.shape[1] != 4 or values.dtype.kind not in "iuf":
        raise DataError(f"expected boxes as numbers (M, 4), x0 y0 x1 y1, got {values.dtype} {values.shape}")
    if not np.isfinite(values).all():
        raise DataError(f"box {int((~np.isfinite(values)).any(axis=1).argmax())} is not finite: expected pixels")
    size = np.array([width, height])
    low = np.clip(np.floor(values[:, :2]), 0, size).astype(np.int64)
    high = np.clip(np.ceil(values[:, 2:]), 0, size).astype(np.int64)
    corners = zip(low.tolist(), high.tolist(), strict=True)
    return [BoxMask((height, width), (x0, y0, x1, y1)) for (x0, y0), (x1, y1) in corners]


_TOOLS = "what SamAutomaticMaskGenerator, transformers or supervision give"


def _stack(masks: torch.Tensor | np.ndarray) -> torch.Tensor | np.ndarray:
    import torch

    if masks.ndim == 2 and masks.dtype in (torch.bool, np.bool_):
        return masks[None]
    if masks.ndim == 4 and masks.shape[1] == 1:
        return masks[:, 0]
    if tuple(masks.shape) == (0,):  # what an array of a list of no masks is
        return masks.reshape(0, 0, 0)
    if masks.ndim != 3:
        hint = "; a map of numbers becomes masks by (labels == number)" if masks.ndim == 2 else ""
        raise DataError(f"expected masks as an array (M, H, W), got {masks.dtype} {tuple(masks.shape)}{hint}")
    return masks


def _array(mask: Any, place: int) -> torch.Tensor | NDArray:
    import torch

    try:
        array = mask if isinstance(mask, torch.Tensor) else np.asarray(mask)
    except ValueError as error:
        raise DataError(f"mask {place}: expected (H, W), got rows of several lengths ({error})") from error
    array = array[0] if array.ndim == 3 and array.shape[0] == 1 else array
    if array.ndim != 2:
        raise DataError(f"mask {place}: expected (H, W), got {array.dtype} {tuple(array.shape)}")
    return array


def _from_array(mask: torch.Tensor | NDArray, place: int, height: int, width: int) -> Region:
    import torch

    if tuple(mask.shape) != (height, width):
        rows, columns = mask.shape
        raise DataError(f"mask {place} is {columns}x{rows}, but its image is {width}x{height}")
    if isinstance(mask, torch.Tensor):
        mask = mask.detach().cpu()
        mask = mask if mask.dtype != torch.bfloat16 else mask.float()  # which numpy does not know
        array = mask.numpy()
    else:
        array = np.ma.filled(mask, 0)  # what a masked array hides is in no mask
    if array.dtype != np.bool_:
        values = np.unique(array)
        if array.dtype.kind not in "iu" or np.count_nonzero(values) > 1:
            raise DataError(
                f"mask {place}: expected bool, or integers that are 0 or one other value, got {array.dtype} from "
                f"{values[0]} to {values[-1]}; compare it with a threshold"
            )
        array = array != 0
    return ArrayMask(array)


def _from_dict(mask: Mapping[str, Any], place: int, height: int, width: int) -> Region:
    import torch

    if "segmentation" in mask:
        inside = mask["segmentation"]
        if isinstance(inside, Mapping):
            return _from_dict(inside, place, height, width)
        return _from_array(_array(inside, place), place, height, width)
    if "counts" not in mask or "size" not in mask:
        raise DataError(
            f"mask {place}: expected a run-length code with size and counts, or {_TOOLS}, got a dict with "
            f"{', '.join(sorted(map(str, mask))) or 'nothing'}"
        )
    size, counts = mask["size"], mask["counts"]
    size = size.tolist() if isinstance(size, np.ndarray | torch.Tensor) else size
    if not isinstance(size, list | tuple) or list(size) != [height, width]:
        raise DataError(f"mask {place} has the size {size!r:.60}, but its image is [{height}, {width}]")
    if isinstance(counts, bytes):
        counts = counts.decode("ascii", errors="replace")
    if not isinstance(counts, str):
        try:
            return Segment(IMAGE, from_runs(counts, height, width), "")
        except DataError as error:
            raise DataError(f"mask {place}: {error}") from error
    code = {"size": [height, width], "counts": counts}
    wrong = check_rle(code)
    if wrong and wrong != EMPTY:
        raise DataError(f"mask {place}: {wrong}")
    return Segment(IMAGE, code, "")
