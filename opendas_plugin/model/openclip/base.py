"""What open_clip's two towers have in common: their layers, and the names of their weights in the model."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from opendas_plugin.model.openclip.plain import OpenCLIP
from opendas_plugin.model.tower import Matrices, TowerName


class OpenCLIPTower:
    """A tower of an open_clip model, by which its weights are named; ``name`` is the tower's."""

    name: TowerName

    def __init__(self, model: OpenCLIP, blocks: list[Any]) -> None:
        self.module: nn.Module = model
        self._model, self._blocks = model, blocks

    def over(self, module: nn.Module) -> Any:
        return type(self)(module)  # type: ignore[call-arg]  # the two towers take a model alone

    @property
    def depth(self) -> int:
        return len(self._blocks)

    @property
    def device(self) -> torch.device:
        return self._model.logit_scale.device

    def weights(self) -> dict[str, torch.Tensor]:
        return {  # the logit scale and bias belong to neither
            name: weight
            for name, weight in self.module.named_parameters()
            if name.startswith("visual.") == (self.name == "visual") and not name.startswith("logit_")
        }

    def norm_names(self) -> list[str]:
        norms = tuple(f"{name}." for name, module in self.module.named_modules() if isinstance(module, nn.LayerNorm))
        return [name for name in self.weights() if name.startswith(norms)]

    def matrices(self, which: Matrices) -> dict[str, int]:
        end = {"all": "weight", "query_key_value": "in_proj_weight", "mlp_out": "mlp.c_proj.weight"}[which]
        weights = self.weights().items()
        names = [name for name, weight in weights if ".resblocks." in name and weight.ndim == 2 and name.endswith(end)]
        return {name: 3 if name.endswith("in_proj_weight") else 1 for name in names}

    def _is_last(self, layer: int) -> bool:
        return layer == len(self._blocks) - 1
