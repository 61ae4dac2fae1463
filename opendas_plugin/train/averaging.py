"""The average over the epochs of a stage of what is learnt, under a Gaussian (PromptSRC, Khattak et al., ICCV 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from opendas_plugin.train.config import RegulationConfig
from opendas_plugin.train.schedules import epoch_shares

KEY = "average."


class EpochAverage:
    """Adds up what each epoch has learnt; does nothing where the recipe asks for no average.

    Args:
        parameters: what is learnt.
        epochs: of the stage.
        config: mean and standard deviation of the Gaussian.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], epochs: int, config: RegulationConfig) -> None:
        self.parameters = parameters if config.average_epoch is not None else ()
        middle = epochs if config.average_epoch is None else config.average_epoch
        self.shares = epoch_shares(epochs, middle, config.average_std)
        self.sums = [torch.zeros_like(parameter) for parameter in self.parameters]

    @torch.no_grad()
    def add(self, epoch: int) -> None:
        """Adds what has been learnt at the end of an epoch, from 0."""
        for total, parameter in zip(self.sums, self.parameters, strict=True):
            total.add_(parameter, alpha=self.shares[epoch])

    @torch.no_grad()
    def finish(self) -> None:
        """Puts the average in the place of what the last epoch has learnt."""
        for total, parameter in zip(self.sums, self.parameters, strict=True):
            parameter.copy_(total)

    def state(self) -> dict[str, Tensor]:
        """The sums so far, by name."""
        return {f"{KEY}{number}": total for number, total in enumerate(self.sums)}

    def load(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Takes its sums out of what :meth:`state` was stored with, and returns the rest."""
        for number, total in enumerate(self.sums):
            if f"{KEY}{number}" in tensors:
                total.copy_(tensors[f"{KEY}{number}"])
        return {name: tensor for name, tensor in tensors.items() if not name.startswith(KEY)}
