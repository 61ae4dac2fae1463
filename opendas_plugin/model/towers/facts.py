"""The facts of one of open_clip's models, read from the model itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import open_clip

from opendas_plugin.model.facts import BackboneFacts
from opendas_plugin.model.placing import Frame
from opendas_plugin.model.tokenizer_files import OWN_TOKENIZER
from opendas_plugin.model.towers.layers import activations, heads
from opendas_plugin.model.towers.parts import OpenCLIP, end_token, image_shape, pool_type, text_module

_FRAMES = (  # of Hugging Face tokenizers, by their names
    (r"timm/ViT-\S+-SigLIP2\b.*", Frame(None, 1, 0)),
    (r"timm/ViT-\S+-SigLIP\b.*", Frame(None, 1, 1)),
    (r"bert-base-uncased", Frame(101, 0, 0)),  # CLIPA has its separator replaced by padding
    (r"facebook/xlm-v-base|(?:xlm-)?roberta-(?:base|large)", Frame(0, 2, 1)),
    (r"google/mt5-\w+", Frame(None, 1, 0)),
)


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
    return str(text_config(name).get("hf_tokenizer_name") or OWN_TOKENIZER)


def text_config(name: str) -> Mapping[str, Any]:
    """Returns open_clip's configuration of the text tower of a model of this name; empty for no model of it."""
    return (open_clip.get_model_config(name.replace("/", "-")) or {}).get("text_cfg", {})


def known_frame(tokenizer: str) -> Frame | None:
    """Returns the ids that a Hugging Face tokenizer puts around texts, as open_clip asks it; None: not known."""
    return next((frame for names, frame in _FRAMES if re.fullmatch(names, tokenizer)), None)


def _text_end(text: Any) -> str:
    rule = pool_type(text)
    if rule == "eos":
        return f"at token {end_token(text)}"
    known = {"argmax": "at the largest token", "last": "at the last place", "first": "at the first place"}
    return known.get(rule, f"by {rule}")
