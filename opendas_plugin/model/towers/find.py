"""Which kind of tower each of a model's is: the one place that tells families of models apart."""

from __future__ import annotations

from open_clip.transformer import ResidualAttentionBlock, Transformer, VisionTransformer

from opendas_plugin.model.tower import Towers
from opendas_plugin.model.towers.own_forward import OwnText, OwnVisual
from opendas_plugin.model.towers.parts import OpenCLIP, pool_type, text_blocks, text_module, visual_blocks
from opendas_plugin.model.towers.plain_text import PlainText
from opendas_plugin.model.towers.plain_visual import PlainVisual


def find_towers(model: OpenCLIP) -> Towers:
    """Returns the towers of an open_clip model: the fast ones where they compute what the model does, else its own."""
    lacking_visual, lacking_text = _visual_lacks(model), _text_lacks(model)
    return Towers(
        OwnVisual(model, lacking_visual) if lacking_visual else PlainVisual(model),
        OwnText(model, lacking_text) if lacking_text else PlainText(model),
    )


def _visual_lacks(model: OpenCLIP) -> str | None:
    """What the visual tower lacks that tokens need, as "it lacks" goes on; None: nothing."""
    visual = model.visual
    if not isinstance(visual, VisionTransformer):
        kind = type(getattr(visual, "trunk", visual)).__name__
        return f"a transformer as visual tower with a class token (it has {kind})"
    if visual.attn_pool is not None or visual.pool_type != "tok":
        return f"class-token pooling (its visual pooling is {'attention' if visual.attn_pool else visual.pool_type!r})"
    if not _are_plain(visual_blocks(model)):
        return "plain attention blocks in the visual tower (they normalise or scale inside the attention)"
    return None


def _text_lacks(model: OpenCLIP) -> str | None:
    text = text_module(model)
    if not isinstance(getattr(text, "transformer", None), Transformer):
        return f"open_clip's own text transformer (it has {type(text).__name__})"
    if not _are_plain(text_blocks(model)):
        return "plain attention blocks in the text tower (they normalise or scale inside the attention)"
    if text.attn_mask is None:
        return "a causal mask in the text tower"
    if pool_type(text) not in ("argmax", "eos") or len(text.positional_embedding) != model.context_length:
        return "a text feature that is read at the end-of-text token"
    return None


def _are_plain(blocks: list[object]) -> bool:
    return all(type(block) is ResidualAttentionBlock for block in blocks)
