"""What a relearnt text tower reads: captions with and without a colour, and which of them compete in a batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor

from opendas_plugin.office.names import NAMES
from opendas_plugin.office.web import COLOURED, COLOURS, TEMPLATES

SCHEMES: dict[str, tuple[str, ...]] = {
    "first": (COLOURED, "a {} {}.", "{} {}"),
    "last": (COLOURED, "a photo of a {1} in {0}.", "a {1}, {0}.", "the {0} {1}."),
}
"""Captions of a colour and a name; in those of ``last`` the colour may stand behind the name as well."""

COLOUR_ALONE = "a photo of something {}."


def withheld_pairs(colours: NDArray[np.int64], part: float, seed: int = 0) -> NDArray[np.bool_]:
    """The pairs (names, COLOURS) that are never shown: some of those that occur, but no name's commonest colour.

    Args:
        colours: (names, P) int, positions in COLOURS.
        part: of those pairs.
        seed: of the draw.
    """
    counts = np.stack([np.bincount(row, minlength=len(COLOURS)) for row in colours])
    pairs = counts > 0
    pairs[np.arange(len(counts)), counts.argmax(axis=1)] = False
    return pairs & (np.random.default_rng([seed, 77]).random(pairs.shape) < part)


def columns_of(
    targets: Tensor, colours: Tensor, withheld: Tensor, wrong: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Which captions of a colour and a name compete in a batch, each once.

    Args:
        targets: (B,) names.
        colours: (B,) positions in COLOURS.
        withheld: (names, COLOURS) bool, the pairs that are never shown.
        wrong: wrong colours for each of the batch's pairs.

    Returns:
        (K,) sorted pairs as name * colours + colour, and the place (B,) of each picture's own among them.
    """
    own = targets * withheld.shape[1] + colours
    shown = own.unique()
    names = (shown // withheld.shape[1]).repeat(wrong)
    others = torch.randint(withheld.shape[1], (len(names),), generator=generator)
    others = (names * withheld.shape[1] + others)[~withheld[names, others]]
    columns = torch.cat([shown, others]).unique()
    return columns, torch.searchsorted(columns, own)


def short(texts: list[str]) -> Tensor:
    """Ids of texts by CLIP's own tokenizer, (N, L) with L of the longest."""
    ids = open_clip.SimpleTokenizer()(texts)
    return ids[:, : int(ids.argmax(dim=1).max()) + 1].contiguous()


class Sentences:
    """Every caption: ``plain`` (names, templates, L), ``coloured`` (names, COLOURS, templates, L) and, with a colour
    and no name, ``alone`` (COLOURS, L).

    They hold positions in ``tokens``, the sorted ids of all tokens that occur; L is the ``length`` of the longest.
    """

    def __init__(self, scheme: str, tokenize: Callable[[list[str]], Tensor] = short) -> None:
        words, templates = list(COLOURS), SCHEMES[scheme]
        plain = [template.format(name) for name in NAMES for template in TEMPLATES]
        coloured = [template.format(word, name) for name in NAMES for word in words for template in templates]
        everything = tokenize([*plain, *coloured, *(COLOUR_ALONE.format(word) for word in words)])
        self.length = everything.shape[1]
        self.tokens = everything.unique()
        first, second, self.alone = torch.searchsorted(self.tokens, everything).split(
            [len(plain), len(coloured), len(words)]
        )
        self.plain = first.unflatten(0, (len(NAMES), len(TEMPLATES)))
        self.coloured = second.unflatten(0, (len(NAMES), len(words), len(templates)))

    def draw(self, columns: Tensor, generator: torch.Generator) -> Tensor:
        """A plain caption of every name, one for each of ``columns`` (K,), name * colours + colour, and ``alone``."""
        kinds = torch.randint(self.plain.shape[1], (len(self.plain),), generator=generator)
        plain = self.plain[torch.arange(len(self.plain)), kinds]
        kinds = torch.randint(self.coloured.shape[2], (len(columns),), generator=generator)
        return torch.cat([plain, self.coloured.flatten(0, 1)[columns, kinds], self.alone])
