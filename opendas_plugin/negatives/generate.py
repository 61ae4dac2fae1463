"""Related names made without a language model: the nearest words by the frozen text tower."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import DataError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.names import fold_name
from opendas_plugin.negatives.database import NAMES_PER_CLASS, OFFLINE, Negative, NegativeDatabase
from opendas_plugin.vocabulary import Vocabulary
from opendas_plugin.wording import counted


@torch.no_grad()
def offline(
    vocabulary: Vocabulary, clip: OpenDASCLIP, words: Sequence[str], count: int = NAMES_PER_CLASS
) -> NegativeDatabase:
    """Finds for every training class the ``count`` words that the frozen text tower puts nearest to it.

    The vocabulary's novel names are not looked at: a word that happens to be one is kept, as from any other source.

    Args:
        vocabulary: the training names and the template.
        clip: its prompts, if it has any, are left out.
        words: where to look; a word that is a training name (after folding) is passed over.
        count: how many.

    Raises:
        DataError: fewer than ``count`` words are left.
    """
    taken = {fold_name(name) for name in vocabulary.base}
    left = list({fold_name(word): word for word in words if fold_name(word) not in taken}.values())
    if len(left) < count:
        raise DataError(
            "expected at least "
            f"{counted(count, 'word that is no training name', 'words that are no training names')}, got {len(left)}"
        )
    device = next(clip.parameters()).device
    with clip.prompts_disabled():
        texts = [vocabulary.texts(vocabulary.base), vocabulary.texts(left)]
        classes, others = (unit(clip.encode_text(clip.tokenize(part).to(device)), dim=-1) for part in texts)
    nearest = (classes @ others.T).topk(count, dim=-1).indices.tolist()
    entries = {
        name: tuple(Negative(left[i], OFFLINE) for i in rows)
        for name, rows in zip(vocabulary.base, nearest, strict=True)
    }
    return NegativeDatabase(entries)
