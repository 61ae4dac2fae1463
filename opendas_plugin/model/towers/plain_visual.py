"""Open_clip's plain ViT (3.x) as a :class:`~opendas_plugin.model.tower.VisualTower`: it owns no weights.

What it does is open_clip's own modules, so that without learnt tokens the features are open_clip's.
"""

from __future__ import annotations

import torch

from opendas_plugin.errors import DataError
from opendas_plugin.model.tower import DenseAttention, KeysAndValues
from opendas_plugin.model.towers.base import ModelVisual, PlainTower
from opendas_plugin.model.towers.blocks import attend, finish, project, read_out
from opendas_plugin.model.towers.dense import positions, run_dense
from opendas_plugin.model.towers.parts import OpenCLIP, visual_blocks


class PlainVisual(PlainTower, ModelVisual):
    """A ViT whose feature is read at the class token; ``x`` is (B, L, width), learnt tokens stand at its end."""

    no_grid = None

    def __init__(self, model: OpenCLIP) -> None:
        super().__init__(model, visual_blocks(model))
        self._visual = model.visual

    @property
    def width(self) -> int:
        return self._visual.positional_embedding.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self._visual.conv1.weight.dtype

    @property
    def summary_token(self) -> torch.Tensor:
        return self._visual.class_embedding

    def summary(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0]

    def embed(self, inputs: torch.Tensor) -> torch.Tensor:
        visual = self._visual
        x = visual.conv1(inputs.to(self.dtype)).flatten(2).transpose(1, 2)
        x = torch.cat([visual.class_embedding.to(x.dtype).expand(x.shape[0], 1, -1), x], dim=1)
        return visual.ln_pre(visual.patch_dropout(x + visual.positional_embedding.to(x.dtype)))

    @property
    def patch(self) -> int:
        return self._visual.conv1.kernel_size[0]

    def grid(self, pixels: torch.Tensor) -> tuple[int, int]:
        patch, (height, width) = self.patch, pixels.shape[-2:]
        if height % patch or width % patch or not height * width:
            raise DataError(
                f"expected pixels whose sides are multiples of the patch, {patch}, got {height}x{width}; resize the "
                "picture"
            )
        return height // patch, width // patch

    def embed_grid(self, pixels: torch.Tensor) -> torch.Tensor:
        visual, place = self._visual, positions(self._visual.positional_embedding, self.grid(pixels))
        x = visual.conv1(pixels.to(self.dtype)).flatten(2).transpose(1, 2)
        x = torch.cat([visual.class_embedding.to(x.dtype).expand(len(x), 1, -1), x], dim=1)
        return visual.ln_pre(x + place.to(x.dtype))

    def run_dense(self, x: torch.Tensor, tokens: torch.Tensor | None, attention: DenseAttention) -> torch.Tensor:
        if tokens is not None and self.depth == 1:
            tokens = self._visual.ln_pre(tokens)
        return run_dense(self._blocks[-1], x, tokens, attention)

    def run(
        self,
        layer: int,
        x: torch.Tensor,
        inputs: torch.Tensor,
        tokens: torch.Tensor | None = None,
        stays: bool = False,
    ) -> torch.Tensor:
        """Tokens that the next layer replaces are only read, since nothing reads their outputs."""
        block, last = self._blocks[layer], self._is_last(layer)
        if tokens is not None:
            tokens = self._visual.ln_pre(tokens) if layer == 0 else tokens
            if stays and not last:
                x, tokens = torch.cat([x, tokens.expand(x.shape[0], -1, -1)], dim=1), None
        h = block.ln_1(x)
        if last:
            x = x[:, :1]
            q, (k, v) = project(block, h[:, :1], 0, 1), project(block, h, 1, 3).chunk(2, dim=-1)
        else:
            q, k, v = project(block, h, 0, 3).chunk(3, dim=-1)
        if tokens is not None:
            own = project(block, block.ln_1(tokens), 1, 3).expand(x.shape[0], -1, -1).chunk(2, dim=-1)
            k, v = torch.cat([k, own[0]], dim=1), torch.cat([v, own[1]], dim=1)
        x = finish(block, x, attend(block, q, k, v))
        return x[:, 0] if last else x

    def run_readable(self, layer: int, x: torch.Tensor, inputs: torch.Tensor) -> tuple[torch.Tensor, KeysAndValues]:
        block = self._blocks[layer]
        h = block.ln_1(x)
        k, v = project(block, h, 1, 3).chunk(2, dim=-1)
        if not self._is_last(layer):
            x = finish(block, x, attend(block, project(block, h, 0, 1), k, v))
        return x, (k, v)

    def read_out(self, layer: int, tokens: torch.Tensor, readable: KeysAndValues, inputs: torch.Tensor) -> torch.Tensor:
        return read_out(self._blocks[layer], tokens, readable)

    def embed_read_only(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._visual.ln_pre(tokens)

    def feature(self, x: torch.Tensor) -> torch.Tensor:
        features = self._visual.ln_post(x)
        return features if self._visual.proj is None else features @ self._visual.proj
