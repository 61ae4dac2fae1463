"""What a finished image tower says of the corpus: each picture encoded once or a few times, and kept."""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from opendas_plugin.crops import CLIP_MEAN, CLIP_STD
from opendas_plugin.files import atomic_file
from opendas_plugin.model.checkpoint import OpenCLIP, backbone_sha256
from opendas_plugin.office.corpus import augmented

log = logging.getLogger(__name__)

_BATCH = 128


def trunk(clip: OpenCLIP) -> nn.Module:
    """A copy of the image tower of ``clip`` without its last matrix: (B, 3, S, S) pixels to (B, width) states."""
    found: nn.Module = copy.deepcopy(clip.visual)
    found.register_parameter("proj", None)
    return found


@torch.no_grad()
def states(clip: OpenCLIP, images: NDArray[np.uint8], strength: float, seed: int) -> Tensor:
    """Encodes varied copies of pictures by the image tower of ``clip`` without its last matrix.

    Args:
        clip: an open_clip model.
        images: (names, P, S, S, 3) uint8; a tower of 2 S is shown every pixel doubled.
        strength: how strongly the copies are varied, 0..1; 0 leaves them as they are.
        seed: of the variations.

    Returns:
        (names, P, width) float32.
    """
    tower, size = trunk(clip), clip.visual.image_size[0]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    flat, found = images.reshape(-1, *images.shape[2:]), []
    for start in range(0, len(flat), _BATCH):
        pixels = torch.from_numpy(flat[start : start + _BATCH].copy()).permute(0, 3, 1, 2).float() / 255
        if strength:
            generator = torch.Generator().manual_seed(seed * 1_000_003 + start)
            pixels = augmented(pixels, strength, generator)
        pixels = F.interpolate((pixels - mean) / std, size=size, mode="nearest")
        found.append(tower(pixels))
    return torch.cat(found).unflatten(0, images.shape[:2])


def kept_states(
    cache: Path, clip: OpenCLIP, images: NDArray[np.uint8], strengths: tuple[float, ...], seed: int
) -> Tensor:
    """The same once for every strength, (views, names, P, width); each is kept in ``cache`` and made once."""
    sha, shape = backbone_sha256(clip)[:12], "x".join(map(str, images.shape[:3]))
    found = []
    for number, strength in enumerate(strengths):
        path = cache / f"states_{sha}_{shape}_{strength}_seed{seed + number}.npy"
        if not path.exists():
            made = states(clip, images, strength, seed + number).half().numpy()
            with atomic_file(path) as temporary, open(temporary, "wb") as file:
                np.save(file, made)
            log.info("encoded %d pictures, varied by %s", made.shape[0] * made.shape[1], strength)
        found.append(torch.from_numpy(np.load(path)).float())
    return torch.stack(found)
