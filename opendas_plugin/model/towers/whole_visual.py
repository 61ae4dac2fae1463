"""A ViT run block by block, each as its library has it: whatever it pools, and however its blocks attend.

Without learnt tokens it is the model's own forward. With them, they stand at the end of the sequence, without a
position, through all layers, and are cut off before anything is normalised or pooled: so a feature that is the mean of
the patches, or that an attention reads out of them, is still one of the patches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch

from opendas_plugin.model.towers.base import ModelVisual
from opendas_plugin.model.towers.parts import OpenCLIP


class WholeVisual(ModelVisual, ABC):
    """A ViT of ``length`` tokens, class and register tokens included; ``x`` is (B, L, width)."""

    no_tokens = None

    def __init__(self, model: OpenCLIP, no_readers: str, blocks: list[Any], length: int) -> None:
        super().__init__(model)
        self.no_readers = no_readers
        self._blocks, self._length = blocks, length

    def over(self, module: Any) -> Any:
        return type(self)(module, self.no_readers)  # type: ignore[call-arg]  # each kind finds its own blocks

    @property
    def depth(self) -> int:
        return len(self._blocks)

    @property
    def dtype(self) -> torch.dtype:
        return next(weight.dtype for weight in self._blocks[0].parameters() if weight.ndim > 1)

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._model.encode_image(inputs.to(self.dtype), normalize=False)

    def run(
        self,
        layer: int,
        x: torch.Tensor,
        inputs: torch.Tensor,
        tokens: torch.Tensor | None = None,
        stays: bool = False,
    ) -> torch.Tensor:
        """A block that pools reads all of the patches in the end, so nothing but the tokens is left out."""
        if tokens is not None:
            tokens = self._before_first(tokens) if layer == 0 else tokens
            x = torch.cat([x[:, : self._length], tokens.expand(x.shape[0], -1, -1)], dim=1)
        x = self._block(layer, x)
        return x[:, : self._length] if layer == self.depth - 1 else x

    @abstractmethod
    def _before_first(self, tokens: torch.Tensor) -> torch.Tensor:
        """What the model does to tokens between their positions and the first block."""

    @abstractmethod
    def _block(self, layer: int, x: torch.Tensor) -> torch.Tensor:
        """A block of all tokens, those beyond the model's own without a position."""
