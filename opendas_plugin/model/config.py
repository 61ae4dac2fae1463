"""What an adapter is made of, and what its ``adapter_config.json`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from opendas_plugin.errors import AdapterError, ConfigError

FORMAT_VERSION = 2
"""1 for adapters of independent tokens alone; 2 for those that say more."""

PromptForm = Literal["independent", "coupled", "read_only", "conditional"]
WeightKind = Literal[
    "frozen",
    "all",
    "norm",
    "norm_bias",
    "low_rank",
    "low_rank_all",
    "low_rank_mlp_out",
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
    layer, moved by the image (CoCoOp)."""

    def __post_init__(self) -> None:
        for name in ("visual_tokens", "text_tokens"):
            count = getattr(self, name)
            if not isinstance(count, int) or count < 0:
                raise ConfigError(f"expected {name} to be 0 or more, got {count!r}")
        for name in ("visual_depth", "text_depth"):
            depth = getattr(self, name)
            if depth is not None and (not isinstance(depth, int) or depth < 1):
                raise ConfigError(f"expected {name} to be 1 or more, or None for all layers, got {depth!r}")
        if self.deep_text_init not in ("normal", "zero_shot"):
            raise ConfigError(f"expected deep_text_init to be 'normal' or 'zero_shot', got {self.deep_text_init!r}")
        if not self.init_std > 0:
            raise ConfigError(f"expected init_std to be above 0, got {self.init_std}")
        counts = self.visual_tokens, self.text_tokens
        if self.form in ("coupled", "read_only") and (counts[0] != counts[1] or not all(counts)):
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
    MLP (low_rank_mlp_out); with a plus, of both kinds."""
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
        if self.rank < 1:
            raise ConfigError(f"expected rank to be 1 or more, got {self.rank}")
        if not 0 <= self.mix <= 1:
            raise ConfigError(f"expected mix to be from 0 to 1, got {self.mix}")


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
            if not 0 <= getattr(self, tower) <= 1:
                raise ConfigError(f"expected interpolation.{tower} to be from 0 to 1, got {getattr(self, tower)}")


@dataclass(frozen=True)
class BackboneConfig:
    """Where a backbone's weights come from."""

    name: str
    """An open_clip model name, an OpenAI-format file, or ``office-tiny``."""
    pretrained: str | None = None
    """open_clip's tag, a weight file as given, or None: random weights (or the ones that ``name`` brings)."""
    seed: int | None = None
    """Seed that random weights are rebuilt from; None for weights that were read."""

    @property
    def title(self) -> str:
        """The backbone in words, for messages."""
        if self.pretrained is not None:
            return f"{self.name} with {self.pretrained}"
        return f"{self.name} with random weights of seed {self.seed}" if self.seed is not None else self.name


@dataclass(frozen=True)
class AdapterConfig:
    """The contents of ``adapter_config.json``: what the learnt tensors are, and what they were learnt from."""

    backbone: str
    pretrained: str | None
    backbone_seed: int | None
    backbone_sha256: str
    prompts: PromptConfig
    method: str = "opendas"
    template: str = "a photo of a {}."
    crop_policy: dict[str, Any] = field(default_factory=dict)
    base_names: tuple[str, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    package_version: str = ""
    format_version: int = field(default=1, compare=False)  # it follows from the rest
    weights: WeightConfig = field(default_factory=WeightConfig)
    interpolation: Interpolation = field(default_factory=Interpolation)
    calibration: float = 0.0
    """What is taken from the cosines of base names where calibration is asked for."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values; what format 2 added is left out where it says nothing, and then it is format 1."""
        values = asdict(self) | {"base_names": list(self.base_names)}
        added = {f.name for f in _added(AdapterConfig) if getattr(self, f.name) == _default(f)}
        values = {name: value for name, value in values.items() if name not in added}
        if self.prompts.form == "independent":
            del values["prompts"]["form"]
        plain = "form" not in values["prompts"] and not values.keys() & {f.name for f in _added(AdapterConfig)}
        return values | {"format_version": 1 if plain else FORMAT_VERSION}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str) -> AdapterConfig:
        """Reads what :meth:`to_dict` wrote; ``source`` names the file in messages.

        Raises:
            AdapterError: a newer format, a missing or unknown field, or a field that cannot be used.
        """
        if not isinstance(values, Mapping) or not isinstance(values.get("format_version"), int):
            raise AdapterError(f"{source} is no adapter's configuration: it has no format_version")
        if values["format_version"] > FORMAT_VERSION:
            raise AdapterError(
                f"{source} has format {values['format_version']}, but this package reads format {FORMAT_VERSION}; "
                "upgrade opendas-plugin"
            )
        _check_fields(cls, values, source)
        for name, kind in _KINDS.items():
            if name in values and not isinstance(values[name], kind):
                raise AdapterError(f"{source}: {name} is {values[name]!r}; the adapter is damaged")
        parts = {name: kind for name, kind in _PARTS.items() if name in values}
        for name, part in parts.items():
            _check_fields(part, values[name], f"{source}, {name}")
        try:
            built = {name: part(**values[name]) for name, part in parts.items()}
        except (ConfigError, TypeError) as error:
            raise AdapterError(f"{source}: {error}; the adapter is damaged") from error
        return cls(**{**values, **built, "base_names": tuple(values["base_names"])})


_PARTS: dict[str, type] = {"prompts": PromptConfig, "weights": WeightConfig, "interpolation": Interpolation}
_KINDS = {  # of the values in the file
    "backbone": str,
    "pretrained": str | None,
    "backbone_seed": int | None,
    "backbone_sha256": str,
    "prompts": dict,
    "method": str,
    "template": str,
    "crop_policy": dict,
    "base_names": list,
    "training": dict,
    "weights": dict,
    "interpolation": dict,
    "calibration": float,
}
_ADDED = {AdapterConfig: ("weights", "interpolation", "calibration"), PromptConfig: ("form",)}  # by format 2


def _added(cls: type) -> list[Field[Any]]:
    return [f for f in fields(cls) if f.name in _ADDED.get(cls, ())]


def _default(f: Field[Any]) -> Any:
    return f.default if f.default_factory is MISSING else f.default_factory()


def _check_fields(cls: type, values: Mapping[str, Any], source: str) -> None:
    known = {f.name for f in fields(cls)}
    if missing := sorted(known - values.keys() - {f.name for f in _added(cls)}):
        raise AdapterError(f"{source} lacks {', '.join(missing)}; the adapter is damaged")
    if unknown := sorted(values.keys() - known):
        raise AdapterError(f"{source} has unknown fields {', '.join(unknown)}; the adapter is damaged")
