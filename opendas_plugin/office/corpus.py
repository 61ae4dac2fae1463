"""What the tiny CLIP learns from: rendered pictures of every name, their captions, and how both are varied."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from opendas_plugin.office.names import NAMES
from opendas_plugin.office.web import COLOURED, COLOURS, TEMPLATES, web_image

CONTEXT = 20  # the longest caption is shorter; a causal tower is the same at every longer context


def pictures(
    cache: Path, size: int, count: int, seed: int, processes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The web look of every name, (names, count, size, size, 3) uint8, and the colour of each, (names, count) int.

    Kept in ``cache``; a picture depends on its name, number and ``seed`` alone.
    """
    stem = f"web_{size}px_{count}x{len(NAMES)}_seed{seed}"
    images, colours = cache / f"{stem}.npy", cache / f"{stem}_colours.npy"
    if not colours.exists():
        cache.mkdir(parents=True, exist_ok=True)
        shape = (len(NAMES), count, size, size, 3)
        out = np.lib.format.open_memmap(images, mode="w+", dtype=np.uint8, shape=shape)
        words = np.zeros(shape[:2], dtype=np.int64)
        jobs = [(index, size, count, seed) for index in range(len(NAMES))]
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            for index, made, named in pool.imap_unordered(_draw, jobs):
                out[index], words[index] = made, named
        out.flush()
        np.save(colours, words)
    return np.load(images, mmap_mode="r"), np.load(colours)


def _draw(job: tuple[int, int, int, int]) -> tuple[int, NDArray[np.uint8], NDArray[np.int64]]:
    index, size, count, seed = job
    drawn = [web_image(NAMES[index], np.random.default_rng([seed, index, number]), size) for number in range(count)]
    return index, np.stack([image for image, _ in drawn]), np.array([list(COLOURS).index(word) for _, word in drawn])


def augmented(batch: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Randomly flipped, shifted, zoomed, relit, tinted, blurred and noisy copies of pictures (B, 3, S, S) in 0..1."""
    count, _, size, _ = batch.shape

    def around(spread: float, *shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2 - 1) * spread * strength

    zoom, stretch = 1 + around(0.2), 1 + around(0.12)
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0] = zoom * stretch * torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    affine[:, 1, 1] = zoom / stretch
    affine[:, :, 2] = around(0.18, 2)
    grid = F.affine_grid(affine, list(batch.shape), align_corners=False)
    batch = F.grid_sample(batch, grid, padding_mode="border", align_corners=False)
    blurred = int(count * 0.3 * strength)
    small = F.interpolate(
        batch[:blurred], scale_factor=float(1 - 0.7 * torch.rand(1, generator=generator)), mode="area"
    )
    batch[:blurred] = F.interpolate(small, size=size, mode="bilinear", align_corners=False)
    mean = batch.mean(dim=(1, 2, 3), keepdim=True)
    batch = (batch - mean) * (1 + around(0.35, 1, 1, 1)) + mean * (1 - 0.1 * strength + around(0.35, 1, 1, 1))
    batch = batch * (1 + around(0.15, 3, 1, 1))
    noise = torch.randn(batch.shape, generator=generator) * around(0.06, 1, 1, 1).abs()
    return (batch + noise).clamp_(0, 1)


class Captions:
    """All captions: plain ones (names, templates, CONTEXT) and those with a colour (names, colours, CONTEXT).

    They hold positions in ``tokens``, the sorted ids of all tokens that occur, so that a small table is enough; the
    end of a text is the largest there, too.
    """

    def __init__(self) -> None:
        tokenizer = open_clip.SimpleTokenizer(context_length=CONTEXT)
        plain = tokenizer([template.format(name) for name in NAMES for template in TEMPLATES])
        coloured = tokenizer([COLOURED.format(word, name) for name in NAMES for word in COLOURS])
        self.tokens = torch.cat([plain, coloured]).unique()
        self.plain = torch.searchsorted(self.tokens, plain).reshape(len(NAMES), len(TEMPLATES), CONTEXT)
        self.coloured = torch.searchsorted(self.tokens, coloured).reshape(len(NAMES), len(COLOURS), CONTEXT)

    def draw(self, targets: Tensor, colours: Tensor, generator: torch.Generator) -> Tensor:
        """A caption for every name, (names, CONTEXT); some that are in the batch get one with a colour seen there."""
        kinds = torch.randint(0, 2 * len(TEMPLATES), (len(NAMES),), generator=generator)
        texts = self.plain[torch.arange(len(NAMES)), torch.where(kinds < len(TEMPLATES), kinds, 0)].clone()
        told = torch.rand(len(targets), generator=generator) < 0.15
        texts[targets[told]] = self.coloured[targets[told], colours[told]]
        return texts
