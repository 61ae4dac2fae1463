"""Texts packed so that the text tower computes no padding, and their common beginning only once.

Under a causal mask a state depends on the ids up to its own position only. So whatever follows the end-of-text
token can be left out, and where all texts begin alike (the start token, learnt tokens, words of a template) one
copy of these states serves every text.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch


@dataclass(frozen=True)
class PackedTexts:
    """N texts as one row of T tokens: first the ``shared`` ones, then each text's own ones, one text after another."""

    ids: torch.Tensor
    """(T,) int64 token ids."""
    positions: torch.Tensor
    """(T,) int64 positions in the sequence."""
    ends: torch.Tensor
    """(N,) int64 indices of the end-of-text tokens among the T."""
    slots: torch.Tensor | None
    """(T - shared,) int64 places of the own tokens in the flattened (N, longest) grid; None: they fill it, in order."""
    causal: torch.Tensor
    """(longest, shared + longest) bool: what each own position attends to."""
    readable: torch.Tensor
    """(N, 1, 1, shared + longest) bool: what each end-of-text token attends to."""
    shared: int
    """Tokens at the beginning that all texts have in common."""
    shape: tuple[int, int]
    """N and the longest text's number of own tokens."""
    first: int = 0
    """Position of the first learnt token, which all texts have in common."""

    def pad(self, own: torch.Tensor) -> torch.Tensor:
        """Lays (T - shared, C) own tokens out as (N, longest, C), with zeros behind each end."""
        rows, longest = self.shape
        if self.slots is None:
            return own.view(rows, longest, -1)
        grid = own.new_zeros(rows * longest, own.shape[-1]).index_copy(0, self.slots, own)
        return grid.view(rows, longest, -1)

    def unpad(self, grid: torch.Tensor) -> torch.Tensor:
        """Undoes :meth:`pad`."""
        flat = grid.flatten(0, 1)
        return flat if self.slots is None else flat.index_select(0, self.slots)

    def to(self, device: torch.device) -> PackedTexts:
        """Returns the same texts on ``device``."""
        tensors: dict[str, Any] = {
            f.name: value.to(device) for f in fields(self) if isinstance(value := getattr(self, f.name), torch.Tensor)
        }
        return replace(self, **tensors)


def pack(tokens: torch.Tensor, ends: torch.Tensor, first: int = 0) -> PackedTexts:
    """Packs (N, L) token ids whose end-of-text tokens stand at ``ends`` (N,), and learnt tokens from ``first`` on."""
    length = int(ends.max()) + 1
    tokens = tokens[:, :length]
    alike = (tokens == tokens[:1]).all(dim=0)
    shared = min(int(alike.cumprod(0).sum()), int(ends.min()))
    places = torch.arange(length)
    kept = places[shared:] <= ends[:, None]  # (N, longest)
    return PackedTexts(
        ids=torch.cat([tokens[0, :shared], tokens[:, shared:][kept]]),
        positions=torch.cat([places[:shared], places[shared:].expand_as(kept)[kept]]),
        ends=shared + kept.sum(dim=1).cumsum(0) - 1,
        slots=kept.flatten().nonzero().squeeze(1),
        causal=places <= places[shared:, None],
        readable=(places <= ends[:, None])[:, None, None],
        shared=shared,
        shape=(len(tokens), length - shared),
        first=first,
    )


def lay_out(tokens: torch.Tensor, ends: torch.Tensor, shared: int, places: int, first: int = 0) -> PackedTexts:
    """Lays texts out with their padding, by sizes that no value decides: what is compiled or exported cannot pack.

    Args:
        tokens: (N, L) ids, on any device.
        ends: (N,) positions of the end-of-text tokens.
        shared: ids at the beginning that all texts are known to have in common.
        places: positions that the tower has; padding behind them takes the last one, and is not read.
        first: position of the first learnt token.
    """
    rows, length = tokens.shape
    numbers = torch.arange(length, device=tokens.device)
    positions = numbers.clamp(max=places - 1)
    own = positions[shared:].expand(rows, -1)
    begins = shared + (length - shared) * torch.arange(rows, device=tokens.device)
    return PackedTexts(
        ids=torch.cat([tokens[0, :shared], tokens[:, shared:].reshape(-1)]),
        positions=torch.cat([positions[:shared], own.reshape(-1)]),
        ends=begins + ends - shared,
        slots=None,
        causal=numbers <= numbers[shared:, None],
        readable=(numbers <= ends[:, None])[:, None, None],
        shared=shared,
        shape=(rows, length - shared),
        first=first,
    )
