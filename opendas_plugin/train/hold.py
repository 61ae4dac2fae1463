"""A hold on the text features of other names (DOR, Wang et al., ICML 2025): untrained words stay as they were.

Cross-entropy over the training names moves the text tower for all words. At each step some names of a large vocabulary,
none of them a training name, are drawn, and one minus the cosine between their features and those of plain CLIP is
added to the loss. Nothing is learnt for it, and nothing is left of it at inference.
"""

from __future__ import annotations

import hashlib

import torch
from open_clip import IMAGENET_CLASSNAMES
from torch import Tensor

from opendas_plugin.errors import ConfigError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.names import NameTable, fold_name
from opendas_plugin.negatives.words import word_list
from opendas_plugin.train.config import HoldConfig
from opendas_plugin.train.losses import drift
from opendas_plugin.train.pulls import Encoded
from opendas_plugin.vocabulary import Vocabulary, read_names


class Hold:
    """The weighted mean of one minus the cosine between the features of drawn names and those of plain CLIP.

    Args:
        config: its weight, and how many names a step.
        tokens: (N, L) ids of the names' texts.
        frozen: (N, D) their features by plain CLIP.
    """

    name = "hold"

    def __init__(self, config: HoldConfig, tokens: Tensor, frozen: Tensor) -> None:
        self.config = config
        self.tokens = tokens
        self.frozen = frozen

    def __call__(self, found: Encoded) -> Tensor:
        """The loss of a step; the names are drawn by torch's own generator, which is seeded for each step."""
        rows = torch.randperm(len(self.tokens))[: self.config.batch]
        apart = drift(found.encode_text(self.tokens[rows]), self.frozen[rows.to(self.frozen.device)])
        return self.config.weight * apart.mean()


@torch.no_grad()
def make_hold(clip: OpenDASCLIP, vocabulary: Vocabulary, config: HoldConfig) -> Hold:
    """Encodes the names to hold by plain CLIP, and leaves out those that are not among the nearest asked for.

    Raises:
        ConfigError: no name is left.
        MissingFileError, DataError: the file of names is not there, or is none.
    """
    names = held_names(vocabulary, config)
    tokens = clip.tokenize(vocabulary.texts(names))
    with clip.prompts_disabled():
        frozen = clip.encode_text(tokens, normalize=True).float()
        base = clip.encode_text(clip.tokenize(vocabulary.texts(vocabulary.base)), normalize=True).float()
    if config.nearest is not None and config.nearest < len(names):
        near = (frozen @ base.T).amax(dim=1).argsort(descending=True, stable=True)[: config.nearest].sort().values
        tokens, frozen = tokens[near.to(tokens.device)], frozen[near]
    return Hold(config, tokens, frozen)


def held_names(vocabulary: Vocabulary, config: HoldConfig) -> list[str]:
    """The names that ``config`` asks for, each once, without training names.

    The domain's novel names are left out, where they are among them, or, if ``config`` says so, all put in.

    Raises:
        ConfigError: no name is left.
        MissingFileError, DataError: the file of names is not there, or is none.
    """
    if config.names == "imagenet":
        found = list(IMAGENET_CLASSNAMES)
    else:
        found = list(word_list()) if config.names == "words" else read_names(config.names)
    base, novel = NameTable(vocabulary.base), NameTable(vocabulary.novel)
    others = {fold_name(name): name for name in found if name not in base and name not in novel}
    names = [*others.values(), *(vocabulary.novel if config.novel else ())]
    if not names:
        raise ConfigError(f"hold.names {config.names} has no name that is not one of the domain's; give a longer list")
    return names


def digest(vocabulary: Vocabulary, config: HoldConfig) -> str | None:
    """SHA-256 of the names that are held; None where none are."""
    if not config.weight:
        return None
    return hashlib.sha256("\n".join(held_names(vocabulary, config)).encode()).hexdigest()
