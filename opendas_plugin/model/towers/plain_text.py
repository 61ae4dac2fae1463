"""Open_clip's causal text transformer (3.x) as a :class:`~opendas_plugin.model.tower.TextTower`: it owns no weights.

What it does is open_clip's own modules, so that without learnt tokens the features are open_clip's. Neither padding is
computed, nor the common beginning of the texts more than once.
"""

from __future__ import annotations

import torch

from opendas_plugin.model.packing import PackedTexts, lay_out, pack
from opendas_plugin.model.tower import KeysAndValues
from opendas_plugin.model.towers.base import PlainTower
from opendas_plugin.model.towers.blocks import attend, finish, project, read_out
from opendas_plugin.model.towers.layered_text import TransformerText
from opendas_plugin.model.towers.parts import OpenCLIP, text_blocks


class PlainText(TransformerText, PlainTower):
    """A causal transformer whose feature is read at the end of the text.

    ``x`` is (T, width), packed; behind the last layer (N, width). Learnt tokens take the positions behind the start
    token, if there is one.
    """

    is_causal = True
    reads_padding = False

    def __init__(self, model: OpenCLIP) -> None:
        super().__init__(model, text_blocks(model))

    def inputs(self, ids: torch.Tensor) -> PackedTexts:
        return self.inputs_ending(ids, self.ends(ids), 0)

    def inputs_ending(self, ids: torch.Tensor, ends: torch.Tensor, first: int, count: int = 0) -> PackedTexts:
        if torch.compiler.is_compiling():
            return lay_out(ids, ends, first + count, self.room, first)
        return pack(ids, ends, first).to(self.device)

    def embed(self, inputs: PackedTexts) -> torch.Tensor:
        return self.token_embedding(inputs.ids).to(self.dtype) + self._places()[inputs.positions]

    def run(
        self, layer: int, x: torch.Tensor, inputs: PackedTexts, tokens: torch.Tensor | None = None, stays: bool = False
    ) -> torch.Tensor:
        if tokens is not None:
            first, behind = inputs.first, inputs.first + tokens.shape[0]
            tokens = tokens + self._places()[first:behind] if layer == 0 else tokens
            x = torch.cat([x[:first], tokens, x[behind:]])
        h = self._blocks[layer].ln_1(x)
        return self._attend(layer, x, h, self._keys_and_values(layer, h, inputs), inputs)

    def run_readable(self, layer: int, x: torch.Tensor, inputs: PackedTexts) -> tuple[torch.Tensor, KeysAndValues]:
        h = self._blocks[layer].ln_1(x)
        kv, found = self._keys_and_values(layer, h, inputs)
        if not self._is_last(layer):
            x = self._attend(layer, x, h, (kv, found), inputs)
        return x, found

    def read_out(self, layer: int, tokens: torch.Tensor, readable: KeysAndValues, inputs: PackedTexts) -> torch.Tensor:
        return read_out(self._blocks[layer], tokens, readable, attn_mask=inputs.readable)

    def embed_read_only(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens

    @torch.no_grad()
    def states(self, start: int | None, tokens: torch.Tensor, depth: int) -> torch.Tensor:
        before = [] if start is None else [self.token_embedding.weight[start][None]]
        x = torch.cat([*before, tokens])
        x = (x + self._text.positional_embedding[: len(x)])[None]
        states = [tokens]
        for block in self._blocks[: min(depth, self.depth) - 1]:
            q, k, v = project(block, block.ln_1(x), 0, 3).chunk(3, dim=-1)
            x = finish(block, x, attend(block, q, k, v, is_causal=True))
            states.append(x[0, len(before) :])
        return torch.stack(states)

    def _keys_and_values(self, layer: int, h: torch.Tensor, packed: PackedTexts) -> tuple[torch.Tensor, KeysAndValues]:
        """Keys and values joined, (T, 2 width) as packed, and apart, (N, L, width) each."""
        kv = project(self._blocks[layer], h, 1, 3)
        shared = kv[: packed.shared].expand(packed.shape[0], -1, -1)
        k, v = torch.cat([shared, packed.pad(kv[packed.shared :])], dim=1).chunk(2, dim=-1)
        return kv, (k, v)

    def _attend(
        self,
        layer: int,
        x: torch.Tensor,
        h: torch.Tensor,
        read: tuple[torch.Tensor, KeysAndValues],
        packed: PackedTexts,
    ) -> torch.Tensor:
        """The layer's output from its input, the input normalised, and what :meth:`_keys_and_values` made of it."""
        block, shared, (kv, (k, v)) = self._blocks[layer], packed.shared, read
        if self._is_last(layer):
            q = project(block, h[packed.ends], 0, 1)[:, None]
            return finish(block, x[packed.ends], attend(block, q, k, v, attn_mask=packed.readable)[:, 0])
        q = project(block, h, 0, 1)
        attended = packed.unpad(attend(block, packed.pad(q[shared:]), k, v, attn_mask=packed.causal))
        if shared:
            k, v = kv[None, :shared].chunk(2, dim=-1)
            attended = torch.cat([attend(block, q[None, :shared], k, v, is_causal=True)[0], attended])
        return finish(block, x, attended)
