"""Typical materials of the office objects, as linear albedo, and a draw from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Palette: TypeAlias = Sequence[tuple[float, float, float]]

WOOD: Palette = ((0.50, 0.32, 0.17), (0.34, 0.20, 0.10), (0.66, 0.48, 0.28), (0.72, 0.57, 0.38))
WHITE: Palette = ((0.86, 0.86, 0.85), (0.80, 0.80, 0.78), (0.88, 0.86, 0.80))
BLACK: Palette = ((0.035, 0.035, 0.04), (0.07, 0.07, 0.08))
GREY: Palette = ((0.28, 0.28, 0.30), (0.42, 0.42, 0.44), (0.58, 0.58, 0.59))
METAL: Palette = ((0.55, 0.57, 0.60), (0.42, 0.43, 0.46), (0.68, 0.69, 0.71))
GOLD: Palette = ((0.80, 0.58, 0.15), (0.72, 0.50, 0.20))
RED: Palette = ((0.70, 0.06, 0.05), (0.80, 0.10, 0.07))
GREEN: Palette = ((0.10, 0.35, 0.10), (0.16, 0.45, 0.14), (0.08, 0.28, 0.12))
BLUE: Palette = ((0.08, 0.18, 0.55), (0.12, 0.30, 0.65), (0.05, 0.10, 0.32))
TERRACOTTA: Palette = ((0.62, 0.28, 0.15), (0.70, 0.35, 0.20))
CARTON: Palette = ((0.62, 0.44, 0.26), (0.56, 0.39, 0.22), (0.68, 0.51, 0.32))
LEATHER: Palette = ((0.30, 0.15, 0.07), (0.42, 0.22, 0.10), (0.10, 0.06, 0.04), (0.48, 0.10, 0.08))
FABRIC: Palette = (
    (0.14, 0.20, 0.40), (0.40, 0.10, 0.10), (0.12, 0.30, 0.20), (0.48, 0.42, 0.33), (0.30, 0.30, 0.32),
    (0.12, 0.36, 0.40), (0.55, 0.36, 0.12),
)  # fmt: skip
BRIGHT: Palette = (
    (0.80, 0.08, 0.08), (0.10, 0.30, 0.75), (0.10, 0.55, 0.20), (0.90, 0.70, 0.05), (0.85, 0.35, 0.05),
    (0.50, 0.12, 0.55), (0.08, 0.55, 0.60), (0.85, 0.30, 0.50),
)  # fmt: skip
PASTEL: Palette = (
    (0.75, 0.80, 0.86), (0.86, 0.82, 0.70), (0.72, 0.82, 0.74), (0.86, 0.74, 0.72), (0.82, 0.82, 0.82),
)  # fmt: skip


def tint(rng: np.random.Generator, *palettes: Palette, spread: float = 0.12) -> NDArray[np.float64]:
    """Draws a colour (3,) from one of ``palettes``, its brightness and each channel varied by about ``spread``."""
    palette = palettes[int(rng.integers(len(palettes)))]
    colour = np.array(palette[int(rng.integers(len(palette)))])
    return np.clip(colour * (1 + rng.uniform(-spread, spread)) * (1 + rng.uniform(-spread, spread, 3) / 3), 0.01, 0.95)


def grain(
    rng: np.random.Generator, colour: NDArray[np.float64], shape: tuple[int, int], spread: float = 0.08
) -> NDArray[np.float64]:
    """A grid of ``colour`` (rows, columns, 3) whose cells differ in brightness by up to ``spread``."""
    return np.clip(colour * rng.uniform(1 - spread, 1 + spread, (*shape, 1)), 0.01, 0.95)
