"""timm's ViTs (1.x) behind open_clip's ``TimmModel``: SigLIP, EVA, PE-Core, ViTamin, MobileCLIP's and others.

Where positions are rotary, those of learnt tokens are turned by nothing: sine 0, cosine 1.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models.eva import Eva, EvaBlock, EvaBlockPostNorm
from timm.models.vision_transformer import Block, VisionTransformer

from opendas_plugin.model.towers.parts import OpenCLIP
from opendas_plugin.model.towers.whole_visual import WholeVisual

_KINDS = {VisionTransformer: (Block,), Eva: (EvaBlock, EvaBlockPostNorm)}
"""The transformers whose blocks compute the same whatever number of tokens they get, and these blocks."""


class TimmVisual(WholeVisual):
    """A ``VisionTransformer`` or an ``Eva`` of timm."""

    def __init__(self, model: OpenCLIP, no_readers: str) -> None:
        self._trunk = trunk = model.visual.trunk
        super().__init__(model, no_readers, list(trunk.blocks), trunk.num_prefix_tokens + trunk.patch_embed.num_patches)
        self._head = model.visual.head

    @staticmethod
    def reads(visual: Any) -> bool:
        """Whether a visual tower is one of these."""
        trunk: Any = getattr(visual, "trunk", None)
        kinds = _KINDS.get(type(trunk))
        if kinds is None or getattr(trunk, "rope_mixed", False):  # those positions are each layer's own
            return False
        return all(type(block) in kinds for block in trunk.blocks)

    @property
    def width(self) -> int:
        return self._trunk.embed_dim

    def embed(self, inputs: torch.Tensor) -> torch.Tensor:
        trunk = self._trunk
        x = trunk.patch_embed(inputs.to(self.dtype))
        if isinstance(trunk, Eva):
            return trunk.norm_pre(trunk._pos_embed(x)[0])
        return trunk.norm_pre(trunk.patch_drop(trunk._pos_embed(x)))

    def feature(self, x: torch.Tensor) -> torch.Tensor:
        return self._head(self._trunk.forward_head(self._trunk.norm(x)))

    def _before_first(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._trunk.norm_pre(tokens)

    def _block(self, layer: int, x: torch.Tensor) -> torch.Tensor:
        if getattr(self._trunk, "rope", None) is None:
            return self._blocks[layer](x)
        return self._blocks[layer](x, rope=self._turns(x.shape[1] - self._length))

    def _turns(self, count: int) -> torch.Tensor:
        """Sines and cosines of the patches' positions, and of ``count`` learnt tokens behind them: (L, 2 C)."""
        rope = self._trunk.rope
        shape = {} if hasattr(rope, "feat_shape") else {"shape": self._trunk.patch_embed.grid_size}
        found = rope.get_embed(**shape)
        sines = found.new_zeros(count, found.shape[-1] // 2)
        return torch.cat([found, torch.cat([sines, torch.ones_like(sines)], dim=-1)])
