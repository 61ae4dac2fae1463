"""Mask -> CLIP input: the one place where a region of an image becomes what the visual tower sees.

Training, evaluation and both hosts call it, so that an adapter meets in use the crops that it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from opendas_plugin.errors import ConfigError, DataError

if TYPE_CHECKING:
    import torch


# OpenAI CLIP's pixel statistics, RGB in 0..1 (open_clip: constants.py).
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
MAX_SIZE = 4096
"""Side in pixels of the largest crop."""
Box = tuple[int, int, int, int]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class PixelFormat:
    """What a backbone takes as pixels, open_clip's ``preprocess_cfg``; the defaults are those of OpenAI's CLIPs.

    Args:
        mean, std: of each channel, RGB in 0..1; what pixels are normalised by.
        interpolation: of the resizing to the backbone's size.
    """

    mean: Colour = CLIP_MEAN
    std: Colour = CLIP_STD
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"

    @property
    def fill(self) -> tuple[int, ...]:
        """The mean colour, RGB in 0..255."""
        return tuple(round(255 * value) for value in self.mean)

    def normalise(self, crops: torch.Tensor) -> torch.Tensor:
        """uint8 (B, S, S, 3) RGB -> float32 (B, 3, S, S), by mean and std as ToTensor and Normalize do."""
        import torch

        mean, std = (torch.tensor(values, device=crops.device).view(1, 3, 1, 1) for values in (self.mean, self.std))
        pixels = crops.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        return pixels.div_(255).sub_(mean).div_(std)


OPENAI_PIXELS = PixelFormat()


@dataclass(frozen=True)
class CropPolicy:
    """How a mask becomes a CLIP input; stored in the adapter, because training and use must agree.

    Args:
        background: "keep" leaves the pixels around the mask, "mean" fills them with the backbone's mean colour, "black"
            with 0.
        expand: how much wider and higher the mask's box is made, as a fraction of its side, half of it on each side.
        resize: "squash" maps the box to the square whatever its shape; "center" scales its short side and cuts the
            middle, as CLIP's own preprocessing does; "pad" makes the box a square by the background's colour, by the
            mean where it is kept, and scales that.
        size: side of the square in pixels.
    """

    background: Literal["keep", "mean", "black"] = "keep"
    expand: float = 0.1
    resize: Literal["squash", "center", "pad"] = "squash"
    size: int = 224

    def __post_init__(self) -> None:
        if self.background not in ("keep", "mean", "black"):
            raise ConfigError(f'crop background must be "keep", "mean" or "black", got {self.background!r}')
        if self.resize not in ("squash", "center", "pad"):
            raise ConfigError(f'crop resize must be "squash", "center" or "pad", got {self.resize!r}')
        if isinstance(self.expand, bool) or not 0 <= self.expand <= 100:
            raise ConfigError(f"crop expand must lie between 0 and 100, got {self.expand}")
        if isinstance(self.size, bool) or not isinstance(self.size, int) or not 1 <= self.size <= MAX_SIZE:
            raise ConfigError(f"crop size must be a whole number of pixels from 1 to {MAX_SIZE}, got {self.size!r:.80}")

    def __str__(self) -> str:
        return f"{self.background} {self.expand:g} {self.resize}"

    def fill(self, pixels: PixelFormat) -> tuple[int, ...]:
        """The colour that stands where no picture is, RGB in 0..255."""
        return (0, 0, 0) if self.background == "black" else pixels.fill

    def at(self, size: int) -> CropPolicy:
        """The policy for a backbone that takes ``size`` pixels a side.

        Raises:
            ConfigError: it names another size than that and the default.
        """
        if self.size not in (size, CropPolicy.size):
            raise ConfigError(f"the backbone takes {size} pixels, got crops of size {self.size}; leave the size out")
        return replace(self, size=size)

    def to_dict(self) -> dict[str, Any]:
        """The policy as a plain dict, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CropPolicy:
        """The inverse of :meth:`to_dict`.

        Raises:
            ConfigError: an unknown key or a value out of range.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(f"a crop policy has {', '.join(sorted(known))}; got {', '.join(unknown)}")
        return cls(**values)


def crop(image: np.ndarray, mask: np.ndarray, policy: CropPolicy, pixels: PixelFormat = OPENAI_PIXELS) -> np.ndarray:
    """Cuts the region of ``mask`` out of ``image`` as ``policy`` says.

    Args:
        image: uint8 (H, W, 3), RGB.
        mask: bool (H, W).
        policy: how it is cut and resized.
        pixels: of the backbone; its mean colour fills, its interpolation resizes.

    Returns:
        uint8 (S, S, 3), RGB, with S = ``policy.size``.

    Raises:
        DataError: an empty mask, or image and mask of unequal sizes.
    """
    return resize(cut(image, mask_box(mask), policy, mask, pixels), policy, pixels)


def mask_box(mask: np.ndarray) -> Box:
    """The tight box (x0, y0, x1, y1) around a bool (H, W) mask, x1 and y1 exclusive.

    Raises:
        DataError: the mask is empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise DataError(f"expected a mask with at least one pixel, got an empty one of {mask.shape[1]}x{mask.shape[0]}")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def expand_box(box: Box, expand: float, width: int, height: int) -> Box:
    """Grows ``box`` by ``expand`` of its sides in all, rounded to whole pixels, and clips it to the image."""
    x0, y0, x1, y1 = box
    grow_x, grow_y = round((x1 - x0) * expand / 2), round((y1 - y0) * expand / 2)
    return max(x0 - grow_x, 0), max(y0 - grow_y, 0), min(x1 + grow_x, width), min(y1 + grow_y, height)


