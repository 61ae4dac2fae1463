"""What a method is: the stages that it learns in, what it stores, and the recipe that it is published with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from opendas_plugin.errors import DataError
from opendas_plugin.model.config import PromptConfig, WeightConfig

if TYPE_CHECKING:
    from torch import Tensor

    from opendas_plugin.model.adapted_clip import OpenDASCLIP
    from opendas_plugin.model.cache import FeatureCache
    from opendas_plugin.model.tower import TowerName


@dataclass(frozen=True)
class Stage:
    """A stage of training. What is learnt in a tower is at work from the first stage on that learns it.

    Args:
        name: its name in logs, and of its :class:`~opendas_plugin.train.config.StageConfig` in recipes.
        learns: the towers that it learns in; all others are frozen.
        triplet: whether the triplet loss is added to the cross-entropy, where the recipe enables it.
        low_rank: whether low-rank updates are learnt with the rest; otherwise they stay as they are.
        labels: whether it looks at the names of the segments; otherwise it learns from what the model says of them
            (:mod:`opendas_plugin.train.entropy`).
    """

    name: Literal["visual", "text", "joint", "unlabelled"]
    learns: tuple[TowerName, ...]
    triplet: bool = False
    low_rank: bool = True
    labels: bool = True


VISUAL = Stage("visual", learns=("visual",))
TEXT = Stage("text", learns=("text",))
TEXT_WITH_TRIPLET = Stage("text", learns=("text",), triplet=True)
JOINT = Stage("joint", learns=("visual", "text"))

UNLABELLED = Stage("unlabelled", learns=("visual",), low_rank=False, labels=False)

NO_PROMPTS = {"visual_tokens": 0, "text_tokens": 0}


class MakeCache(Protocol):
    """Makes what a method stores of the training crops, such as Tip-Adapter's features and labels."""

    def __call__(self, clip: OpenDASCLIP, features: Tensor, labels: Tensor, texts: Sequence[str]) -> FeatureCache:
        """Returns the cache to keep in the adapter.

        Args:
            clip: as the stages left it, without a cache.
            features: (M, D) float32 features of the training crops by ``clip``, on its device.
            labels: (M,) int64, the place of each crop's name among ``texts``.
            texts: of the training names, in the template.
        """


@dataclass(frozen=True)
class Method:
    """What every module of this package offers as ``METHOD``, and a package outside by its entry point.

    Args:
        stages: in order; none where nothing is learnt.
        recipe: the recipe fields that its paper or its code fixes, nested as in a recipe file. A user's recipe and
            flags go before them; what is in none of the three has the default of
            :class:`~opendas_plugin.train.config.TrainConfig`.
        cache: makes what is stored behind the last stage, or in place of any; None: nothing is.
    """

    stages: tuple[Stage, ...]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    cache: MakeCache | None = None

    @property
    def prompts(self) -> PromptConfig:
        """The learnt tokens that the method is published with."""
        return PromptConfig(**self.recipe.get("prompts", {}))

    @property
    def weights(self) -> WeightConfig:
        """The learnt weights that the method is published with."""
        return WeightConfig(**self.recipe.get("weights", {}))

    def store(self, clip: OpenDASCLIP, features: Tensor, labels: Tensor, texts: Sequence[str]) -> None:
        """Puts the method's cache, if it has one, into ``clip``, from where it is saved with the adapter.

        Args:
            clip: without a cache, on the device to use.
            features: (M, D) features of the training crops by ``clip``.
            labels: (M,) int64, the place of each crop's name among ``texts``.
            texts: of the training names, in the template.

        Raises:
            DataError: features and labels of unequal number, or a label that is no place of a text.
        """
        import torch

        if self.cache is None:
            return
        if len(features) != len(labels):
            raise DataError(f"expected a label for each of {len(features)} features, got {len(labels)}")
        if not ((labels >= 0) & (labels < len(texts))).all():
            raise DataError(f"expected labels from 0 to {len(texts) - 1}, the places of the texts, got others")
        with torch.no_grad():
            clip.keep(self.cache(clip, features.float(), labels.to(features.device), texts))
