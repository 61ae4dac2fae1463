"""Adapter folders, read as strictly as ``opendas_plugin`` reads them but without it, and the CLIP that they fit."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from integrations.ovseg.errors import OVSegError
from integrations.ovseg.model import Clip, ClipAdapter

LOGGER = logging.getLogger(__name__)

FILES = CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter.safetensors"
FORMAT_VERSION = 3
FIELDS = (
    "backbone", "pretrained", "backbone_seed", "backbone_sha256", "prompts", "method", "template", "crop_policy",
    "base_names", "training", "package_version", "format_version",
)  # fmt: skip
PROMPT_FIELDS = (
    "visual_tokens", "text_tokens", "visual_depth", "text_depth", "context", "deep_text_init", "init_std",
)  # fmt: skip
ADDED, PROMPT_ADDED = ("weights", "interpolation", "calibration", "cache", "backbone_facts"), ("form",)
"""What the formats 2 and 3 added; absent where it says nothing."""
KINDS = {"backbone": str, "backbone_sha256": str, "prompts": dict, "crop_policy": dict}  # of the fields used here
MAX_CONFIG = 32 << 20
TOWERS = ("visual", "text")
REGION_SIZE = 224
"""Side in pixels of OVSeg's mask regions; it is hard-coded there."""


@dataclass(frozen=True)
class Adapter:
    """The learnt tokens of both towers, and what they were learnt on."""

    folder: Path
    config: Mapping[str, Any]
    """``adapter_config.json``."""
    visual: torch.Tensor | None
    """(depth, n, width) float32, or None for 0 tokens."""
    text: torch.Tensor | None
    """(depth, n, width) float32, or None for 0 tokens."""

    @property
    def is_identity(self) -> bool:
        """Whether nothing was learnt, so that the host's numbers stay."""
        return self.visual is None and self.text is None

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
        OVSegError: it is missing, damaged, of a newer format, or holds something other than tokens.
    """
    folder = Path(folder)
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise OVSegError(f"{folder} is no adapter: it has no {path.name}; give the folder that opendas-train wrote")
    try:
        if path.stat().st_size > MAX_CONFIG:
            raise ValueError(f"it is larger than {MAX_CONFIG >> 20} MiB")
        config = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise OVSegError(f"{path} could not be read ({error}); the adapter is damaged") from error
    _check_config(config, path)
    tensors = _read_tensors(folder / WEIGHTS_FILE, config["prompts"])
    return Adapter(folder, config, tensors.get("visual_prompts.tokens"), tensors.get("text_prompts.tokens"))


def check_fits(adapter: Adapter, clip_model: Clip) -> None:
    """Checks that an adapter's tokens can stand in a CLIP of OVSeg.

    Raises:
        OVSegError: widths, layers, patch or input size differ; the message names both sides.
    """
    visual, text = clip_model.visual, clip_model.transformer
    if not hasattr(visual, "class_embedding"):
        raise OVSegError(
            f"OVSeg's CLIP has a {type(visual).__name__} as visual tower, but the adapter {adapter.folder} was learnt "
            f"on {adapter.backbone}; set MODEL.CLIP_ADAPTER.CLIP_MODEL_NAME to that backbone"
        )
    patch, size = _geometry(adapter)
    host = {"visual width": visual.conv1.weight.shape[0], "visual layers": len(visual.transformer.resblocks),
            "text width": text.width, "text layers": len(text.resblocks),
            "patch size": visual.conv1.weight.shape[-1], "input size": visual.input_resolution}  # fmt: skip
    own = {"patch size": patch, "input size": size}
    for tower, tokens in (("visual", adapter.visual), ("text", adapter.text)):
        if tokens is not None:
            own[f"{tower} width"] = tokens.shape[-1]
            prompts = adapter.config["prompts"]
            whole = prompts[f"{tower}_depth"] is None and not adapter.reads
            whole = whole and (tower == "visual" or not _is_coupled(prompts))
            own[f"{tower} layers"] = len(tokens) if whole or len(tokens) > host[f"{tower} layers"] else None
    for name, expected in own.items():
        if expected is not None and expected != host[name]:
            raise OVSegError(
                f"the adapter {adapter.folder} was learnt on {adapter.backbone} with {name} {expected}, but OVSeg's "
                f"CLIP has {name} {host[name]}; {_advice(size)}"
            )
    if host["input size"] != REGION_SIZE:
        raise OVSegError(
            f"OVSeg cuts regions of {REGION_SIZE} pixels, but its CLIP reads {host['input size']}; {_advice(size)}"
        )


def check_facts(adapter: Adapter, clip_adapter: ClipAdapter) -> None:
    """Checks that OVSeg reads pixels and texts as the backbone did that an adapter was learnt on.

    Raises:
        OVSegError: pixel statistics, activation, heads or context differ; the message names both sides.
    """
    facts, clip_model = adapter.config.get("backbone_facts"), clip_adapter.clip_model
    if facts is None:
        LOGGER.warning(
            "%s was written before adapters said how their backbone reads pixels and texts; it is used as OVSeg's CLIP "
            "reads them, unchecked",
            adapter.folder,
        )
        return
    host: dict[str, Any] = {"tokenizer": "open_clip", "context_length": clip_model.context_length}
    for tower, transformer in (("visual", clip_model.visual.transformer), ("text", clip_model.transformer)):
        block = transformer.resblocks[0]
        quick = any(type(part).__name__ == "QuickGELU" for part in block.mlp.modules())
        host |= {f"{tower}_activation": "quick_gelu" if quick else "gelu", f"{tower}_heads": block.attn.num_heads}
    for name in ("mean", "std"):
        values = getattr(clip_adapter, f"pixel_{name}", None)
        if values is not None:
            host[name] = [round(value, 4) for value in (values.flatten() / 255).tolist()]
            facts = {**facts, name: [round(float(value), 4) for value in facts[name]]}
    for name, value in host.items():
        if facts[name] != value:
            raise OVSegError(
                f"the adapter {adapter.folder} was learnt on {adapter.backbone} with {name} {facts[name]}, but OVSeg's "
                f"CLIP has {value}; use an adapter on a CLIP that reads as OVSeg's does"
            )


def clip_sha256(clip_model: Clip) -> str:
    """Returns the hash of a CLIP's weights, equal to ``backbone_sha256`` of the same weights in an adapter.

    OVSeg's own mask tokens, which no other CLIP has, do not count.
    """
    digest = hashlib.sha256()
    for key, tensor in sorted(clip_tensors(clip_model).items()):
        digest.update(f"{key} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def clip_tensors(clip_model: Clip) -> dict[str, torch.Tensor]:
    """Returns the weights of OVSeg's CLIP by name, without its mask tokens."""
    return {key: value for key, value in clip_model.state_dict().items() if key != "visual.mask_embedding"}