def cut(
    image: np.ndarray,
    box: Box,
    policy: CropPolicy,
    mask: np.ndarray | None = None,
    pixels: PixelFormat = OPENAI_PIXELS,
) -> np.ndarray:
    """The pixels of the expanded ``box`` before any resizing: uint8 (h, w, 3), a view where the background is kept.

    ``mask``, bool (H, W), is not needed where the background is kept.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DataError(f"expected an RGB image as uint8 (H, W, 3), got {image.dtype} {image.shape}")
    height, width = image.shape[:2]
    if mask is not None and mask.shape != (height, width):
        raise DataError(f"expected a mask of the image's size, {width}x{height}, got {mask.shape[1]}x{mask.shape[0]}")
    x0, y0, x1, y1 = expand_box(box, policy.expand, width, height)
    region = image[y0:y1, x0:x1]
    if policy.background == "keep":
        return region
    if mask is None:
        raise DataError(f'the crop background "{policy.background}" needs the mask')
    region = region.copy()
    region[~mask[y0:y1, x0:x1]] = policy.fill(pixels)
    return region


def resize(region: np.ndarray, policy: CropPolicy, pixels: PixelFormat = OPENAI_PIXELS) -> np.ndarray:
    """Scales uint8 (h, w, 3) to uint8 (S, S, 3) by Pillow; "center" is open_clip's ``image_transform``."""
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as transforms

    if policy.resize == "pad":
        region = _padded(region, policy.fill(pixels))
    picture, size = Image.fromarray(np.ascontiguousarray(region)), policy.size
    if policy.resize != "center":
        return np.array(picture.resize((size, size), Image.Resampling[pixels.interpolation.upper()]))
    picture = transforms.resize(picture, size, InterpolationMode(pixels.interpolation))
    return np.array(transforms.center_crop(picture, [size, size]))


def _padded(region: np.ndarray, fill: tuple[int, ...]) -> np.ndarray:
    """uint8 (h, w, 3) in the middle of a square, half a pixel up and left of it where the rest is odd."""
    height, width = region.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), fill, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = region
    return square
