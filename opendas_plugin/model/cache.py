"""A cache of features that moves those of images: what methods without training keep (Tip-Adapter and its kin)."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import ConfigError
from opendas_plugin.model.config import CacheConfig
from opendas_plugin.model.prompts import Learnt


class FeatureCache(Learnt):
    """Adds to an image feature what is stored for the features near it (after Zhang et al., ECCV 2022).

    Image features f of unit length become f + strength * sum_m exp(-sharpness * (1 - f . keys_m)) * values_m. With
    values that are text features of the entries' names, f comes nearer to the names of what it resembles; since it
    stays an image feature, names that are in no entry are scored as ever, and whoever keeps features keeps these.

    Args:
        keys: (M, D) image features, float32; they are brought to unit length.
        values: (M, D), float32, added as they are.
        config: how they act; its ``entries`` is M.

    Raises:
        ConfigError: keys and values of other or of unequal shapes.
    """

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, config: CacheConfig) -> None:
        super().__init__()
        if keys.ndim != 2 or keys.shape != values.shape or len(keys) != config.entries:
            raise ConfigError(
                f"a cache of {config.entries} entries has keys and values (M, D), "
                f"got {tuple(keys.shape)} and {tuple(values.shape)}"
            )
        self.config = config
        self.register_buffer("keys", unit(keys.detach().float(), dim=-1))
        self.register_buffer("values", values.detach().float().clone())

    @classmethod
    def of(cls, keys: torch.Tensor, values: torch.Tensor, strength: float, sharpness: float) -> FeatureCache:
        """Returns a cache of keys and values (M, D)."""
        return cls(keys, values, CacheConfig(len(keys), strength, sharpness))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Returns moved image features (B, D), of the type of ``features``."""
        if not self.config.entries:
            return features
        found = unit(features.float(), dim=-1)
        near = torch.exp(-self.config.sharpness * (1 - found @ self.keys.T))
        return (found + self.config.strength * near @ self.values).to(features.dtype)
