"""The facts of one of open_clip's models, read from the model itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import open_clip
from open_clip.transformer import QuickGELU
from torch import nn

from opendas_plugin.model.facts import BackboneFacts
from opendas_plugin.model.openclip.plain import (
    OpenCLIP,
    end_token,
    pool_type,
    text_blocks,
    text_module,
    visual_blocks,
)

OWN_TOKENIZER = "open_clip"


def facts_of(model: OpenCLIP, name: str) -> BackboneFacts | None:
    """Returns the facts of a model whose towers can carry learnt tokens; ``name`` is open_clip's, or another.

    None: the model was made by hand and does not say what pixels it takes.
    """
    pixels, text = getattr(model.visual, "preprocess_cfg", None), text_module(model)
    if pixels is None:
        return None
    by_id = pool_type(text) != "argmax"
    return BackboneFacts(
        mean=tuple(pixels["mean"]),
        std=tuple(pixels["std"]),
        interpolation=pixels["interpolation"],
        resize_mode=pixels["resize_mode"],
        image_size=tuple(model.visual.image_size),
        context_length=model.context_length,
        tokenizer=tokenizer_name(name),
        visual_activation=_activation(visual_blocks(model)),
        text_activation=_activation(text_blocks(model)),
        visual_heads=visual_blocks(model)[0].attn.num_heads,
        text_heads=text_blocks(model)[0].attn.num_heads,
        text_end=f"at token {end_token(text)}" if by_id else "at the largest token",
    )


def tokenizer_name(name: str) -> str:
    """Returns what makes the token ids of a backbone of this name."""
    config = (open_clip.get_model_config(name.replace("/", "-")) or {}).get("text_cfg", {})
    return str(config.get("hf_tokenizer_name") or OWN_TOKENIZER)


def _activation(blocks: Sequence[Any]) -> str:
    found = blocks[0].mlp.gelu
    if isinstance(found, QuickGELU):
        return "quick_gelu"
    if isinstance(found, nn.GELU):
        return "gelu" if found.approximate == "none" else f"gelu_{found.approximate}"
    return type(found).__name__
