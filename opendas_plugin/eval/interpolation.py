"""One evaluation for all shares of an adapter: every segment and name is encoded once with it and once without it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize as unit

from opendas_plugin.data.loader import SegmentCrops
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.classification import confusion_matrix, summarise
from opendas_plugin.labeller import Labeller
from opendas_plugin.vocabulary import Vocabulary


@dataclass(frozen=True)
class Features:
    """Unit features (N, D) of segments or names, with an adapter and without it."""

    adapted: Tensor
    frozen: Tensor

    def mixed(self, share: float) -> Tensor:
        """normalise(share x adapted + (1 - share) x frozen); at 0 and 1 the features themselves."""
        if share in (0, 1):
            return self.adapted if share else self.frozen
        return unit(share * self.adapted + (1 - share) * self.frozen, dim=-1)


@torch.no_grad()
def sweep_features(
    labeller: Labeller, segments: Sequence[Segment], vocabulary: Vocabulary, shares: Sequence[tuple[float, float]]
) -> list[dict[str, Any]]:
    """Scores an adapter whose features are mixed with plain CLIP's.

    Args:
        labeller: of the vocabulary's names, by a CLIP with an adapter.
        segments: labelled segments.
        vocabulary: says which names are novel.
        shares: of the adapted feature in the visual and in the text tower's.

    Returns:
        The scores of :func:`opendas_plugin.eval.classification.summarise` for each pair of shares.

    Raises:
        ConfigError: the adapter's features cannot be mixed with plain CLIP's (RPO, CoCoOp).
    """
    clip = labeller.clip
    if clip.config.prompts.form in ("read_only", "conditional"):
        raise ConfigError(f"{clip.config.prompts.form} prompts have no features to interpolate with plain CLIP's")

    def both(encode: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
        with clip.unmixed(weights=False):
            adapted = unit(encode().float(), dim=-1).cpu()
        with clip.prompts_disabled():
            return adapted, unit(encode().float(), dim=-1).cpu()

    batches = labeller.pixels(SegmentCrops(segments, labeller.crops, pixels=clip.pixels), "encode")
    pairs = [both(functools.partial(clip.encode_image, pixels)) for _, pixels in batches]
    image = Features(torch.cat([adapted for adapted, _ in pairs]), torch.cat([frozen for _, frozen in pairs]))
    text = Features(*both(lambda: labeller.text.features))
    return [_score(image.mixed(visual) @ text.mixed(words).T, segments, vocabulary) for visual, words in shares]


@torch.no_grad()
def sweep_weights(
    labeller: Labeller, segments: Sequence[Segment], vocabulary: Vocabulary, shares: Sequence[float]
) -> list[dict[str, Any]]:
    """Scores an adapter of weights at several shares of them (WiSE-FT's sweep); a tower without any is encoded once.

    Args:
        labeller: of the vocabulary's names, by a CLIP with an adapter of weights.
        segments, vocabulary: as in :func:`sweep_features`.
        shares: of the learnt weights.

    Returns:
        The scores for each share.

    Raises:
        ConfigError: the adapter holds no weights.
    """
    clip = labeller.clip
    config = clip.config.weights
    if config.visual == config.text == "frozen":
        raise ConfigError(f"the {clip.config.method} adapter holds no weights to mix with the frozen ones")

    def image() -> Tensor:
        batches = labeller.pixels(SegmentCrops(segments, labeller.crops, pixels=clip.pixels), "encode")
        return torch.cat([clip.encode_image(pixels, normalize=True).float().cpu() for _, pixels in batches])

    def text() -> Tensor:
        return labeller.text.features.cpu()

    images = image() if config.visual == "frozen" else None
    names = text() if config.text == "frozen" else None
    scores = []
    for share in shares:
        with clip.weights_at(share):
            found = (image() if images is None else images) @ (text() if names is None else names).T
        scores.append(_score(found, segments, vocabulary))
    return scores


def _score(cosines: Tensor, segments: Sequence[Segment], vocabulary: Vocabulary) -> dict[str, Any]:
    labels = np.array([vocabulary.index[segment.label] for segment in segments])
    joint = confusion_matrix(labels, cosines.argmax(dim=-1).numpy(), len(vocabulary.names))
    novel = [vocabulary.index[name] for name in vocabulary.novel]
    alone = np.zeros((0, 0), dtype=np.int64)
    if novel:
        among = np.isin(labels, novel)
        guesses = cosines[torch.from_numpy(among)][:, novel].argmax(dim=-1).numpy()
        alone = confusion_matrix([novel.index(label) for label in labels[among]], guesses, len(novel))
    return summarise(joint, alone, vocabulary)
