"""What all towers of open_clip's models have in common: the names of their weights in the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from opendas_plugin.model.passes import through_layers
from opendas_plugin.model.tower import Matrices, TowerName
from opendas_plugin.model.towers import layers
from opendas_plugin.model.towers.parts import OpenCLIP, feature_width, image_shape, token_embedding, tower_weights


class ModelTower:
    """A tower of an open_clip model, by which its weights are named; ``name`` is the tower's."""

    name: TowerName

    def __init__(self, model: OpenCLIP) -> None:
        self.module: nn.Module = model
        self._model = model

    def over(self, module: nn.Module) -> Any:
        return type(self)(module)

    @property
    def feature_width(self) -> int:
        return feature_width(self._model)

    @property
    def device(self) -> torch.device:
        return self._model.logit_scale.device

    def weights(self) -> dict[str, torch.Tensor]:
        return tower_weights(self._model, self.name)

    def norm_names(self) -> list[str]:
        return layers.norms(self.module, self.weights())

    def matrices(self, which: Matrices) -> dict[str, int]:
        return layers.matrices(self.weights(), which)


class ModelVisual(ModelTower):
    """A visual tower of an open_clip model."""

    name = "visual"
    no_grid: str | None = "open_clip's own ViT, whose feature is read at a class token"

    @property
    def image_shape(self) -> tuple[int, int]:
        return image_shape(self._model)

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        return self._model.visual.preprocess_cfg


class ModelText(ModelTower):
    """A text tower of an open_clip model."""

    name = "text"

    @property
    def room(self) -> int:
        return self._model.context_length

    @property
    def token_embedding(self) -> nn.Embedding:
        return token_embedding(self._model)

    @property
    def vocabulary_size(self) -> int:
        return self.token_embedding.num_embeddings


class PlainTower(ModelTower):
    """A tower whose layers are open_clip's plain attention blocks."""

    no_tokens = None
    no_readers = None

    def __init__(self, model: OpenCLIP, blocks: list[Any]) -> None:
        super().__init__(model)
        self._blocks = blocks

    def encode(self, inputs: Any) -> torch.Tensor:
        return through_layers(self, inputs)  # type: ignore[arg-type]  # the two plain towers have the layers

    @property
    def depth(self) -> int:
        return len(self._blocks)

    def _is_last(self, layer: int) -> bool:
        return layer == len(self._blocks) - 1
