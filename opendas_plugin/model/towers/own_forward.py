"""A tower of any kind, run by the model's own ``encode_image`` and ``encode_text``: it has room for learnt weights.

What stands in for weights is put into a shallow copy of the model, as :func:`torch.func.functional_call` puts it into
the model itself, which other threads use meanwhile.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from opendas_plugin.errors import DataError
from opendas_plugin.model.towers.base import ModelText, ModelTower, ModelVisual
from opendas_plugin.model.towers.parts import OpenCLIP, text_module


class OwnForward(ModelTower):
    """A tower that is asked for features alone."""

    def __init__(self, model: OpenCLIP, no_tokens: str, no_readers: str) -> None:
        super().__init__(model)
        self.no_tokens, self.no_readers = no_tokens, no_readers

    def over(self, module: nn.Module) -> Any:
        return type(self)(module, self.no_tokens, self.no_readers)

    @property
    def dtype(self) -> torch.dtype:
        return next(weight.dtype for weight in self.weights().values() if weight.ndim > 1)


class OwnVisual(OwnForward, ModelVisual):
    """The visual tower of any model."""

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._model.encode_image(inputs.to(self.dtype), normalize=False)


class OwnText(OwnForward, ModelText):
    """The text tower of any model. Padding is read as the model reads it, which may change the feature."""

    @property
    def transformer(self) -> nn.Module:
        return text_module(self._model).transformer

    @property
    def projection(self) -> torch.Tensor | None:
        projection = getattr(text_module(self._model), "text_projection", None)
        return projection.weight.T if isinstance(projection, nn.Linear) else projection

    def inputs(self, ids: torch.Tensor) -> torch.Tensor:
        text = text_module(self._model)
        if text is self._model and ids.shape[1] != self.room:  # its forward adds all positions
            raise DataError(f"expected token ids of the whole context, (N, {self.room}), got {tuple(ids.shape)}")
        return ids.to(self.device)

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        return self._model.encode_text(inputs, normalize=False)
