"""What a method is to the training loop: the stages that it learns in, and the recipe that it is published with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from opendas_plugin.model.config import PromptConfig, WeightConfig

Tower = Literal["visual", "text"]


@dataclass(frozen=True)
class Stage:
    """A stage of training. What is learnt in a tower is at work from the first stage on that learns it.

    Args:
        name: its name in logs, and of its :class:`~opendas_plugin.train.config.StageConfig` in recipes.
        learns: the towers that it learns in; all others are frozen.
        triplet: whether the triplet loss is added to the cross-entropy, where the recipe enables it.
    """

    name: Literal["visual", "text", "joint"]
    learns: tuple[Tower, ...]
    triplet: bool = False


VISUAL = Stage("visual", learns=("visual",))
TEXT = Stage("text", learns=("text",))
TEXT_WITH_TRIPLET = Stage("text", learns=("text",), triplet=True)
JOINT = Stage("joint", learns=("visual", "text"))

NO_PROMPTS = {"visual_tokens": 0, "text_tokens": 0}


@dataclass(frozen=True)
class Method:
    """What every module of this package offers as ``METHOD``.

    Args:
        stages: in order; none where nothing is learnt.
        recipe: the recipe fields that its paper or its code fixes, nested as in a recipe file. A user's recipe and
            flags go before them; what is in none of the three has the default of
            :class:`~opendas_plugin.train.config.TrainConfig`.
    """

    stages: tuple[Stage, ...]
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prompts(self) -> PromptConfig:
        """The learnt tokens that the method is published with."""
        return PromptConfig(**self.recipe.get("prompts", {}))

    @property
    def weights(self) -> WeightConfig:
        """The learnt weights that the method is published with."""
        return WeightConfig(**self.recipe.get("weights", {}))
