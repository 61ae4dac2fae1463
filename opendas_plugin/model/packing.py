"""Texts packed so that the text tower computes no padding, and their common beginning only once.

Under a causal mask a state depends on the ids up to its own position only. So whatever follows the end-of-text
token can be left out, and where all texts begin alike (the start token, learnt tokens, words of a template) one
copy of these states serves every text.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

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
    slots: torch.Tensor
    """(T - shared,) int64 places of the own tokens in the flattened (N, longest) grid."""
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
        grid = own.new_zeros(rows * longest, own.shape[-1]).index_copy(0, self.slots, own)
        return grid.view(rows, longest, -1)

    def unpad(self, grid: torch.Tensor) -> torch.Tensor:
        """Undoes :meth:`pad`."""
        return grid.flatten(0, 1).index_select(0, self.slots)

    def to(self, device: torch.device) -> PackedTexts:
        """Returns the same texts on ``device``."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.type == "torch.Tensor"}
        return replace(self, **{name: tensor.to(device) for name, tensor in tensors.items()})


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
