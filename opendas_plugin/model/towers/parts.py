"""Where the parts of open_clip's models (3.x) lie, whichever of its classes a model is of."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from open_clip.transformer import TextTransformer
from torch import nn

OpenCLIP: TypeAlias = Any
"""An open_clip ``CLIP``, ``CustomTextCLIP`` or ``CoCa``; open_clip ships no types."""


def text_module(model: OpenCLIP) -> Any:
    """Returns the module that holds the text tower: ``model.text`` where there is one, else the model itself."""
    return getattr(model, "text", model)


def visual_blocks(model: OpenCLIP) -> list[Any]:
    """Returns the layers of open_clip's own ViT."""
    return list(model.visual.transformer.resblocks)


def text_blocks(model: OpenCLIP) -> list[Any]:
    """Returns the layers of open_clip's own text transformer."""
    return list(text_module(model).transformer.resblocks)


def tower_weights(model: OpenCLIP, name: str) -> dict[str, torch.Tensor]:
    """Returns the weights of the tower ``visual`` or ``text`` by their names in the model, in its order.

    The logit scale and bias belong to neither, nor does the decoder of a CoCa.
    """
    if name == "visual" or "text" in model._modules:
        return {key: weight for key, weight in model.named_parameters() if key.startswith(f"{name}.")}
    return {key: weight for key, weight in model.named_parameters() if not key.startswith(("visual.", "logit_"))}


def token_embedding(model: OpenCLIP) -> nn.Embedding:
    """Returns the token table of the text tower."""
    text = text_module(model)
    return text.token_embedding if hasattr(text, "token_embedding") else text.transformer.get_input_embeddings()


def image_shape(model: OpenCLIP) -> tuple[int, int]:
    """Returns height and width of the input, in pixels; some of open_clip's towers hold one number for both."""
    size = model.visual.image_size
    return (size, size) if isinstance(size, int) else tuple(size)


def feature_width(model: OpenCLIP) -> int:
    """Returns D, values of a feature."""
    text = text_module(model)
    projection = getattr(text, "text_projection", None)
    if projection is None:  # the text tower is as wide as a feature, or a Hugging Face one, which says it
        return text.output_dim if hasattr(text, "output_dim") else text.token_embedding.weight.shape[1]
    return projection.out_features if isinstance(projection, nn.Linear) else projection.shape[1]


def pool_type(text: Any) -> str:
    """Returns by what rule a module that holds a text tower makes a feature of a text, in open_clip's words."""
    if getattr(text, "cls_emb", None) is not None:
        return "class"
    if hasattr(text, "pooler"):
        return type(text.pooler).__name__
    return text.pool_type if isinstance(text, TextTransformer) else text.text_pool_type


def end_token(text: Any) -> int:
    """Returns the id that ends a text, where the rule is to look for it."""
    return text.eos_id if isinstance(text, TextTransformer) else text.text_eos_id
