"""Open_clip's models (3.x): which of them have towers that can carry learnt tokens, and where these lie in them."""

from __future__ import annotations

from typing import Any, TypeAlias

from open_clip.transformer import ResidualAttentionBlock, TextTransformer, Transformer, VisionTransformer

from opendas_plugin.errors import BackboneError

OpenCLIP: TypeAlias = Any
"""An open_clip ``CLIP`` or ``CustomTextCLIP``; open_clip ships no types."""


def require_promptable(model: OpenCLIP, name: str = "this model") -> None:
    """Checks that both towers of an open_clip model can carry learnt tokens.

    Raises:
        BackboneError: they cannot; the message says what the model lacks.
    """
    if lacking := _lacking(model):
        raise unpromptable(name, lacking)


def unpromptable(name: str, lacking: str) -> BackboneError:
    """Returns the error for a model that lacks what learnt tokens need."""
    return BackboneError(
        f"{name} cannot carry learnt tokens: it lacks {lacking}; choose a plain ViT backbone such as ViT-B-16"
    )


def text_module(model: OpenCLIP) -> Any:
    """Returns the module that holds the text tower: ``model.text`` of a CustomTextCLIP, a CLIP itself."""
    return getattr(model, "text", model)


def visual_blocks(model: OpenCLIP) -> list[Any]:
    """Returns the visual tower's layers."""
    return list(model.visual.transformer.resblocks)


def text_blocks(model: OpenCLIP) -> list[Any]:
    """Returns the text tower's layers."""
    return list(text_module(model).transformer.resblocks)


def pool_type(text: Any) -> str:
    """Returns by what rule a module that holds a text tower finds the end of a text."""
    return text.pool_type if isinstance(text, TextTransformer) else text.text_pool_type


def end_token(text: Any) -> int:
    """Returns the id that ends a text, where the rule is to look for it."""
    return text.eos_id if isinstance(text, TextTransformer) else text.text_eos_id


def _lacking(model: OpenCLIP) -> str | None:
    visual, text = getattr(model, "visual", None), text_module(model)
    if not isinstance(visual, VisionTransformer):
        return f"a transformer as visual tower with a class token (it has {type(visual).__name__})"
    if visual.attn_pool is not None or visual.pool_type != "tok":
        return f"class-token pooling (its visual pooling is {'attention' if visual.attn_pool else visual.pool_type!r})"
    if not isinstance(getattr(text, "transformer", None), Transformer):
        return f"open_clip's own text transformer (it has {type(text).__name__})"
    if not all(type(block) is ResidualAttentionBlock for block in (*visual_blocks(model), *text_blocks(model))):
        return "plain attention blocks (they normalise or scale inside the attention)"
    if text.attn_mask is None:
        return "a causal mask in the text tower"
    if pool_type(text) not in ("argmax", "eos") or len(text.positional_embedding) != model.context_length:
        return "a text feature that is read at the end-of-text token"
    return None
