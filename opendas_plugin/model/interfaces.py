"""Thin views of an adapted CLIP for code that was written against another interface."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import nn


class ImageEncoder(Protocol):
    """What a view of the visual tower asks of an adapted CLIP."""

    model: Any

    @property
    def image_size(self) -> int:
        """Side of the square input, in pixels."""

    def encode_image(self, image: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        """Returns image features (B, D)."""


class ImageTextEncoder(ImageEncoder, Protocol):
    """What OpenAI's ``forward`` asks of an adapted CLIP."""

    @property
    def logit_scale(self) -> torch.Tensor:
        """Logarithm of the factor from cosine to logit."""

    @property
    def logit_bias(self) -> torch.Tensor | None:
        """What is added to logits, if anything."""

    def encode_text(self, text: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        """Returns text features (N, D)."""


class VisualView:
    """The adapted visual tower, callable with pixels; every other attribute is that of open_clip's tower."""

    def __init__(self, clip: ImageEncoder) -> None:
        self._clip = clip

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Returns image features (B, D), as ``OpenDASCLIP.encode_image`` does."""
        return self._clip.encode_image(image)

    @property
    def input_resolution(self) -> int:
        """Side of the square input, in pixels; OpenAI's name for it."""
        return self._clip.image_size

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_clip" not in self.__dict__:  # while it is copied or unpickled it has no CLIP yet
            raise AttributeError(f"{type(self).__name__} has no {name}")
        return getattr(self._clip.model.visual, name)


class OpenAIView(nn.Module):
    """An ``OpenDASCLIP`` with the ``forward`` of OpenAI's model; every other attribute is the CLIP's own."""

    clip: ImageTextEncoder

    def __init__(self, clip: ImageTextEncoder) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, image: torch.Tensor, text: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the logits per image (B, N) and per text (N, B) of pixels (B, 3, S, S) and token ids (N, L)."""
        image_features = self.clip.encode_image(image, normalize=True)
        text_features = self.clip.encode_text(text, normalize=True)
        logits = self.clip.logit_scale.exp() * image_features @ text_features.T
        logits = logits if self.clip.logit_bias is None else logits + self.clip.logit_bias
        return logits, logits.T

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("clip"), name)
