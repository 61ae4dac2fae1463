"""What a plain ViT's last layer makes of each patch: the readings by which CLIP gives features of a grid."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import interpolate

from opendas_plugin.model.tower import DenseAttention
from opendas_plugin.model.towers.blocks import finish, project


def run_dense(block: Any, x: torch.Tensor, tokens: torch.Tensor | None, attention: DenseAttention) -> torch.Tensor:
    """Returns the block's output of all of ``x`` (B, L, width), whose attention is another than the block's own.

    Args:
        block: an attention block.
        x: the state before it.
        tokens: (n, width) learnt tokens beside it, which are read like patches and give no output.
        attention: ``value``: each place reads itself alone (Zhou et al., ECCV 2022); ``qq+kk``: the places whose
            queries are like its own, and those whose keys are (Wang et al., ECCV 2024); ``qq`` or ``kk``: one of the
            two; ``qk``: CLIP's own.
    """
    read = x if tokens is None else torch.cat([x, tokens.expand(len(x), -1, -1)], dim=1)
    q, k, v = (
        part.unflatten(-1, (block.attn.num_heads, -1)).transpose(1, 2)
        for part in project(block, block.ln_1(read), 0, 3).chunk(3, dim=-1)
    )
    count = x.shape[1]
    if attention == "value":
        found = v[:, :, :count]
    else:
        pairs = {"qq": [(q, q)], "kk": [(k, k)], "qq+kk": [(q, q), (k, k)], "qk": [(q, k)]}[attention]
        scale = q.shape[-1] ** -0.5
        weights = [(scale * one[:, :, :count] @ other.transpose(-1, -2)).softmax(dim=-1) for one, other in pairs]
        found = sum(weights[1:], start=weights[0]) @ v
    return finish(block, x, found.transpose(1, 2).flatten(2))


def positions(table: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Returns the positions (1 + h * w, width) of a class token and a grid of patches, from those of a square one.

    Between the given ones they are bicubic, by the factor of SCLIP's code, which is larger by 0.1 of a patch.
    """
    side = round((len(table) - 1) ** 0.5)
    if grid == (side, side):
        return table
    patches = table[1:].unflatten(0, (side, side)).permute(2, 0, 1)[None]
    factors = [(count + 0.1) / side for count in grid]
    found = interpolate(patches.float(), scale_factor=factors, mode="bicubic")
    return torch.cat([table[:1], found[0].flatten(1).T.to(table.dtype)])
