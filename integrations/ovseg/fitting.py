"""Whether an adapter fits the CLIP of an OVSeg model: its shape, what it reads, its weights, and the regions cut."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from integrations.ovseg.adapter import TOWERS, Adapter
from integrations.ovseg.errors import OVSegError
from integrations.ovseg.model import Clip, ClipAdapter

LOGGER = logging.getLogger(__name__)
REGION_SIZE = 224
"""Side in pixels of OVSeg's mask regions; it is hard-coded there."""
MODELS = "ovseg_swinB_vitL_... for ViT-L/14, ovseg_R101c_vitB_... for ViT-B/16"


def check_fits(adapter: Adapter, clip_model: Clip) -> None:
    """Checks that an adapter's tokens can stand in a CLIP of OVSeg.

    Raises:
        OVSegError: widths, layers, patch or input size differ; the message names both sides.
    """
    visual, text = clip_model.visual, clip_model.transformer
    if not hasattr(visual, "class_embedding"):
        raise OVSegError(
            f"OVSeg's CLIP has a {type(visual).__name__} as visual tower, but the adapter {adapter.folder} was learnt "
            f"on {adapter.backbone}; {_advice(None)}"
        )
    patch, size = _geometry(adapter)
    host = {"visual width": visual.conv1.weight.shape[0], "visual layers": len(visual.transformer.resblocks),
            "text width": text.width, "text layers": len(text.resblocks),
            "patch size": visual.conv1.weight.shape[-1], "input size": visual.input_resolution}  # fmt: skip
    own = {"patch size": patch, "input size": size}
    for tower, tokens in zip(TOWERS, (adapter.visual, adapter.text)):
        if tokens is not None:
            own[f"{tower} width"] = tokens.shape[-1]
            if tower == "text" and adapter.is_coupled:
                continue  # those of layers behind the text tower's last move the visual tower's alone
            whole = adapter.config["prompts"][f"{tower}_depth"] is None and not adapter.reads
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
        host[f"{tower}_activation"] = "quick_gelu" if quick else "gelu"
        host[f"{tower}_heads"] = block.attn.num_heads
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


def crop_differences(policy: Mapping[str, Any], clip_adapter: ClipAdapter) -> str:
    """What differs between the crops that an adapter was trained on and OVSeg's regions; an empty text: nothing.

    Args:
        policy: the adapter's ``crop_policy``.
        clip_adapter: OVSeg's ``MaskFormerClipAdapter``.

    Returns:
        for instance "resize center and here squash, expand 0.3 and here 0.0".
    """
    fill = [round(float(value), 2) for value in clip_adapter.mask_fill]
    mean = [round(float(value), 2) for value in clip_adapter.pixel_mean.flatten().tolist()]
    background = "mean" if fill == mean else f"the colour {fill}"
    if clip_adapter.mask_matting:
        background += ", blended by the mask's probabilities"
    expand = round(clip_adapter.mask_expand_ratio - 1.0, 4)
    here = {"background": background, "expand": expand, "resize": "squash", "size": REGION_SIZE}
    return ", ".join(
        f"{name} {policy.get(name)} and here {value}" for name, value in here.items() if policy.get(name) != value
    )


def say_crops(adapter: Adapter, clip_adapter: ClipAdapter) -> None:
    """Warns where an adapter was trained on crops other than OVSeg's regions."""
    policy = adapter.config["crop_policy"]
    if adapter.is_identity:
        return
    if not policy:
        LOGGER.warning("%s does not say which crops it was trained on; OVSeg's may be others", adapter.folder)
        return
    differences = crop_differences(policy, clip_adapter)
    if differences:
        LOGGER.warning(
            "the adapter %s was trained on other crops than OVSeg's regions (%s), on which it may do worse; train one "
            "with opendas-train --recipe ovseg",
            adapter.folder, differences,
        )  # fmt: skip


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


def text_sha256(adapter: Adapter) -> str:
    """Returns the hash of what was learnt in the text tower, or an empty string for nothing."""
    found = tokens_sha256(adapter.text)
    mine = {key: value for key, value in adapter.weights.items() if key.startswith("text_weights.")}
    if mine:
        config = adapter.config["weights"]
        parts = [f"{key} {tokens_sha256(value)}" for key, value in sorted(mine.items())]
        parts += [str(config[name]) for name in ("text", "rank", "alpha", "mix")]
        found += " weights " + hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return found


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
    return f"use an adapter that was trained on this CLIP, or the OVSeg model that has the adapter's ({MODELS})"
