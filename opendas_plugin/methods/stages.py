"""What a method is to the training loop: the stages that it learns in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from opendas_plugin.model.config import PromptConfig

Tower = Literal["visual", "text"]


@dataclass(frozen=True)
class Stage:
    """A stage of training. The prompts of a tower are at work from the first stage on that learns them.

    Args:
        name: its name in logs, and of its :class:`~opendas_plugin.train.config.StageConfig` in recipes.
        learns: the towers whose prompts it learns; all others are frozen.
        triplet: whether the triplet loss is added to the cross-entropy, where the recipe enables it.
    """

    name: str
    learns: tuple[Tower, ...]
    triplet: bool = False


class Method(Protocol):
    """What every module of this package offers."""

    def default_prompts(self) -> PromptConfig:
        """The learnt tokens that the method is published with."""

    def stages(self) -> tuple[Stage, ...]:
        """Its stages, in order."""

    def parameter_count(self, backbone: str) -> int:
        """How many values it learns on a backbone, with its default prompts."""
