"""Read-only tokens (RPO) inside OVSeg's CLIP: they read the towers' frozen tokens, and nothing reads them.

Each of the n tokens has a feature. Laid end to end, of unit length and divided by the square root of n, they make one
feature of n x D values, whose cosine with another is the mean of the n cosines.
"""

from __future__ import annotations

from functools import partial

import torch
from torch.nn.functional import normalize as unit

from integrations.ovseg.model import Block, Clip, VisualTower
from integrations.ovseg.perthread import PerThread


class VisualReaders:
    """Tokens that read class token, patches and OVSeg's mask tokens in every block of the visual tower."""

    def __init__(self, visual: VisualTower, tokens: torch.Tensor) -> None:
        """Hooks ``tokens`` (1, n, width) into ``visual``."""
        self.visual = visual
        self.here = PerThread(state=None)
        visual.register_buffer("opendas_tokens", tokens.to(visual.class_embedding.device), persistent=False)
        blocks = visual.transformer.resblocks
        self.handles = [block.register_forward_pre_hook(partial(self._read, i)) for i, block in enumerate(blocks)]

    def remove(self) -> None:
        """Takes the hooks and the tokens out again."""
        for handle in self.handles:
            handle.remove()
        del self.visual.opendas_tokens

    def features(self) -> torch.Tensor:
        """What the tokens have read in the tower's last pass, (B, n * D)."""
        return end_to_end(self.visual.ln_post(self.here.state) @ self.visual.proj)

    def _read(self, i: int, block: Block, inputs: tuple[torch.Tensor]) -> None:
        x = inputs[0]  # (1 + patches, B, width)
        if i == 0:
            tokens = self.visual.ln_pre(self.visual.opendas_tokens[0].to(x.device)).to(x.dtype)
            self.here.state = tokens[:, None].expand(-1, x.shape[1], -1)
        self.here.state = read(block, self.here.state, x)


def read_texts(clip_model: Clip, ids: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Returns what tokens (1, n, width) read of texts (N, L) up to their ends, (N, n * D)."""
    ends, found = ids.argmax(dim=-1).cpu(), []
    order = []
    for end in ends.unique().tolist():  # texts of one length at a time: no padding
        rows = (ends == end).nonzero()[:, 0]
        own = ids[rows.to(ids.device), : end + 1].to(tokens.device)
        x = clip_model.token_embedding(own).type(clip_model.dtype)
        x = (x + clip_model.positional_embedding[: end + 1].type(clip_model.dtype)).transpose(0, 1)
        state = tokens[0].type(clip_model.dtype)[:, None].expand(-1, len(rows), -1)
        causal = torch.full((end + 1, end + 1), float("-inf"), dtype=x.dtype, device=x.device).triu(1)
        for block in clip_model.transformer.resblocks:
            state = read(block, state, x)
            h = block.ln_1(x)
            x = x + block.attn(h, h, h, need_weights=False, attn_mask=causal)[0]
            x = x + block.mlp(block.ln_2(x))
        state = clip_model.ln_final(state).type(clip_model.dtype) @ clip_model.text_projection
        found.append(end_to_end(state))
        order.append(rows)
    places = torch.cat(order).argsort().to(tokens.device)
    return torch.cat(found)[places]


def read(block: Block, state: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """One layer of tokens (n, B, width) that read what a layer is given, (L, B, width)."""
    h = block.ln_1(x)
    state = state + block.attn(block.ln_1(state), h, h, need_weights=False)[0]
    return state + block.mlp(block.ln_2(state))


def end_to_end(features: torch.Tensor) -> torch.Tensor:
    """Lays features (n, B, D) of n tokens out as one of unit length, (B, n * D)."""
    return (unit(features, dim=-1) / len(features) ** 0.5).transpose(0, 1).flatten(1)
