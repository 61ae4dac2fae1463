"""Class predictions of a CLIP model for labelled segments: the text classifier once, the images batch by batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize
from tqdm import tqdm

from opendas_plugin.crops import CropPolicy, normalise
from opendas_plugin.data.loader import CropLoader, SegmentCrops
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError
from opendas_plugin.methods.zero_shot import ensemble_features
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.vocabulary import Vocabulary, fold_name

logger = logging.getLogger(__name__)

SAME = 0.9999
"""The cosine of two names' text features above which the backbone does not tell the names apart."""


@dataclass(frozen=True)
class Predictions:
    """Labels and predictions of M segments, as indices into the vocabulary's names."""

    labels: NDArray[np.int64]
    """(M,) the true class."""
    predictions: NDArray[np.int64]
    """(M,) the name with the highest cosine among all names (the joint label space)."""
    novel_predictions: NDArray[np.int64]
    """(M,) likewise among the novel names alone; -1 where the vocabulary has none."""


def predict(
    clip: OpenDASCLIP,
    segments: Sequence[Segment],
    vocabulary: Vocabulary,
    policy: CropPolicy,
    *,
    batch_size: int = 64,
    workers: int = 2,
    autocast: bool | None = None,
    calibrated: bool = False,
    ensemble: bool = False,
) -> Predictions:
    """Classifies every segment by the name whose text feature has the highest cosine with its crop's.

    Args:
        clip: with or without an adapter, on the device to use.
        segments: M segments, all labelled with names of ``vocabulary``.
        vocabulary: the names that compete, their template, and which of them are novel.
        policy: how a mask becomes a crop; as it was in training.
        batch_size: crops a forward.
        workers: threads that decode and crop ahead.
        autocast: run the visual tower in bf16 autocast; None: on CUDA. The text tower and the cosines are float32.
        calibrated: take the adapter's calibration from the cosines of the names that it was trained with.
        ensemble: take plain CLIP's text features, the mean over its ImageNet templates, in place of the template's.

    Raises:
        DataError: no segments, or a label that is not in the vocabulary.
    """
    labels = _label_indices(segments, vocabulary)
    novel = torch.tensor([vocabulary.index[name] for name in vocabulary.novel], dtype=torch.long)
    predictions = torch.empty(len(segments), dtype=torch.long)
    novel_predictions = torch.full_like(predictions, -1)
    handicap = base_handicap(clip, vocabulary) if calibrated else 0.0
    for index, found in cosines(
        clip,
        segments,
        vocabulary,
        policy,
        batch_size=batch_size,
        workers=workers,
        autocast=autocast,
        ensemble=ensemble,
    ):
        predictions[index] = (found - handicap).argmax(dim=-1)
        if len(novel):
            novel_predictions[index] = novel[found[:, novel].argmax(dim=-1)]
    return Predictions(labels, predictions.numpy(), novel_predictions.numpy())


def base_handicap(clip: OpenDASCLIP, vocabulary: Vocabulary) -> Tensor:
    """What calibration takes from each name's cosine, (N,): the adapter's constant for its training names, else 0.

    Only the adapter's own list of base names is needed for it, which every adapter holds.
    """
    base = {fold_name(name) for name in clip.config.base_names}
    return torch.tensor([clip.config.calibration * (fold_name(name) in base) for name in vocabulary.names])


@torch.no_grad()
def cosines(
    clip: OpenDASCLIP,
    segments: Sequence[Segment],
    vocabulary: Vocabulary,
    policy: CropPolicy,
    *,
    batch_size: int = 64,
    workers: int = 2,
    autocast: bool | None = None,
    ensemble: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields which segments a batch has, (B,) indices, and their cosines with the names, (B, N) float32 on the CPU.

    The texts are encoded once. The arguments are those of :func:`predict`; the segments' labels are not looked at.
    """
    device = clip.logit_scale.device
    classifier = _classifier(clip, vocabulary, ensemble)
    autocast = device.type == "cuda" if autocast is None else autocast
    batches = [range(start, min(start + batch_size, len(segments))) for start in range(0, len(segments), batch_size)]
    loader = CropLoader(SegmentCrops(segments, policy), batches, workers=workers)
    for crops, index in tqdm(loader, total=len(batches), desc="classify", unit="batch", disable=None):
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
            features = clip.encode_image(normalise(crops.to(device, non_blocking=True)))
        yield index, classifier(features).cpu()


def _classifier(clip: OpenDASCLIP, vocabulary: Vocabulary, ensemble: bool) -> Callable[[Tensor], Tensor]:
    texts = clip.tokenize(vocabulary.texts())
    if clip.is_conditional and not ensemble:
        return clip.classifier(texts)
    names = ensemble_features(clip, vocabulary.names) if ensemble else clip.encode_text(texts, normalize=True).float()
    _warn_of_equal(names, vocabulary.names)
    return partial(_cosines, names=names)


def _warn_of_equal(features: Tensor, names: Sequence[str]) -> None:
    pairs = ((features @ features.T).triu(diagonal=1) > SAME).nonzero().tolist()
    if pairs:
        first, second = (names[place] for place in pairs[0])
        others = f" (and {len(pairs) - 1} more pairs)" if pairs[1:] else ""
        logger.warning(
            "%r and %r%s have the same text feature, to a cosine of %g: which of them a segment gets is chance",
            first,
            second,
            others,
            SAME,
        )


def _cosines(image: Tensor, names: Tensor) -> Tensor:
    return normalize(image.float(), dim=-1) @ names.T


def _label_indices(segments: Sequence[Segment], vocabulary: Vocabulary) -> NDArray[np.int64]:
    if not segments:
        raise DataError("expected segments to evaluate, got none; check the split and what the data kept and dropped")
    unknown = sorted({segment.label for segment in segments} - set(vocabulary.names))
    if unknown:
        raise DataError(f"expected labels of the vocabulary, got {unknown[0]!r} ({len(unknown)} such names)")
    return np.array([vocabulary.index[segment.label] for segment in segments], dtype=np.int64)
