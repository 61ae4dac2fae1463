"""The parts of one of open_clip's plain attention blocks (3.x), run on their own: it owns the weights, this none."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import linear, scaled_dot_product_attention

from opendas_plugin.model.tower import KeysAndValues


def project(block: Any, x: torch.Tensor, first: int, last: int) -> torch.Tensor:
    """Returns the parts ``first`` to ``last`` of query, key and value of ``x`` (..., width), joined."""
    attn, width = block.attn, x.shape[-1]
    rows = slice(first * width, last * width)
    return linear(x, attn.in_proj_weight[rows], attn.in_proj_bias[rows])


def attend(block: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **mask: Any) -> torch.Tensor:
    """Attention of (B, Lq, width) queries to (B, L, width) keys and values, heads split and joined again."""
    q, k, v = (t.unflatten(-1, (block.attn.num_heads, -1)).transpose(1, 2) for t in (q, k, v))
    return scaled_dot_product_attention(q, k, v, **mask).transpose(1, 2).flatten(2)


def finish(block: Any, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    """Returns the block's output from its input and what its attention has gathered, both (..., width)."""
    x = x + block.ls_1(block.attn.out_proj(attended))
    return x + block.ls_2(block.mlp(block.ln_2(x)))


def read_out(block: Any, tokens: torch.Tensor, readable: KeysAndValues, **mask: Any) -> torch.Tensor:
    """Returns the block's output of tokens (B, n, width) that read keys and values (B, L, width) of others."""
    return finish(block, tokens, attend(block, project(block, block.ln_1(tokens), 0, 1), *readable, **mask))
