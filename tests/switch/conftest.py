"""A tiny CLIP's weights in a file, and adapters on it that are moved away from where they start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from opendas_plugin import methods
from opendas_plugin.model.adapted_clip import OpenDASCLIP


@pytest.fixture
def weights(tiny_backbone: str, tmp_path: Path) -> Path:
    """Weights of the tiny backbone, as a file that ``pretrained`` takes."""
    path = tmp_path / "tiny.pt"
    torch.save(OpenDASCLIP.from_backbone(tiny_backbone, seed=3).model.state_dict(), path)
    return path


@pytest.fixture
def make_adapter(tiny_backbone: str, weights: Path, tmp_path: Path) -> Callable[..., Path]:
    """Saves an adapter of a method, moved by a seed; returns its folder."""

    def make(method: str, seed: int = 1) -> Path:
        found = methods.get(method)
        clip = OpenDASCLIP.from_backbone(tiny_backbone, weights, prompts=found.prompts, weights=found.weights)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in clip.prompt_parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        clip.save_pretrained(tmp_path / f"{method}{seed}", method=method)
        return tmp_path / f"{method}{seed}"

    return make