def tokens_sha256(tokens: torch.Tensor | None) -> str:
    """Returns the hash of learnt tokens, or an empty string for none."""
    return "" if tokens is None else hashlib.sha256(tokens.float().cpu().contiguous().numpy().tobytes()).hexdigest()


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


def _check_method(config: Mapping[str, Any], path: Path) -> None:
    """Refuses what OVSeg cannot be given: anything but tokens in the towers."""
    form, name = config["prompts"].get("form", "independent"), f"{path.parent} (method {config['method']})"
    if form == "conditional":
        raise OVSegError(
            f"{name} has no text features of its own, since they depend on the image, but OVSeg encodes its names "
            "once; choose an adapter of another method"
        )
    if any(config.get("weights", {}).get(tower, "frozen") != "frozen" for tower in ("visual", "text")):
        raise OVSegError(
            f"{name} has learnt weights, which are plain CLIP: export it by opendas-export --to openai-clip, and give "
            "the file as MODEL.CLIP_ADAPTER.CLIP_MODEL_NAME"
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


def _read_tensors(path: Path, prompts: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    try:
        tensors = load_file(str(path))
    except Exception as error:  # safetensors' kinds of error differ between its versions
        raise OVSegError(f"{path} could not be read ({error}); the adapter is damaged") from error
    expected = {f"{tower}_prompts.tokens" for tower in ("visual", "text") if prompts[f"{tower}_tokens"]}
    if _is_coupled(prompts):
        expected = {"text_prompts.tokens", "visual_prompts.weight", "visual_prompts.bias"}
    if expected - set(tensors):
        raise OVSegError(f"{path} lacks {', '.join(sorted(expected - set(tensors)))}; the adapter is damaged")
    if set(tensors) - expected:
        raise OVSegError(
            f"{path} holds {', '.join(sorted(set(tensors) - expected))}, which OVSeg cannot be given; expected learnt "
            "tokens, as the method opendas makes them"
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


def _geometry(adapter: Adapter) -> tuple[int | None, int | None]:
    """Patch and input size of the adapter's backbone, as far as its name and crops tell."""
    match = re.match(r"ViT-[A-Za-z0-9]+[-/](\d+)(?:.*?[-@](\d{3})(?!\d))?", adapter.config["backbone"])
    patch = int(match.group(1)) if match else None
    size = adapter.config["crop_policy"].get("size")
    if size is None and match:
        size = int(match.group(2) or REGION_SIZE)
    return patch, size


def _advice(size: int | None) -> str:
    if size not in (None, REGION_SIZE):
        return f"train the adapter on a backbone of {REGION_SIZE} pixels"
    return "set MODEL.CLIP_ADAPTER.CLIP_MODEL_NAME to the adapter's backbone"
