"""What can be known of data before anything is learnt: pictures that are there twice, names, and what labels bring."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from opendas_plugin.classifier import SAME, TextClassifier
from opendas_plugin.data.images import read_image
from opendas_plugin.support import Support

ALIKE = 0.97
"""Correlation of two pictures' small grey copies from which on one is called a near copy of the other. Copies that were
saved again, made smaller or brighter lie above it; two views of one room below."""
SHOTS = (1, 2, 4, 8, 16)
_SIDE = 32  # pixels of the small copies
_DRAWS = 5
_TOGETHER = 1024  # pictures that are compared at a time


@dataclass(frozen=True)
class NearCopy:
    """A validation picture that looks like a training picture."""

    picture: Path
    like: Path
    correlation: float


def near_copies(pictures: Sequence[Path], others: Sequence[Path]) -> list[NearCopy]:
    """Which pictures are nearly one of the others, each with the one that it is most like.

    Both are made small, grey and even in brightness and contrast, and correlated.

    Raises:
        MissingFileError, DataError: a picture cannot be read.
    """
    if not pictures or not others:
        return []
    one, other = (np.stack([_small(path) for path in paths]) for paths in (pictures, others))
    found = []
    for start in range(0, len(one), _TOGETHER):
        alike = one[start : start + _TOGETHER] @ other.T
        best = alike.argmax(axis=1)
        for row, place in enumerate(best.tolist()):
            if alike[row, place] >= ALIKE:
                found.append(NearCopy(pictures[start + row], others[place], float(alike[row, place])))
    return found


def _small(path: Path) -> NDArray[np.float32]:
    """A picture as one row of unit length and mean 0."""
    grey = Image.fromarray(read_image(path)).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.float32).ravel()
    values = values - values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > 1e-3 else np.zeros_like(values)


@dataclass(frozen=True)
class NameLook:
    """What the text tower makes of N names.

    Args:
        equal: pairs whose features are the same, to a cosine of :data:`~opendas_plugin.classifier.SAME`.
        nearest: the pairs with the highest cosines below it.
        rank: in how many directions the features differ: the participation ratio of their covariance, 1 to N - 1.
    """

    equal: tuple[tuple[str, str, float], ...]
    nearest: tuple[tuple[str, str, float], ...]
    rank: float


def look_at_names(text: TextClassifier, most: int = 12) -> NameLook:
    """Compares the names' text features with each other."""
    features, names = text.features.cpu().double(), text.classes
    cosines = (features @ features.T).triu(diagonal=1)
    order = cosines.flatten().argsort(descending=True)[: most + len(names) ** 2 // 2].tolist()
    pairs = [(names[p // len(names)], names[p % len(names)], float(cosines.flatten()[p])) for p in order]
    pairs = [pair for pair in pairs if pair[0] != pair[1] and pair[2] > 0]
    equal = tuple(pair for pair in pairs if pair[2] > SAME)
    centred = features - features.mean(dim=0)
    values = torch.linalg.svdvals(centred).square()
    rank = float(values.sum().square() / values.square().sum()) if float(values.sum()) > 0 else 0.0
    return NameLook(equal, tuple(pair for pair in pairs if pair[2] <= SAME)[:most], rank)


def label_curve(
    text: TextClassifier, features: Tensor, labels: Sequence[str], groups: Sequence[str], shots: Sequence[int] = SHOTS
) -> Mapping[int, float]:
    """How often segments are named right with 0 and more labelled segments of each name beside its words.

    Half of the groups (rooms, pictures) give the labelled segments, the other half is named; nothing is trained, so
    this is what labels bring at the least. Mean over five draws.

    Args:
        text: the names that compete.
        features: (M, D) of the segments, of unit length.
        labels: M names.
        groups: of the segments.
        shots: segments of each name; those that half of the names do not have are left out, since the curve would be
            flat from there on for want of segments alone.

    Returns:
        shots, and 0 -> percent; empty where there are fewer than two groups.
    """
    kinds = sorted(set(groups))
    if len(kinds) < 2:
        return {}
    known, own, rng = np.array(labels), np.array(groups), np.random.default_rng(0)
    usual = float(np.median(np.unique(known, return_counts=True)[1])) / 2  # in half of the groups
    right: dict[int, list[float]] = {count: [] for count in (0, *shots) if count <= max(1.0, usual)}
    for _ in range(_DRAWS):
        half = set(rng.permutation(kinds)[: len(kinds) // 2].tolist())
        pool = np.array([group in half for group in own])
        judged = np.flatnonzero(~pool)
        if not len(judged):
            continue
        order = rng.permutation(np.flatnonzero(pool))
        for count in right:
            chosen = [place for name in text.classes for place in order[known[order] == name][:count]]
            answered = text
            if len({labels[place] for place in chosen}) >= 2:
                answered = text.with_support(Support(features[chosen], tuple(labels[place] for place in chosen)))
            given = answered.choose(answered.cosines(features[judged])).numpy()
            right[count].append(100 * float((np.array(text.classes)[given] == known[judged]).mean()))
    return {count: float(np.mean(found)) for count, found in right.items() if found}


def enough(curve: Mapping[int, float], gain: float = 1.0) -> int | None:
    """From how many labelled segments on more of them bring less than ``gain`` points; None: from none of them."""
    counts = sorted(count for count in curve if count)
    for place, count in enumerate(counts[:-1]):
        if all(curve[more] - curve[count] < gain for more in counts[place + 1 :]):
            return count
    return None


def spread(share: float, count: int) -> float:
    """How far the farther end of the 95% interval of a share in percent of ``count`` draws lies from it, in points.

    The interval is Wilson's (Probable Inference, the Law of Succession, and Statistical Inference, JASA 1927), which a
    few draws that are all right have, too.
    """
    right, draws, z = share / 100, max(count, 1), 1.96
    middle = (right + z**2 / (2 * draws)) / (1 + z**2 / draws)
    half = z / (1 + z**2 / draws) * math.sqrt(right * (1 - right) / draws + (z / (2 * draws)) ** 2)
    return 100 * (abs(middle - right) + half)
