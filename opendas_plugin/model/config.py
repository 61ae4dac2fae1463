"""What an adapter is made of, and what it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from opendas_plugin.errors import ConfigError
from opendas_plugin.model.bounds import (
    MAX_ENTRIES,
    MAX_LAYERS,
    MAX_RANK,
    MAX_TOKENS,
    check_number,
    check_text,
    check_whole,
    shortened,
)

PREFIX = "opendas:"
"""What the name of an adapter begins with where names of plain CLIPs are expected, and may begin with elsewhere."""
Precision = Literal["fp32", "fp16"]
"""Of the numbers in exported graphs."""
PromptForm = Literal["independent", "coupled", "read_only", "conditional", "factored"]
WeightKind = Literal[
    "frozen",
    "all",
    "norm",
    "norm_bias",
    "low_rank",
    "low_rank_all",
    "low_rank_mlp_out",
    "norm+low_rank",
    "norm+low_rank_all",
    "norm+low_rank_mlp_out",
    "norm_bias+low_rank",
    "norm_bias+low_rank_all",
    "norm_bias+low_rank_mlp_out",
]


@dataclass(frozen=True)
class PromptConfig:
    """The learnt tokens of both towers; 0 tokens in a tower leave it as it is.

    Raises:
        ConfigError: a count or depth is out of range, or the context or initialisation is not known.
    """

    visual_tokens: int = 8
    """Tokens per layer of the visual tower."""
    text_tokens: int = 4
    """Tokens per layer of the text tower."""
    visual_depth: int | None = None
    """Visual layers, from the first, that have their own tokens; None: all."""
    text_depth: int | None = None
    """Text layers, from the first, that have their own tokens; None: all."""
    context: str = "a photo of a"
    """Words whose embeddings the text tokens of the first layer start from, and whose place they take."""
    deep_text_init: Literal["normal", "zero_shot"] = "normal"
    """Start of the later layers' text tokens: noise (the paper), or the frozen states of the context."""
    init_std: float = 0.02
    """Standard deviation of the noise that tokens start from."""
    form: PromptForm = "independent"
    """independent: tokens of their own in each tower; coupled: the visual ones are linear in the text ones (MaPLe);
    read_only: pairs that read the frozen tokens and are read by none (RPO); conditional: the text ones of the first
    layer, moved by the image (CoCoOp); factored: of rank 1, with one column in common to both towers (MMLoP), in the
    first 9 layers if not in fewer."""

    def __post_init__(self) -> None:
        for name in ("visual_tokens", "text_tokens"):
            check_whole(name, getattr(self, name), 0, MAX_TOKENS)
        for name in ("visual_depth", "text_depth"):
            if (depth := getattr(self, name)) is not None:
                check_whole(f"{name}, if not None for all layers,", depth, 1, MAX_LAYERS)
        check_text("context", self.context)
        check_number("init_std", self.init_std)
        if self.form not in get_args(PromptForm):
            raise ConfigError(
                f"expected form to be one of {', '.join(get_args(PromptForm))}, got {shortened(self.form)}"
            )
        if self.deep_text_init not in ("normal", "zero_shot"):
            raise ConfigError(f"expected deep_text_init to be 'normal' or 'zero_shot', got {self.deep_text_init!r}")
        if not self.init_std > 0:
            raise ConfigError(f"expected init_std to be above 0, got {self.init_std}")
        counts = self.visual_tokens, self.text_tokens
        if self.form in ("coupled", "read_only", "factored") and (counts[0] != counts[1] or not all(counts)):
            raise ConfigError(f"{self.form} prompts are pairs: expected as many visual as text tokens, got {counts}")
        if self.form == "conditional" and (self.visual_tokens or self.text_depth != 1):
            raise ConfigError("conditional prompts are text tokens of the first layer: visual_tokens 0, text_depth 1")


@dataclass(frozen=True)
class WeightConfig:
    """Which of the towers' weights have learnt counterparts.

    Raises:
        ConfigError: a kind that does not exist, a rank below 1, or a mix outside 0 to 1.
    """

    visual: WeightKind = "frozen"
    """Of the visual tower: none (frozen), all, those of LayerNorms (norm) and all biases (norm_bias), or low-rank
    updates of query, key and value (low_rank), of every matrix of the layers (low_rank_all) or of the last one of each
    MLP (low_rank_mlp_out); norm or norm_bias, a plus and a low-rank kind is both."""
    text: WeightKind = "frozen"
    """Likewise of the text tower."""
    rank: int = 2
    """Rank of each low-rank update."""
    alpha: float = 1.0
    """Low-rank updates are scaled by alpha / sqrt(rank)."""
    mix: float = 1.0
    """Share of the learnt weights after training, the rest is the frozen ones (WiSE-FT's alpha)."""

    def __post_init__(self) -> None:
        for tower in ("visual", "text"):
            if getattr(self, tower) not in get_args(WeightKind):
                kinds = ", ".join(get_args(WeightKind))
                raise ConfigError(
                    f"expected weights of the {tower} tower to be one of {kinds}, got {getattr(self, tower)!r}"
                )
        check_whole("rank", self.rank, 1, MAX_RANK)
        check_number("alpha", self.alpha)
        check_number("mix", self.mix, 0, 1)


@dataclass(frozen=True)
class Interpolation:
    """Share of the adapted feature in each tower's; the rest is the frozen one's. 1 is the adapter, 0 plain CLIP.

    Raises:
        ConfigError: a share outside 0 to 1.
    """

    visual: float = 1.0
    text: float = 1.0

    def __post_init__(self) -> None:
        for tower in ("visual", "text"):
            check_number(f"interpolation.{tower}", getattr(self, tower), 0, 1)


@dataclass(frozen=True)
class CacheConfig:
    """How stored features move those of images (:class:`~opendas_plugin.model.cache.FeatureCache`); 0 entries: not.

    Raises:
        ConfigError: a count below 0, or a sharpness that is not above 0.
    """

    entries: int = 0
    """Stored features."""
    strength: float = 1.0
    """Weight of what is added to an image feature of unit length."""
    sharpness: float = 5.5
    """How fast an entry's weight falls with its distance from the image."""

    def __post_init__(self) -> None:
        check_whole("cache.entries", self.entries, 0, MAX_ENTRIES)
        check_number("cache.strength", self.strength)
        check_number("cache.sharpness", self.sharpness)
        if not self.sharpness > 0:
            raise ConfigError(f"expected cache.sharpness to be above 0, got {self.sharpness}")


@dataclass(frozen=True)
class BackboneConfig:
    """Where a backbone's weights come from."""

    name: str
    """An open_clip model name, an OpenAI-format file, a folder of transformers or open_clip, or ``office-tiny``."""
    pretrained: str | None = None
    """open_clip's tag, a weight file or folder as given, or None: random weights (or the ones that ``name`` brings)."""
    seed: int | None = None
    """Seed that random weights are rebuilt from; None for weights that were read."""
    tokenizer: str | None = None
    """Folder of its tokenizer's files; None: the one that ``name`` says."""

    @property
    def title(self) -> str:
        """The backbone in words, for messages."""
        if self.pretrained is not None:
            return f"{self.name} with {self.pretrained}"
        return f"{self.name} with random weights of seed {self.seed}" if self.seed is not None else self.name
