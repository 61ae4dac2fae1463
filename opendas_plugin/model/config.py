"""What an adapter is made of, and what its ``adapter_config.json`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from opendas_plugin.errors import AdapterError, ConfigError

FORMAT_VERSION = 1


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
    format_version: int = FORMAT_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return asdict(self) | {"base_names": list(self.base_names)}

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
            if not isinstance(values[name], kind):
                raise AdapterError(f"{source}: {name} is {values[name]!r}; the adapter is damaged")
        _check_fields(PromptConfig, values["prompts"], f"{source}, prompts")
        try:
            prompts = PromptConfig(**values["prompts"])
        except (ConfigError, TypeError) as error:
            raise AdapterError(f"{source}: {error}; the adapter is damaged") from error
        return cls(**{**values, "prompts": prompts, "base_names": tuple(values["base_names"])})


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
}


def _check_fields(cls: type, values: Mapping[str, Any], source: str) -> None:
    expected = {f.name for f in fields(cls)}
    if missing := sorted(expected - values.keys()):
        raise AdapterError(f"{source} lacks {', '.join(missing)}; the adapter is damaged")
    if unknown := sorted(values.keys() - expected):
        raise AdapterError(f"{source} has unknown fields {', '.join(unknown)}; the adapter is damaged")
