"""Class predictions for labelled segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError
from opendas_plugin.labeller import Labeller
from opendas_plugin.vocabulary import Vocabulary


@dataclass(frozen=True)
class Predictions:
    """Labels and predictions of M segments, as indices into the vocabulary's names."""

    labels: NDArray[np.int64]
    """(M,) the true class."""
    predictions: NDArray[np.int64]
    """(M,) the name with the highest cosine among all names (the joint label space)."""
    novel_predictions: NDArray[np.int64]
    """(M,) likewise among the novel names alone; -1 where the vocabulary has none."""
    base_predictions: NDArray[np.int64]
    """(M,) likewise among the base names alone; -1 where the vocabulary has none."""
    base_lead: NDArray[np.float32]
    """(M,) the highest cosine with a base name less that with a novel one; nan where the vocabulary lacks either."""


def predict(labeller: Labeller, segments: Sequence[Segment], vocabulary: Vocabulary) -> Predictions:
    """Classifies every segment by the name whose text feature has the highest cosine with its crop's.

    Args:
        labeller: of the vocabulary's names.
        segments: M segments, all labelled with names of ``vocabulary``.
        vocabulary: says which names are novel.

    Raises:
        DataError: no segments, or a label that is not in the vocabulary.
    """
    labels = _label_indices(segments, vocabulary)
    kinds = [[vocabulary.index[name] for name in names] for names in (vocabulary.base, vocabulary.novel)]
    predictions = torch.empty(len(segments), dtype=torch.long)
    best = torch.full((2, len(segments)), -1, dtype=torch.long)
    cosines = torch.full((2, len(segments)), torch.nan)
    for index, found in labeller.segments(segments):
        predictions[index] = labeller.text.choose(found)
        for kind, places in enumerate(kinds):
            if places:
                highest = found[:, places].max(dim=-1)
                best[kind, index] = torch.tensor(places)[highest.indices]
                cosines[kind, index] = highest.values.float()
    base, novel = best.numpy()
    return Predictions(labels, predictions.numpy(), novel, base, (cosines[0] - cosines[1]).numpy())


def _label_indices(segments: Sequence[Segment], vocabulary: Vocabulary) -> NDArray[np.int64]:
    if not segments:
        raise DataError("expected segments to evaluate, got none; check the split and what the data kept and dropped")
    unknown = sorted({segment.label for segment in segments} - set(vocabulary.names))
    if unknown:
        raise DataError(f"expected labels of the vocabulary, got {unknown[0]!r} ({len(unknown)} such names)")
    return np.array([vocabulary.index[segment.label] for segment in segments], dtype=np.int64)
