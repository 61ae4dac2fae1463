"""Adapter folders, read as strictly as ``opendas_plugin`` reads them but without it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from integrations.ovseg.errors import OVSegError
from integrations.ovseg.weights import is_learnt

FILES = CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter.safetensors"
FORMAT_VERSION = 4
FIELDS = (
    "backbone", "pretrained", "backbone_seed", "backbone_sha256", "prompts", "method", "template", "crop_policy",
    "base_names", "training", "package_version", "format_version",
)  # fmt: skip
PROMPT_FIELDS = (
    "visual_tokens", "text_tokens", "visual_depth", "text_depth", "context", "deep_text_init", "init_std",
)  # fmt: skip
ADDED, PROMPT_ADDED = (
    "weights", "interpolation", "calibration", "cache", "backbone_facts", "tokenizer", "tokenizer_sha256",
), ("form",)  # fmt: skip
"""What the formats from 2 on added; absent where it says nothing."""
KINDS = {"backbone": str, "backbone_sha256": str, "prompts": dict, "crop_policy": dict}  # of the fields used here
MAX_CONFIG = 32 << 20
TOWERS = ("visual", "text")
WEIGHT_FIELDS = ("visual", "text", "rank", "alpha", "mix")
WEIGHT_KINDS = (
    "frozen", "all", "norm", "norm_bias", *(f"{whole}low_rank{of}" for whole in ("", "norm+", "norm_bias+")
                                           for of in ("", "_all", "_mlp_out")),
)  # fmt: skip


@dataclass(frozen=True)
class Adapter:
    """What was learnt in both towers, tokens and weights, and what it was learnt on."""

    folder: Path
    config: Mapping[str, Any]
    """``adapter_config.json``."""
    visual: torch.Tensor | None
    """(depth, n, width) float32, or None for 0 tokens."""
    text: torch.Tensor | None
    """(depth, n, width) float32, or None for 0 tokens."""
    weights: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """What stands in for weights, by its name in the file; see :mod:`integrations.ovseg.weights`."""

    @property
    def is_identity(self) -> bool:
        """Whether nothing was learnt, so that the host's numbers stay."""
        return not any(self.is_learnt(tower) for tower in TOWERS)

    def is_learnt(self, tower: str) -> bool:
        """Whether anything was learnt in a tower."""
        return getattr(self, tower) is not None or is_learnt(self.config.get("weights"), tower)

    @property
    def is_coupled(self) -> bool:
        """Whether the visual tokens are linear in the text tokens of their layer (MaPLe)."""
        return _is_coupled(self.config["prompts"])

    @property
    def reads(self) -> bool:
        """Whether the tokens are read-only (RPO), and features longer than plain CLIP's."""
        return self.config["prompts"].get("form") == "read_only"

    def share(self, tower: str) -> float:
        """The share of the adapted feature in a tower's; the rest is plain CLIP's."""
        return self.config.get("interpolation", {}).get(tower, 1.0)

    @property
    def backbone(self) -> str:
        """What it was learnt on, in words."""
        pretrained = self.config["pretrained"]
        return self.config["backbone"] + (f" ({pretrained})" if pretrained else "")

    @property
    def backbone_sha256(self) -> str:
        """Hash of the weights that it was learnt on."""
        return self.config["backbone_sha256"]


def read_adapter(folder: str | os.PathLike) -> Adapter:
    """Reads an adapter folder.

    Raises:
        OVSegError: it is missing, damaged, of a newer format, or holds what OVSeg cannot be given.
    """
    folder = Path(folder)
    path = folder / CONFIG_FILE
    if not path.is_file() and (folder / "adapter" / CONFIG_FILE).is_file():
        raise OVSegError(f"{folder} is the folder of a run, not an adapter; give {folder / 'adapter'}")
    if not path.is_file():
        raise OVSegError(f"{folder} is no adapter: it has no {path.name}; give the folder that opendas-train wrote")
    try:
        if path.stat().st_size > MAX_CONFIG:
            raise ValueError(f"it is larger than {MAX_CONFIG >> 20} MiB")
        config = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise OVSegError(f"{path} could not be read ({error}); the adapter is damaged") from error
    _check_config(config, path)
    tensors = _read_tensors(folder / WEIGHTS_FILE, config)
    tokens = [tensors.pop(f"{tower}_prompts.tokens", None) for tower in TOWERS]
    return Adapter(folder, config, tokens[0], tokens[1], tensors)


def _check_config(config: Any, path: Path) -> None:
    if not isinstance(config, dict) or not isinstance(config.get("format_version"), int):
        raise OVSegError(f"{path} is no adapter's configuration: it has no format_version")
    if config["format_version"] > FORMAT_VERSION:
        raise OVSegError(
            f"{path} has format {config['format_version']}, but this package reads format {FORMAT_VERSION}; "
            "upgrade opendas-plugin"
        )
    _check_fields(config, FIELDS, ADDED, str(path))
    for name, kind in KINDS.items():
        if not isinstance(config[name], kind):
            raise OVSegError(f"{path}: {name} is {config[name]!r}; the adapter is damaged")
    for name in ("backbone", "pretrained", "method", "template"):
        if any(not character.isprintable() for character in str(config[name])):
            raise OVSegError(f"{path}: {name} is {ascii(config[name])[:80]}, no plain text; the adapter is damaged")
    _check_facts(config.get("backbone_facts"), path)
    prompts = config["prompts"]
    _check_fields(prompts, PROMPT_FIELDS, PROMPT_ADDED, f"{path}, prompts")
    _check_weights(config.get("weights"), path)
    _check_method(config, path)
    for name, least in (("tokens", 0), ("depth", 1)):
        for key in (f"visual_{name}", f"text_{name}"):
            whole = name == "depth" and prompts[key] is None
            if not whole and (not isinstance(prompts[key], int) or prompts[key] < least):
                raise OVSegError(f"{path}: expected {key} to be {least} or more, got {prompts[key]!r}")


