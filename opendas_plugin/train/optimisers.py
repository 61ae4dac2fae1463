"""The optimiser of a stage, and its state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from opendas_plugin.train.config import OptimiserConfig


def make_optimiser(parameters: Sequence[nn.Parameter], config: OptimiserConfig) -> Optimizer:
    """SGD without Nesterov and dampening, or AdamW; the learning rate is set epoch by epoch."""
    if config.name == "adamw":
        return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
    return torch.optim.SGD(parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Sets the learning rate of all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def optimiser_state(optimiser: Optimizer) -> dict[str, Tensor]:
    """The momentum and what else the optimiser remembers: ``<parameter's number>.<name>`` -> tensor."""
    remembered = optimiser.state_dict()["state"]
    return {f"{number}.{name}": value for number, state in remembered.items() for name, value in state.items()}


def load_optimiser_state(optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Gives an optimiser what :func:`optimiser_state` took from one over the same parameters."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
