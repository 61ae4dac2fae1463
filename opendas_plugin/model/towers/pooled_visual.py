"""Open_clip's own ViT (3.x) where it is not the plain one: another pooling, or blocks that normalise inside."""

from __future__ import annotations

from typing import Any

import torch
from open_clip.transformer import CustomResidualAttentionBlock, ResidualAttentionBlock, VisionTransformer

from opendas_plugin.model.towers.parts import OpenCLIP, visual_blocks
from opendas_plugin.model.towers.whole_visual import WholeVisual


class PooledVisual(WholeVisual):
    """A ``VisionTransformer`` of open_clip with any pooling (CLIPA's average, an attention) and any of its blocks."""

    def __init__(self, model: OpenCLIP, no_readers: str) -> None:
        self._visual = visual = model.visual
        super().__init__(model, no_readers, visual_blocks(model), len(visual.positional_embedding))

    @staticmethod
    def reads(visual: Any) -> bool:
        """Whether a visual tower is one of these."""
        return isinstance(visual, VisionTransformer) and all(
            type(block) in (ResidualAttentionBlock, CustomResidualAttentionBlock)
            for block in visual.transformer.resblocks
        )

    @property
    def width(self) -> int:
        return self._visual.positional_embedding.shape[1]

    def embed(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._visual._embeds(inputs.to(self.dtype))

    def feature(self, x: torch.Tensor) -> torch.Tensor:
        pooled, _ = self._visual._pool(x)
        return pooled if self._visual.proj is None else pooled @ self._visual.proj

    def _before_first(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._visual.ln_pre(tokens)

    def _block(self, layer: int, x: torch.Tensor) -> torch.Tensor:
        return self._blocks[layer](x)
