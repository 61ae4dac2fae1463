"""Which names a training step pushes an image away from.

First every class gets its *candidates*, once: its own related names, everybody's, or the training names that lie
nearest. Then, at each step, some of them are *selected* for each image by the distances under the current prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize as unit

from opendas_plugin.negatives.database import Mining


@dataclass(frozen=True)
class Candidates:
    """The names that may serve as negatives.

    Attributes:
        names: the C class names, in the vocabulary's order, then the names that are no class.
        rows: (C, K) int64, for each class the indices of its candidates in ``names``; -1 fills up short rows.
    """

    names: tuple[str, ...]
    rows: Tensor


def own_candidates(classes: Sequence[str], related: Sequence[Sequence[str]]) -> Candidates:
    """Gives each class its own related names (``related[c]``, a few names that are no class)."""
    names = tuple(classes) + tuple(dict.fromkeys(name for own in related for name in own))
    index = {name: position for position, name in enumerate(names)}
    width = max((len(own) for own in related), default=0)
    rows = [[index[name] for name in own] + [-1] * (width - len(own)) for own in related]
    return Candidates(names, torch.tensor(rows, dtype=torch.int64).reshape(len(classes), width))


def pool_candidates(classes: Sequence[str], related: Sequence[Sequence[str]]) -> Candidates:
    """Gives each class the related names of all classes."""
    names = own_candidates(classes, related).names
    return Candidates(names, torch.arange(len(classes), len(names)).expand(len(classes), -1))


def training_candidates(classes: Sequence[str], text: Tensor, count: int = 5) -> Candidates:
    """Gives each class the other training names that lie nearest to it, so that no database is needed.

    Args:
        classes: the C class names.
        text: (C, D) their features by the frozen text tower: the candidates stay the same through the training.
        count: how many, or all others where there are fewer.
    """
    names = unit(text, dim=-1)
    similarity = (names @ names.T).fill_diagonal_(-torch.inf)
    nearest = similarity.argsort(dim=-1, descending=True, stable=True)
    return Candidates(tuple(classes), nearest[:, : min(count, len(classes) - 1)].cpu())


def select(
    rule: Mining, positive: Tensor, negative: Tensor, valid: Tensor, count: int = 1, randoms: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Picks the candidates that each image learns against.

    ``hardest``, ``pool`` and ``training`` take the nearest candidates (their candidates differ). ``semi_hard`` is
    FaceNet's rule (Schroff et al., CVPR 2015): the nearest of those that are further away than the positive, and where
    none is, the furthest. ``random`` goes by ``randoms``.

    Args:
        rule: the mining rule.
        positive: (B,) distances between the images and their own class names.
        negative: (B, K) distances between the images and their candidates.
        valid: (B, K) bool, False where a class has no further candidate.
        count: how many to pick for each image.
        randoms: (B, K) numbers in random order, for ``random`` alone.

    Returns:
        (B, min(count, K)) int64 positions among the candidates, and bool of the same shape, False where none was left.
    """
    key, behind = negative, torch.zeros_like(valid)
    if rule == "semi_hard":
        behind = negative <= positive[:, None]
        key = torch.where(behind, -negative, negative)
    elif rule == "random":
        if randoms is None:
            raise ValueError("the mining rule 'random' needs random numbers")
        key = randoms
    order = key.argsort(dim=-1, stable=True)
    late = behind.long() + 2 * (~valid).long()  # stable sorts compose: by key within those before, behind and not valid
    order = order.gather(-1, late.gather(-1, order).argsort(dim=-1, stable=True))
    chosen = order[:, :count]
    return chosen, valid.gather(-1, chosen)
