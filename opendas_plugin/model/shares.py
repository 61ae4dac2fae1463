"""How much of what was learnt is at work in a CLIP: none, a share, or all of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import AdapterError, ConfigError
from opendas_plugin.model.adapter_config import AdapterConfig
from opendas_plugin.model.config import Interpolation
from opendas_plugin.model.frozen_parts import FrozenParts
from opendas_plugin.model.tower import TowerName
from opendas_plugin.model.weights import LearntWeights


class Shares(FrozenParts):
    """The switches and shares of an adapter.

    What an adapter folder says is ``config``; ``weight_mix`` is the share of the learnt weights.
    """

    config: AdapterConfig
    visual_weights: LearntWeights
    text_weights: LearntWeights
    weight_mix: float

    def __init__(self) -> None:
        super().__init__()
        self._adapted: dict[TowerName, bool] = {"visual": True, "text": True}

    def interpolate(self, visual: float = 1.0, text: float = 1.0) -> None:
        """Sets the share of the adapted feature in each tower's; it is saved with the adapter.

        A tower's feature becomes normalise(share x adapted + (1 - share) x frozen), both of unit length: at 1 exactly
        the adapter's, at 0 exactly plain CLIP's.

        Raises:
            ConfigError: a share outside 0 to 1, or an adapter whose features are no mixture of this kind.
        """
        if self.config.prompts.form in ("read_only", "conditional"):
            raise ConfigError(f"{self.config.prompts.form} prompts have no features to interpolate with plain CLIP's")
        self.config = replace(self.config, interpolation=Interpolation(visual, text))

    @contextlib.contextmanager
    def prompts_disabled(self, visual: bool = True, text: bool = True) -> Iterator[None]:
        """Switches all that was learnt in the named towers off inside the ``with`` block: plain CLIP."""
        before = self._adapted
        self._adapted = {"visual": before["visual"] and not visual, "text": before["text"] and not text}
        try:
            yield
        finally:
            self._adapted = before

    @contextlib.contextmanager
    def unmixed(self, weights: bool = True) -> Iterator[None]:
        """Takes what was learnt at its full share inside the ``with`` block, of features and of ``weights``."""
        mix, config = self.weight_mix, self.config
        self.weight_mix = 1.0 if weights else mix
        self.config = replace(config, interpolation=Interpolation())
        try:
            yield
        finally:
            self.weight_mix, self.config = mix, config

    def merged_weights(self) -> dict[str, torch.Tensor]:
        """Returns the learnt weights as plain CLIP has them, by their names in ``model``.

        Raises:
            AdapterError: the adapter is not weights alone, so that no set of weights of plain CLIP can hold it.
        """
        prompts, shares = self.config.prompts, self.config.interpolation
        if prompts.visual_tokens or prompts.text_tokens:
            lacking = "tokens beside the weights"
        elif self.config.cache.entries:
            lacking = "stored features"
        elif shares != Interpolation():
            lacking = "a share of plain CLIP's features"
        else:
            with torch.no_grad():
                visual = self.visual_weights.merged(self.towers.visual, self.weight_mix)
                return visual | self.text_weights.merged(self.towers.text, self.weight_mix)
        raise AdapterError(
            f"the {self.config.method} adapter has {lacking}, which plain CLIP has no place for; load it with "
            "opendas.load, or export its backbone alone"
        )

    def _interpolated(self, tower: TowerName, encode: Callable[[bool], torch.Tensor]) -> torch.Tensor:
        """Features of a tower at its share; ``encode`` returns them with what was learnt or without it."""
        share = getattr(self.config.interpolation, tower)
        if share == 1 or not self._adapted[tower]:
            return encode(self._adapted[tower])
        frozen = encode(False)
        if share == 0:
            return frozen
        return unit(share * unit(encode(True), dim=-1) + (1 - share) * unit(frozen, dim=-1), dim=-1)
