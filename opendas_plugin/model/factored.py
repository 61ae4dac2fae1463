"""Learnt tokens of rank 1 in both towers, with one column in common, and a drift that is taken from texts (MMLoP)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import normalize as unit

from opendas_plugin.model.placing import Places
from opendas_plugin.model.prompts import Learnt, TextPrompts

DEPTH = 9
"""Layers with tokens of their own, from the first, where neither a user nor the tower has fewer; the paper's."""


class FactoredPrompts(Learnt):
    """Visual tokens of rank 1: in each layer the text tower's column (n, 1) times a row (1, width) of the layer's own.

    Args:
        text: whose column it is.
        rows: (depth, 1, width) at their start.
    """

    def __init__(self, text: FactoredText, rows: torch.Tensor) -> None:
        super().__init__()
        self._text = (text,)  # in a tuple: the column is the text prompts' to learn and to store
        self.rows = nn.Parameter(rows)

    @property
    def tokens(self) -> torch.Tensor:
        """(depth, n, width)."""
        return self._text[0].column @ self.rows


class FactoredText(TextPrompts):
    """Text tokens of rank 1 (Ghiasvand et al., ECCV 2026: a low-rank factorisation with a shared up-projection).

    ``drift`` (D,) is how far training has moved the unit features of the training names on average; what all names
    have moved by in common tells none from another, so it is taken from every text feature (the paper's uniform drift
    correction). It is measured, not learnt; 0 while the tokens learn.

    Args:
        tokens: (depth, n, width); layer 0 starts from the nearest of rank 1 to its tokens, the others from their
            first token as the row.
        places: of the tokens in a text.
        features: D.
    """

    drift: torch.Tensor

    def __init__(self, tokens: torch.Tensor, places: Places | None, features: int) -> None:
        nn.Module.__init__(self)  # the tokens are a product and no parameter
        self.places = places
        rows = tokens[:, :1].clone()
        column = tokens.new_ones(tokens.shape[1], 1)
        if not tokens.is_meta:
            left, values, right = torch.linalg.svd(tokens[0], full_matrices=False)
            scale = tokens.shape[1] ** 0.5  # a column of ones where all tokens are the same
            column, rows[0] = left[:, :1] * scale, values[0] * right[:1] / scale
        self.column, self.rows = nn.Parameter(column), nn.Parameter(rows)
        self.register_buffer("drift", tokens.new_zeros(features))

    @property
    def tokens(self) -> torch.Tensor:  # type: ignore[override]
        """(depth, n, width)."""
        return self.column @ self.rows

    def corrected(self, features: torch.Tensor) -> torch.Tensor:
        """Text features (N, D) less the drift."""
        return features if not self.drift.any() else unit(features.float(), dim=-1) - self.drift

    @torch.no_grad()
    def measure(self, adapted: torch.Tensor, plain: torch.Tensor) -> None:
        """Keeps the drift between text features (N, D) of the training names with and without the tokens."""
        self.drift.copy_(drift_between(adapted, plain))


def drift_between(adapted: torch.Tensor, plain: torch.Tensor) -> torch.Tensor:
    """The mean movement (D,) of unit features (N, D)."""
    found = (unit(features.float(), dim=-1).mean(dim=0) for features in (adapted, plain))
    return next(found) - next(found)
