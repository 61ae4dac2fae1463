"""Which kind of tower each of a model's is: the one place that tells families of models apart."""

from __future__ import annotations

from typing import Any

from open_clip.transformer import (
    CustomResidualAttentionBlock,
    ResidualAttentionBlock,
    TextTransformer,
    Transformer,
    VisionTransformer,
)

from opendas_plugin.model.tower import TextTower, Towers, VisualTower
from opendas_plugin.model.towers.own_forward import OwnText, OwnVisual
from opendas_plugin.model.towers.parts import OpenCLIP, pool_type, text_blocks, text_module, visual_blocks
from opendas_plugin.model.towers.plain_text import PlainText
from opendas_plugin.model.towers.plain_visual import PlainVisual
from opendas_plugin.model.towers.pooled_visual import PooledVisual
from opendas_plugin.model.towers.timm_visual import TimmVisual
from opendas_plugin.model.towers.whole_text import WholeText


def find_towers(model: OpenCLIP) -> Towers:
    """Returns the towers of an open_clip model: the fast ones where they compute what the model does, else its own."""
    return Towers(_visual(model), _text(model))


def _visual(model: OpenCLIP) -> VisualTower:
    lacking = _plain_visual_lacks(model)
    if lacking is None:
        return PlainVisual(model)
    kinds = (kind for kind in (TimmVisual, PooledVisual) if kind.reads(model.visual))
    if (kind := next(kinds, None)) is not None:
        return kind(model, lacking)
    return OwnVisual(model, _no_tokens_in(model.visual), lacking)


def _text(model: OpenCLIP) -> TextTower:
    lacking, no_tokens = _plain_text_lacks(model), _no_tokens_in_text(model)
    if lacking is None:
        return PlainText(model)
    return WholeText(model, lacking) if no_tokens is None else OwnText(model, no_tokens, lacking)


def _plain_visual_lacks(model: OpenCLIP) -> str | None:
    """What the visual tower lacks for the fast forward, as "it lacks" goes on; None: nothing."""
    visual = model.visual
    if not isinstance(visual, VisionTransformer):
        return f"open_clip's own ViT as visual tower, with a class token (it has {_kind(visual)})"
    if visual.attn_pool is not None or visual.pool_type != "tok":
        return f"class-token pooling (its visual pooling is {'attention' if visual.attn_pool else visual.pool_type!r})"
    if not _are_plain(visual_blocks(model)):
        return "plain attention blocks in the visual tower (they normalise or scale inside the attention)"
    return None


def _no_tokens_in(visual: Any) -> str:
    """What a visual tower lacks that learnt tokens need."""
    kind = _kind(visual)
    if "RelPos" in kind:
        return f"a place for tokens in its attention, which has a bias for each pair of patches (it has {kind})"
    return f"a transformer of one sequence of tokens as visual tower (it has {kind})"


def _plain_text_lacks(model: OpenCLIP) -> str | None:
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


def _no_tokens_in_text(model: OpenCLIP) -> str | None:
    """What a text tower lacks that learnt tokens need; None: nothing."""
    text = text_module(model)
    if not isinstance(getattr(text, "transformer", None), Transformer):
        return f"open_clip's own text transformer (it has {type(text).__name__})"
    if not all(type(block) in (ResidualAttentionBlock, CustomResidualAttentionBlock) for block in text_blocks(model)):
        return "attention blocks of open_clip's own in the text tower"
    if pool_type(text) not in ("argmax", "eos", "last") or len(text.positional_embedding) != model.context_length:
        return "a text feature that is read at a token of the text, the last or the one that ends it"
    if isinstance(text, TextTransformer) and text.use_pad_mask:
        return "texts without a mask of their padding"
    return None


def _kind(visual: Any) -> str:
    return type(getattr(visual, "trunk", visual)).__name__


def _are_plain(blocks: list[object]) -> bool:
    return all(type(block) is ResidualAttentionBlock for block in blocks)
