"""The office look: what a cheap camera makes of a dim room. It is what an adapter has to get used to."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter


@dataclass(frozen=True)
class Look:
    """How strong the look is; a picture draws its own value from every range.

    Attributes:
        exposure: range of the factor on linear light; below 1 is dim.
        tint: spread of the colour channels' gains, as a standard deviation of their logarithm.
        vignette: share of light that the corners lose.
        defocus: range of the Gaussian blur's radius, pixels.
        motion: longest smear of a moving camera, pixels.
        noise: range of the sensor noise's standard deviation at full brightness, of linear light.
        quality: range of the JPEG quality that the camera saves with, 1..95.
    """

    exposure: tuple[float, float] = (0.25, 0.7)
    tint: float = 0.15
    vignette: float = 0.4
    defocus: tuple[float, float] = (0.3, 1.3)
    motion: float = 6.0
    noise: tuple[float, float] = (0.02, 0.06)
    quality: tuple[int, int] = (30, 70)

    def __call__(self, colour: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """The picture (H, W, 3) uint8 RGB as the camera saves it; the same for the same state of ``rng``."""
        light = np.square(colour.astype(np.float32) / 255)
        light *= np.float32(rng.uniform(*self.exposure)) * np.exp(rng.normal(0, self.tint, 3)).astype(np.float32)
        light *= _vignette(colour.shape[:2], self.vignette)
        light = _smear(light, rng.uniform(0, self.motion), rng.uniform(0, np.pi))
        spread = np.float32(rng.uniform(*self.noise)) * np.sqrt(light + np.float32(0.02))
        light += spread * rng.standard_normal(light.shape, dtype=np.float32)
        picture = Image.fromarray((np.sqrt(np.clip(light, 0, 1)) * 255 + 0.5).astype(np.uint8))
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(*self.defocus)))
        saved = io.BytesIO()
        picture.save(saved, "JPEG", quality=int(rng.integers(self.quality[0], self.quality[1] + 1)))
        return np.asarray(Image.open(saved))


def _vignette(shape: tuple[int, int], loss: float) -> NDArray[np.float32]:
    y, x = (np.linspace(-1, 1, side) ** 2 for side in shape)
    return (1 - loss * (y[:, None] + x) / 2)[..., None].astype(np.float32)


def _smear(light: NDArray[np.float32], length: float, angle: float) -> NDArray[np.float32]:
    """The mean of the picture's copies along a line of ``length`` pixels."""
    steps = np.unique(
        np.round(np.linspace(-0.5, 0.5, int(length) + 1)[:, None] * (np.sin(angle), np.cos(angle)) * length), axis=0
    )
    reach = int(np.abs(steps).max())
    height, width = light.shape[:2]
    padded = np.pad(light, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    total = np.zeros_like(light)
    for down, right in steps.astype(int):
        total += padded[reach + down : reach + down + height, reach + right : reach + right + width]
    return total / np.float32(len(steps))
