"""What open_clip's text transformers (3.x) have in common, however their layers are run."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from opendas_plugin.model.towers.base import ModelText
from opendas_plugin.model.towers.parts import OpenCLIP, end_token, pool_type, text_module


class TransformerText(ModelText):
    """A text tower of open_clip's own layers; it owns no weights."""

    def __init__(self, model: OpenCLIP, *rest: Any) -> None:
        super().__init__(model, *rest)
        self._text = text_module(model)

    @property
    def width(self) -> int:
        return self.token_embedding.weight.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self._text.transformer.get_cast_dtype()

    @property
    def transformer(self) -> nn.Module:
        return self._text.transformer

    @property
    def projection(self) -> torch.Tensor | None:
        projection = self._text.text_projection
        return projection.weight.T if isinstance(projection, nn.Linear) else projection

    def ends(self, ids: torch.Tensor) -> torch.Tensor:
        """By the model's own rule: the largest id, the first that ends a text, or the last place."""
        rule = pool_type(self._text)
        if rule == "last":
            return ids.new_full((len(ids),), ids.shape[1] - 1)
        if rule == "argmax":
            return ids.argmax(dim=-1)
        return (ids == end_token(self._text)).int().argmax(dim=-1)

    def feature(self, x: torch.Tensor) -> torch.Tensor:
        features, projection = self._text.ln_final(x), self._text.text_projection
        if projection is None:
            return features
        return projection(features) if isinstance(projection, nn.Linear) else features @ projection

    def _places(self) -> torch.Tensor:
        return self._text.positional_embedding.to(self.dtype)
