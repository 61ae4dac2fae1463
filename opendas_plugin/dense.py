"""Features of all masks of a picture from one pass: means of patch features over each mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from torch.nn.functional import normalize as unit

from opendas_plugin.data.segments import Region
from opendas_plugin.errors import ConfigError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.tower import DenseAttention

_AT_ONCE = 64
"""Side, in patches, of the largest square that is encoded at once: attention takes the square of its patches."""


@dataclass(frozen=True)
class DensePooling:
    """How masks get features without crops.

    A mask's feature is the mean of the unit features of the patches, each by the share of it that the mask covers.

    Args:
        attention: how the last layer reads, see :meth:`OpenDASCLIP.encode_dense`.
        short_side: pixels that the shorter side of a picture is resized to, rounded to patches; None: twice the size
            that the CLIP was trained on.
        window: side of the square windows that are encoded, in pixels, overlapping by half; None: the picture at
            once, or windows of 64 patches where it has more than 4,096.

    Raises:
        ConfigError: sizes below 1.
    """

    attention: DenseAttention = "qq+kk"
    short_side: int | None = None
    window: int | None = None

    def __post_init__(self) -> None:
        for name in ("short_side", "window"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ConfigError(f"expected {name} to be 1 or more pixels, got {value}")

    def features(self, clip: OpenDASCLIP, picture: NDArray[np.uint8], regions: Sequence[Region]) -> Tensor:
        """Features (M, D) of unit length of the M regions, none of them empty, of a picture (H, W, 3), RGB.

        Raises:
            BackboneError: the CLIP makes no features of patches.
        """
        pixels = self._pixels(clip, picture)
        grid = self._grid(clip, pixels)
        shares = torch.stack([self._shares(region, grid.shape[:2]) for region in regions])
        return unit(shares.flatten(1).to(grid.device) @ grid.flatten(0, 1), dim=-1)

    def _pixels(self, clip: OpenDASCLIP, picture: NDArray[np.uint8]) -> Tensor:
        """(1, 3, H, W), of whole patches."""
        patch = clip.patch
        scale = (self.short_side or 2 * clip.image_size) / min(picture.shape[:2])
        height, width = (max(1, round(side * scale / patch)) * patch for side in picture.shape[:2])
        how = Image.Resampling[clip.pixels.interpolation.upper()]
        resized = np.array(Image.fromarray(picture).resize((width, height), how))
        return clip.pixels.normalise(torch.from_numpy(resized)[None].to(clip.logit_scale.device))

    @torch.no_grad()
    def _grid(self, clip: OpenDASCLIP, pixels: Tensor) -> Tensor:
        """(h, w, D), of unit length where one window saw a patch, else the mean of all that did."""

        def encode(part: Tensor) -> Tensor:
            return clip.encode_dense(part, attention=self.attention, normalize=True).float()[0]

        patch, sides = clip.patch, pixels.shape[-2:]
        whole = max(sides) if sides[0] * sides[1] <= (_AT_ONCE * patch) ** 2 else _AT_ONCE * patch
        side = max(1, (self.window or whole) // patch) * patch
        if side >= max(sides):
            return encode(pixels)
        found: Any = 0
        counts: Any = 0
        for top in _starts(sides[0], side, patch):
            for left in _starts(sides[1], side, patch):
                part = encode(pixels[..., top : top + side, left : left + side])
                if isinstance(found, int):
                    found = part.new_zeros(sides[0] // patch, sides[1] // patch, part.shape[-1])
                    counts = part.new_zeros(*found.shape[:2], 1)
                place = np.s_[top // patch : (top + side) // patch, left // patch : (left + side) // patch]
                found[place] += part
                counts[place] += 1
        return found / counts

    @staticmethod
    def _shares(region: Region, grid: Sequence[int]) -> Tensor:
        """(h, w), how much of each patch a mask covers."""
        mask = torch.from_numpy(np.ascontiguousarray(region.mask())).float()
        return interpolate(mask[None, None], size=tuple(grid), mode="area")[0, 0]


def _starts(length: int, side: int, patch: int) -> list[int]:
    """Where windows of a side begin along a length: half overlapping, the last at the end."""
    if side >= length:
        return [0]
    step = max(1, side // (2 * patch)) * patch
    return [*range(0, length - side, step), length - side]
