"""The facts of one of open_clip's models, read from the model itself."""

from __future__ import annotations

from typing import Any

import open_clip

from opendas_plugin.model.facts import BackboneFacts
from opendas_plugin.model.tokenizer_files import OWN_TOKENIZER
from opendas_plugin.model.towers.layers import activations, heads
from opendas_plugin.model.towers.parts import OpenCLIP, end_token, image_shape, pool_type, text_module


def facts_of(model: OpenCLIP, name: str) -> BackboneFacts | None:
    """Returns the facts of a model; ``name`` is open_clip's, or another.

    None: the model was made by hand and does not say what pixels it takes.
    """
    pixels, text = getattr(model.visual, "preprocess_cfg", None), text_module(model)
    if pixels is None:
        return None
    own = getattr(model, "tokenizer_folder", None)
    return BackboneFacts(
        mean=tuple(pixels["mean"]),
        std=tuple(pixels["std"]),
        interpolation=pixels["interpolation"],
        resize_mode=pixels["resize_mode"],
        image_size=image_shape(model),
        context_length=model.context_length,
        tokenizer=tokenizer_name(name) if own is None else own.fact,
        visual_activation=activations(model.visual),
        text_activation=activations(text.transformer),
        visual_heads=heads(model.visual),
        text_heads=heads(text.transformer),
        text_end=_text_end(text),
    )


def tokenizer_name(name: str) -> str:
    """Returns what makes the token ids of a backbone of this name."""
    config = (open_clip.get_model_config(name.replace("/", "-")) or {}).get("text_cfg", {})
    return str(config.get("hf_tokenizer_name") or OWN_TOKENIZER)


def _text_end(text: Any) -> str:
    rule = pool_type(text)
    if rule == "eos":
        return f"at token {end_token(text)}"
    known = {"argmax": "at the largest token", "last": "at the last place", "first": "at the first place"}
    return known.get(rule, f"by {rule}")
