"""An adapted CLIP as modules without switches, with what was learnt put in: what is exported to other runtimes."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import AdapterError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import Interpolation
from opendas_plugin.model.weights import LearntWeights


class ImageGraph(nn.Module):
    """Pixels (B, 3, S, S) to image features (B, D) of unit length."""

    def __init__(self, clip: OpenDASCLIP) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Returns the features."""
        return self.clip.encode_image(pixels, normalize=True)


class TextGraph(nn.Module):
    """Token ids (N, L) to text features (N, D) of unit length."""

    def __init__(self, clip: OpenDASCLIP) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Returns the features."""
        return self.clip.encode_text(ids, normalize=True)


class NamesGraph(nn.Module):
    """Pixels (B, 3, S, S) to their cosines (B, N) with names whose features (N, D) are kept."""

    names: torch.Tensor

    def __init__(self, clip: OpenDASCLIP, names: torch.Tensor) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("names", unit(names.float(), dim=-1).T.contiguous().cpu())

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Returns the cosines."""
        return self.clip.encode_image(pixels, normalize=True) @ self.names


def baked(clip: OpenDASCLIP) -> OpenDASCLIP:
    """A copy on the CPU, float32, whose learnt weights are its frozen model's own where that says the same.

    Raises:
        AdapterError: text features depend on the image (CoCoOp), so that the towers are no two graphs.
    """
    if clip.is_conditional:
        raise AdapterError(
            f"the text features of the {clip.config.method} adapter depend on the image, so there are no two graphs to "
            "export; score images with classifier() in Python, or choose another method"
        )
    twin = copy.deepcopy(clip).cpu().float().eval().requires_grad_(False)
    if clip.config.interpolation == Interpolation():  # else plain CLIP's features are mixed in
        twin.model.load_state_dict(_merged(twin), strict=False)
        twin.visual_weights, twin.text_weights = LearntWeights(), LearntWeights()
    return twin


def plain_model(clip: OpenDASCLIP) -> nn.Module:
    """The open_clip model that an adapter of weights is: a copy on the CPU, float32, with these put in.

    Raises:
        AdapterError: the adapter is not weights alone.
    """
    merged = {key: value.cpu().float() for key, value in clip.merged_weights().items()}
    model = copy.deepcopy(clip.model).cpu().float()
    model.load_state_dict(merged, strict=False)
    return model


def _merged(clip: OpenDASCLIP) -> dict[str, torch.Tensor]:
    mix, towers = clip.weight_mix, clip.towers
    return clip.visual_weights.merged(towers.visual, mix) | clip.text_weights.merged(towers.text, mix)
