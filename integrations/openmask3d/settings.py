"""How mask features are made."""

from __future__ import annotations

from dataclasses import dataclass

from opendas_plugin.errors import ConfigError


@dataclass(frozen=True)
class FeatureSettings:
    """How features are made; the defaults are those of OpenMask3D's configuration.

    Attributes:
        top_k: pictures a mask.
        levels: crops a picture, from the tight box outwards.
        expansion: how much further each level moves the box's sides, as a fraction of its width and height.
        threshold: how far, in metres, a visible point may lie from the depth map's surface.
        rounds: how often SAM is asked for a mask in a picture.
        points: points that it is given each time.
        batch_size: crops in one batch of CLIP.
    """

    top_k: int = 5
    levels: int = 3
    expansion: float = 0.1
    threshold: float = 0.2
    rounds: int = 10
    points: int = 5
    batch_size: int = 64

    def __post_init__(self) -> None:
        for name in ("top_k", "levels", "rounds", "points", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.expansion < 0 or self.threshold < 0:
            raise ConfigError(f"expansion and threshold must be 0 or more, got {self.expansion}, {self.threshold}")