def _check_facts(facts: Any, path: Path) -> None:
    """Only what is compared with OVSeg's own is looked at."""
    if facts is None:
        return
    names = (
        "mean",
        "std",
        "tokenizer",
        "context_length",
        *(f"{t}_{f}" for t in TOWERS for f in ("activation", "heads")),
    )
    try:
        fine = all(name in facts for name in names) and len([float(v) for v in (*facts["mean"], *facts["std"])]) == 6
    except (TypeError, ValueError):
        fine = False
    if not fine:
        raise OVSegError(f"{path}: backbone_facts is {ascii(facts)[:80]}; the adapter is damaged")


def _check_weights(weights: Any, path: Path) -> None:
    if weights is None:
        return
    kinds = isinstance(weights, dict) and all(weights.get(tower) in WEIGHT_KINDS for tower in TOWERS)
    numbers = kinds and all(isinstance(weights.get(name), (int, float)) for name in WEIGHT_FIELDS[2:])
    if not numbers or weights["rank"] < 1 or not 0 <= weights["mix"] <= 1:
        raise OVSegError(f"{path}: weights is {ascii(weights)[:80]}; the adapter is damaged")


def _check_method(config: Mapping[str, Any], path: Path) -> None:
    """Refuses what OVSeg cannot be given: anything but tokens and weights in the towers."""
    form, name = config["prompts"].get("form", "independent"), f"{path.parent} (method {config['method']})"
    if form == "conditional":
        raise OVSegError(
            f"{name} has no text features of its own, since they depend on the image, but OVSeg encodes its names "
            "once; choose an adapter of another method"
        )
    if config.get("cache", {}).get("entries"):
        raise OVSegError(
            f"{name} has stored features, which OVSeg cannot be given; choose an adapter of another method"
        )
    if form not in ("independent", "coupled", "read_only"):
        raise OVSegError(f"{name} has {form} prompts, which OVSeg cannot be given; choose an adapter of another method")


def _check_fields(values: Mapping[str, Any], expected: Sequence[str], added: Sequence[str], source: str) -> None:
    missing, unknown = sorted(set(expected) - set(values)), sorted(set(values) - {*expected, *added})
    if missing:
        raise OVSegError(f"{source} lacks {', '.join(missing)}; the adapter is damaged")
    if unknown:
        raise OVSegError(f"{source} has unknown fields {', '.join(unknown)}; the adapter is damaged")


def _read_tensors(path: Path, config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    prompts = config["prompts"]
    try:
        tensors = load_file(str(path))
    except Exception as error:  # safetensors' kinds of error differ between its versions
        raise OVSegError(f"{path} could not be read ({error}); the adapter is damaged") from error
    expected = {f"{tower}_prompts.tokens" for tower in ("visual", "text") if prompts[f"{tower}_tokens"]}
    if _is_coupled(prompts):
        expected = {"text_prompts.tokens", "visual_prompts.weight", "visual_prompts.bias"}
    if expected - set(tensors):
        raise OVSegError(f"{path} lacks {', '.join(sorted(expected - set(tensors)))}; the adapter is damaged")
    weighed = tuple(f"{tower}_weights." for tower in TOWERS if is_learnt(config.get("weights"), tower))
    strange = sorted(key for key in set(tensors) - expected if not key.startswith(weighed))
    if strange:
        raise OVSegError(
            f"{path} holds {', '.join(strange[:3])}, which {CONFIG_FILE} does not speak of; the adapter is damaged"
        )
    if _is_coupled(prompts):
        weight, bias = tensors.pop("visual_prompts.weight"), tensors.pop("visual_prompts.bias")
        try:
            tokens = torch.baddbmm(bias[:, None], tensors["text_prompts.tokens"], weight.transpose(1, 2))
        except (RuntimeError, IndexError) as error:
            raise OVSegError(
                f"{path}: the couplings do not fit the tokens ({error}); the adapter is damaged"
            ) from error
        tensors["visual_prompts.tokens"] = tokens
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise OVSegError(f"{path} holds values that are no numbers; the adapter is damaged")
    for tower in ("visual", "text"):
        read, depth = tensors.get(f"{tower}_prompts.tokens"), prompts[f"{tower}_depth"]
        if read is not None and (
            read.ndim != 3 or read.shape[1] != prompts[f"{tower}_tokens"] or len(read) != (depth or len(read))
        ):
            raise OVSegError(
                f"{path}: {tower}_prompts.tokens has shape {tuple(read.shape)}, expected ({depth or 'layers'}, "
                f"{prompts[f'{tower}_tokens']}, width); the adapter is damaged"
            )
    return tensors


def _is_coupled(prompts: Mapping[str, Any]) -> bool:
    """Whether the visual tokens are linear in the text tokens of their layer (MaPLe)."""
    return prompts.get("form") == "coupled"
