"""Learnt counterparts of a tower's frozen weights: whole tensors, low-rank updates of its matrices, or both."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeAlias, cast

import torch
from torch import nn

from opendas_plugin.model.config import WeightConfig
from opendas_plugin.model.prompts import Learnt
from opendas_plugin.model.tower import Matrices, Tower

AnyTower: TypeAlias = Tower[Any]

_MATRICES: dict[str, Matrices] = {
    "low_rank": "query_key_value",
    "low_rank_mlp_out": "mlp_out",
    "low_rank_all": "all",
}


class LearntWeights(Learnt):
    """What stands in for some of a tower's weights; on its own, for none of them.

    The weights are merged whenever they are asked for: kept ones would go out of date where somebody writes to what
    was learnt, or to the frozen weights, without torch's notice.
    """

    def merged(self, tower: AnyTower, mix: float = 1.0) -> dict[str, torch.Tensor]:
        """Returns the weights to use by name, of the frozen ones' types, whatever autocast is on.

        Args:
            tower: the frozen tower.
            mix: share of what was learnt; 0 gives the frozen weights and 1 the learnt ones, exactly.
        """
        with torch.autocast(tower.device.type, enabled=False):
            return self._merge(tower, mix)

    def _merge(self, tower: AnyTower, mix: float) -> dict[str, torch.Tensor]:
        return {}


class WholeWeights(LearntWeights):
    """A learnt copy of each of the named weights, which starts as the frozen one.

    Stored are the copies themselves: as much as the weights that they stand in for.
    """

    def __init__(self, tower: AnyTower, names: list[str]) -> None:
        super().__init__()
        self.names = names
        self.values = nn.ParameterList(tower.module.get_parameter(name).detach().float().clone() for name in names)

    def _merge(self, tower: AnyTower, mix: float) -> dict[str, torch.Tensor]:
        weights = {}
        for name, value in zip(self.names, self.values, strict=True):
            frozen = tower.module.get_parameter(name)
            weights[name] = (value if mix == 1 else torch.lerp(frozen.float(), value, mix)).to(frozen.dtype)
        return weights


class LowRankWeights(LearntWeights):
    """A low-rank update of each of the named matrices (Hu et al., ICLR 2022), zero at the start.

    A convolution of 1 x 1 pixels is a matrix, too. A matrix of n stacked ones, (n * out, in), gets n updates: factors
    ``down`` (n, rank, in), uniform at the start, and ``up`` (n, out, rank), zero.
    """

    def __init__(
        self, tower: AnyTower, stacked: dict[str, int], config: WeightConfig, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.names = list(stacked)
        self.scale = config.alpha / math.sqrt(config.rank)
        self.down, self.up = nn.ParameterList(), nn.ParameterList()
        for name, parts in stacked.items():
            frozen = tower.module.get_parameter(name)
            rows, columns, device = frozen.shape[0], frozen[0].numel(), frozen.device
            bound = 1 / math.sqrt(columns)
            noise = torch.rand(parts, config.rank, columns, generator=generator).to(device)
            self.down.append(nn.Parameter(bound * (2 * noise - 1)))
            self.up.append(nn.Parameter(torch.zeros(parts, rows // parts, config.rank, device=device)))

    def _merge(self, tower: AnyTower, mix: float) -> dict[str, torch.Tensor]:
        weights = {}
        for name, down, up in zip(self.names, self.down, self.up, strict=True):
            frozen = tower.module.get_parameter(name)
            update = (mix * self.scale) * torch.bmm(up, down).view(frozen.shape)
            weights[name] = (frozen.float() + update).to(frozen.dtype)
        return weights


class JoinedWeights(LearntWeights):
    """Several of the above, each of other weights."""

    def __init__(self, parts: list[LearntWeights]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def _merge(self, tower: AnyTower, mix: float) -> dict[str, torch.Tensor]:
        parts = cast(Iterable[LearntWeights], self.parts)
        return {name: weight for part in parts for name, weight in part._merge(tower, mix).items()}


def new_weights(tower: AnyTower, kind: str, config: WeightConfig, generator: torch.Generator) -> LearntWeights:
    """Returns what stands in for a tower's weights, at its start: the frozen ones.

    Args:
        tower: the frozen tower.
        kind: which of its weights, a :data:`~opendas_plugin.model.config.WeightKind`.
        config: rank and scale of low-rank updates.
        generator: of their noise.
    """
    if kind == "frozen":
        return LearntWeights()
    parts = [_of_one_kind(tower, part, config, generator) for part in kind.split("+")]
    return parts[0] if len(parts) == 1 else JoinedWeights(parts)


def _of_one_kind(tower: AnyTower, kind: str, config: WeightConfig, generator: torch.Generator) -> LearntWeights:
    if kind in _MATRICES:
        return LowRankWeights(tower, tower.matrices(_MATRICES[kind]), config, generator)
    names, norms = list(tower.weights()), tower.norm_names()
    if kind == "norm":
        return WholeWeights(tower, norms)
    if kind == "norm_bias":
        return WholeWeights(tower, [name for name in names if name in norms or name.endswith("bias")])
    return WholeWeights(tower, names)
