"""What an adapter's ``adapter_config.json`` says, written and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from typing import Any

from opendas_plugin.crops import CropPolicy
from opendas_plugin.errors import AdapterError, ConfigError
from opendas_plugin.model.bounds import check_number, check_plain, check_text, check_whole, shortened
from opendas_plugin.model.config import CacheConfig, Interpolation, PromptConfig, WeightConfig
from opendas_plugin.model.facts import BackboneFacts

FORMAT_VERSION = 4
"""1 for adapters of independent tokens alone; 2 for those that say more; 3 with the backbone's facts; 4 with the folder
of a tokenizer."""
MAX_NAMES = 100_000


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
    crop_policy: CropPolicy | None = None
    """How its training made inputs of masks; None: not known."""
    base_names: tuple[str, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    package_version: str = ""
    format_version: int = field(default=1, compare=False)  # it follows from the rest
    weights: WeightConfig = field(default_factory=WeightConfig)
    interpolation: Interpolation = field(default_factory=Interpolation)
    calibration: float = 0.0
    """What is taken from the cosines of base names where calibration is asked for."""
    cache: CacheConfig = field(default_factory=CacheConfig)
    backbone_facts: BackboneFacts | None = None
    """How the backbone read pixels and texts; None: not known, in adapters of the formats before 3."""
    tokenizer: str | None = None
    """Folder of the tokenizer's files, as given; None: the tokenizer that the backbone's name says."""
    tokenizer_sha256: str = ""
    """What that tokenizer is (:func:`~opendas_plugin.model.tokenizing.tokenizer_sha256`)."""

    def __post_init__(self) -> None:
        for name in ("backbone", "pretrained", "tokenizer"):
            if (value := getattr(self, name)) is not None:
                check_text(name, value, 4096)
        if self.backbone_seed is not None:
            check_whole("backbone_seed", self.backbone_seed, -(1 << 63), (1 << 63) - 1)
        for name in ("method", "package_version"):
            check_text(name, getattr(self, name), 100)
        check_text("template", self.template)
        if "{}" not in self.template or [c for c in self.template if c in "{}"] != ["{", "}"]:
            raise ConfigError(f'expected a template with one "{{}}" for the name, got {shortened(self.template)}')
        if len(self.base_names) > MAX_NAMES:
            raise ConfigError(f"expected at most {MAX_NAMES} base_names, got {len(self.base_names)}")
        for base in self.base_names:
            check_text("each of base_names", base)
        check_text("tokenizer_sha256", self.tokenizer_sha256, 64)
        check_number("calibration", self.calibration, -2, 2)
        check_plain("training", self.training)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values; what format 2 added is left out where it says nothing, and then it is format 1."""
        crops = {} if self.crop_policy is None else self.crop_policy.to_dict()
        values = asdict(self) | {"base_names": list(self.base_names), "crop_policy": crops}
        added = {f.name for f in _added(AdapterConfig) if getattr(self, f.name) == _default(f)}
        values = {name: value for name, value in values.items() if name not in added}
        if self.prompts.form == "independent":
            del values["prompts"]["form"]
        if self.backbone_facts is not None:
            version = 3 if self.tokenizer is None else 4
            return values | {"backbone_facts": self.backbone_facts.to_dict(), "format_version": version}
        plain = "form" not in values["prompts"] and not values.keys() & {f.name for f in _added(AdapterConfig)}
        return values | {"format_version": 4 if self.tokenizer is not None else 1 if plain else 2}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str) -> AdapterConfig:
        """Reads what :meth:`to_dict` wrote; ``source`` names the file in messages.

        Raises:
            AdapterError: a newer format, a missing or unknown field, or a field that cannot be used.
        """
        version = values.get("format_version") if isinstance(values, Mapping) else None
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            raise AdapterError(f"{source} is no adapter's configuration: it has no format_version")
        if version > FORMAT_VERSION:
            raise AdapterError(
                f"{source} has format {shortened(version)}, but this package reads format {FORMAT_VERSION}; "
                "upgrade opendas-plugin"
            )
        _check_fields(cls, values, source)
        for name, kind in _KINDS.items():
            if name in values and not isinstance(values[name], kind):
                raise AdapterError(f"{source}: {name} is {shortened(values[name])}; the adapter is damaged")
        parts = {name: kind for name, kind in _PARTS.items() if name in values}
        for name, part in parts.items():
            _check_fields(part, values[name], f"{source}, {name}")
        try:
            built = {name: part(**values[name]) for name, part in parts.items()}
            crops = CropPolicy.from_dict(values["crop_policy"]) if values["crop_policy"] else None
            return cls(**{**values, **built, "crop_policy": crops, "base_names": tuple(values["base_names"])})
        except (ConfigError, TypeError, ValueError, OverflowError) as error:
            raise AdapterError(f"{source}: {error}; the adapter is damaged") from error


_PARTS: dict[str, type] = {
    "prompts": PromptConfig,
    "weights": WeightConfig,
    "interpolation": Interpolation,
    "cache": CacheConfig,
    "backbone_facts": BackboneFacts,
}
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
    "calibration": float | int,
    "cache": dict,
    "backbone_facts": dict,
    "tokenizer": str | None,
    "tokenizer_sha256": str,
    "package_version": str,
}
_ADDED = {  # by the formats from 2 on
    AdapterConfig: (*_PARTS.keys() - {"prompts"}, "calibration", "tokenizer", "tokenizer_sha256"),
    PromptConfig: ("form",),
}


def _added(cls: type) -> list[Field[Any]]:
    return [f for f in fields(cls) if f.name in _ADDED.get(cls, ())]


def _default(f: Field[Any]) -> Any:
    return f.default if f.default_factory is MISSING else f.default_factory()


def _check_fields(cls: type, values: Mapping[str, Any], source: str) -> None:
    known = {f.name for f in fields(cls)}
    if missing := sorted(known - values.keys() - {f.name for f in _added(cls)}):
        raise AdapterError(f"{source} lacks {', '.join(missing)}; the adapter is damaged")
    if unknown := sorted(values.keys() - known):
        fields_ = ", ".join(shortened(name).strip("'") for name in unknown[:5])
        raise AdapterError(f"{source} has unknown fields {fields_}; the adapter is damaged")
