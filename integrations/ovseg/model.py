"""What this package touches of OVSeg's model, for readers and the type checker; at run time the model is the host's.

Shapes and names are those of OVSeg's fork of OpenAI's CLIP (third_party/CLIP) and of its ``clip_adapter``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn


class Block(nn.Module):
    """One layer of a tower."""

    ln_1: nn.LayerNorm
    attn: nn.MultiheadAttention
    ln_2: nn.LayerNorm
    mlp: nn.Module


class Transformer(nn.Module):
    """The layers of a tower."""

    width: int
    resblocks: Sequence[Block]


class VisualTower(nn.Module):
    """``VisionTransformer``, with OVSeg's mask tokens."""

    conv1: nn.Conv2d
    class_embedding: torch.Tensor
    ln_pre: nn.LayerNorm
    transformer: Transformer
    ln_post: nn.LayerNorm
    proj: torch.Tensor
    input_resolution: int
    opendas_tokens: torch.Tensor
    """Ours, a buffer."""


class Clip(nn.Module):
    """``CLIP``; its text tower's parts are its own attributes."""

    visual: VisualTower
    transformer: Transformer
    token_embedding: nn.Embedding
    positional_embedding: torch.Tensor
    ln_final: nn.LayerNorm
    text_projection: torch.Tensor
    context_length: int
    dtype: torch.dtype
    opendas_tokens: torch.Tensor
    """Ours, a buffer."""


class ClipAdapter(nn.Module):
    """``MaskFormerClipAdapter``: cuts regions out and classifies them."""

    clip_model: Clip
    text_templates: Any
    non_object_embedding: torch.Tensor
    pixel_mean: torch.Tensor
    pixel_std: torch.Tensor
    mask_fill: Iterable[float]
    mask_thr: float
    mask_expand_ratio: float
    mask_matting: bool
    region_resized: bool
    opendas: Any
    """Ours: the patch that is in it."""

    _preprocess_image: Callable[..., Any]
    """Image, mask, whether to normalise -> region and mask."""
    _get_text_features: Callable[[Sequence[str]], torch.Tensor]
    """Names -> their features."""


class DemoModel(nn.Module):
    """``OVSegDEMO``."""

    clip_adapter: ClipAdapter
    clip_ensemble: bool
    clip_ensemble_weight: float
