"""Open_clip's text transformers (3.x) in which a token reads later ones, or whose feature is read behind the text.

SigLIP's, CLIPA's and MobileCLIP's are such. They read padding as they read words: a text has the whole context, of
which trailing pads make way for learnt tokens. Without learnt tokens it is the model's own forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from opendas_plugin.errors import DataError
from opendas_plugin.model.towers.layered_text import TransformerText
from opendas_plugin.model.towers.parts import OpenCLIP, text_blocks


@dataclass(frozen=True)
class WholeTexts:
    """N texts with their padding, on the tower's device."""

    ids: torch.Tensor
    """(N, L) int64 token ids."""
    ends: torch.Tensor
    """(N,) int64 positions that the features are read at."""
    first: int
    """Position of the first learnt token."""


class WholeText(TransformerText):
    """A transformer that is run block by block; ``x`` is (N, L, width), behind the last layer (N, width)."""

    no_tokens = None
    reads_padding = True

    def __init__(self, model: OpenCLIP, no_readers: str) -> None:
        super().__init__(model)
        self.no_readers = no_readers
        self._blocks = text_blocks(model)

    def over(self, module: Any) -> Any:
        return type(self)(module, self.no_readers)

    @property
    def is_causal(self) -> bool:
        return self._text.attn_mask is not None

    @property
    def depth(self) -> int:
        return len(self._blocks)

    def inputs(self, ids: torch.Tensor) -> WholeTexts:
        if self._text is self._model and ids.shape[1] != self.room:  # its forward adds all positions
            raise DataError(f"expected token ids of the whole context, (N, {self.room}), got {tuple(ids.shape)}")
        return self.inputs_ending(ids, self.ends(ids), 0)

    def inputs_ending(self, ids: torch.Tensor, ends: torch.Tensor, first: int, count: int = 0) -> WholeTexts:
        return WholeTexts(ids.to(self.device), ends.to(self.device), first)

    def encode(self, inputs: WholeTexts) -> torch.Tensor:
        return self._model.encode_text(inputs.ids, normalize=False)

    def embed(self, inputs: WholeTexts) -> torch.Tensor:
        return self.token_embedding(inputs.ids).to(self.dtype) + self._places()[: inputs.ids.shape[1]]

    def run(
        self, layer: int, x: torch.Tensor, inputs: WholeTexts, tokens: torch.Tensor | None = None, stays: bool = False
    ) -> torch.Tensor:
        if tokens is not None:
            first, behind = inputs.first, inputs.first + tokens.shape[0]
            tokens = tokens + self._places()[first:behind] if layer == 0 else tokens
            x = torch.cat([x[:, :first], tokens.expand(x.shape[0], -1, -1), x[:, behind:]], dim=1)
        x = self._block(layer, x)
        return x[torch.arange(x.shape[0], device=x.device), inputs.ends] if layer == self.depth - 1 else x

    @torch.no_grad()
    def states(self, start: int | None, tokens: torch.Tensor, depth: int) -> torch.Tensor:
        before = [] if start is None else [self.token_embedding.weight[start][None]]
        x = torch.cat([*before, tokens])
        x = (x + self._text.positional_embedding[: x.shape[0]])[None]
        states = [tokens]
        for layer in range(min(depth, self.depth) - 1):
            x = self._block(layer, x)
            states.append(x[0, len(before) :])
        return torch.stack(states)

    def _block(self, layer: int, x: torch.Tensor) -> torch.Tensor:
        mask, length = self._text.attn_mask, x.shape[1]
        return self._blocks[layer](x, attn_mask=None if mask is None else mask[:length, :length])
