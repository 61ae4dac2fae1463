"""Random views of a segment crop, as CoOp and its relatives train with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from opendas_plugin.crops import OPENAI_PIXELS, PixelFormat
from opendas_plugin.errors import ConfigError

_RATIO = (math.log(3 / 4), math.log(4 / 3))


@dataclass(frozen=True)
class Augmentation:
    """What is done to a crop in training.

    Args:
        kind: "none", or "rrc_flip": a random part of the crop, scaled to the square, mirrored every other time.
        scale: least and greatest part of the crop's area that is kept.
    """

    kind: Literal["none", "rrc_flip"] = "none"
    scale: tuple[float, float] = (0.08, 1.0)

    def __post_init__(self) -> None:
        if self.kind not in ("none", "rrc_flip"):
            raise ConfigError(f'augmentation must be "none" or "rrc_flip", got {self.kind!r}')
        object.__setattr__(self, "scale", tuple(self.scale))
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ConfigError(f"augmentation scale must be two rising fractions in (0, 1], got {self.scale}")

    def __call__(
        self, region: np.ndarray, size: int, rng: np.random.Generator, pixels: PixelFormat = OPENAI_PIXELS
    ) -> np.ndarray:
        """A random view of ``region``, uint8 (h, w, 3), as uint8 (size, size, 3)."""
        top, left, height, width = random_part(region.shape[0], region.shape[1], self.scale, rng)
        part = Image.fromarray(np.ascontiguousarray(region[top : top + height, left : left + width]))
        view = np.asarray(part.resize((size, size), Image.Resampling[pixels.interpolation.upper()]))
        return np.array(view[:, ::-1] if rng.uniform(0, 1) < 0.5 else view)


def random_part(
    height: int, width: int, scale: tuple[float, float], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """(top, left, height, width) by the rule of torchvision's ``RandomResizedCrop``, aspect ratio 3:4 to 4:3."""
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(*_RATIO))
        part_width, part_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < part_width <= width and 0 < part_height <= height:
            top = int(rng.integers(0, height - part_height + 1))
            return top, int(rng.integers(0, width - part_width + 1)), part_height, part_width
    least, greatest = math.exp(_RATIO[0]), math.exp(_RATIO[1])
    part_width = max(1, round(height * greatest)) if width / height > greatest else width
    part_height = max(1, round(width / least)) if width / height < least else height
    return (height - part_height) // 2, (width - part_width) // 2, part_height, part_width
