"""The learnt tokens of both towers: their tensors, and what is learnt beside them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import nn

from opendas_plugin.model.placing import Places


class Learnt(nn.Module):
    """What is learnt stays float32 under ``half()`` or ``to(dtype)``: the tower casts it where it uses it."""

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Learnt:
        def move(tensor: torch.Tensor) -> torch.Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        return super()._apply(move, recurse)


class Prompts(Learnt):
    """The learnt tokens of one tower, (depth, n, width), or none."""

    def __init__(self, tokens: torch.Tensor | None) -> None:
        super().__init__()
        self.tokens = None if tokens is None else nn.Parameter(tokens)


class CoupledPrompts(Learnt):
    """Visual tokens that are, layer by layer, linear in the text tokens (MaPLe, Khattak et al., CVPR 2023).

    Layers behind the text tower's last have text tokens of their own, which that tower never reads.
    """

    def __init__(self, text: Prompts, width: int, generator: torch.Generator) -> None:
        super().__init__()
        tokens = cast(torch.Tensor, text.tokens)  # PromptConfig asks for at least one
        depth, _, text_width = tokens.shape
        self._text = (text,)  # in a tuple: the tokens are the text prompts' to learn and to store
        first, later = (_linear(text_width, width, generator) for _ in range(2))
        layers = [first, *[later] * (depth - 1)]  # the later ones start as copies of one
        self.weight = nn.Parameter(torch.stack([weight for weight, _ in layers]).to(tokens.device))
        self.bias = nn.Parameter(torch.stack([bias for _, bias in layers]).to(tokens.device))

    @property
    def tokens(self) -> torch.Tensor:
        """(depth, n, width)."""
        text = cast(torch.Tensor, self._text[0].tokens)
        return torch.baddbmm(self.bias[:, None], text, self.weight.transpose(1, 2))


class TextPrompts(Prompts):
    """The text tower's learnt tokens, and their places in a text."""

    def __init__(self, tokens: torch.Tensor | None, places: Places | None = None) -> None:
        """``places`` are needed as soon as there are tokens and texts to read."""
        super().__init__(tokens)
        self.places = places

    def corrected(self, features: torch.Tensor) -> torch.Tensor:
        """Returns text features (N, D) that the tower made with the tokens, as they are."""
        return features


class ConditionalPrompts(TextPrompts):
    """Text tokens of the first layer that a small network moves by the image (CoCoOp, Zhou et al., CVPR 2022)."""

    def __init__(self, tokens: torch.Tensor, places: Places | None, features: int, generator: torch.Generator) -> None:
        super().__init__(tokens, places)
        width, hidden = tokens.shape[-1], features // 16
        first, second = (_new_linear(*sizes, generator) for sizes in ((features, hidden), (hidden, width)))
        self.net = nn.Sequential(first, nn.ReLU(), second).to(tokens.device)

    def of(self, image: torch.Tensor) -> torch.Tensor:
        """Returns the tokens (B, 1, n, width) for image features (B, D) of unit length."""
        return cast(torch.Tensor, self.tokens) + self.net(image)[:, None, None]


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (outputs, inputs) and bias of torch's Linear at its start."""
    bound = 1 / math.sqrt(inputs)
    weight, bias = (torch.rand(*size, generator=generator) for size in ((outputs, inputs), (outputs,)))
    return bound * (2 * weight - 1), bound * (2 * bias - 1)


def _new_linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    layer, (weight, bias) = nn.Linear(inputs, outputs, device="meta"), _linear(inputs, outputs, generator)
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer
