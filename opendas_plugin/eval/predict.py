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
from opendas_plugin.wording import counted


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
    """(M,) likewise among the base names alone."""
    base_scores: NDArray[np.float64]
    """(M,) how much a segment seems to be of a base name: the log-odds of the base name with the highest probability,
    by the softmax over all names at CLIP's scale, to 3 decimals."""
    probabilities: NDArray[np.float64] | None = None
    """(M,) the probability of the predicted name, by the same softmax, to 4 decimals; None: not known."""
    label_probabilities: NDArray[np.float64] | None = None
    """(M,) that of the true name, likewise."""

    def own_kind(self, vocabulary: Vocabulary) -> NDArray[np.int64]:
        """(M,) the best name among those of the segment's own kind, base or novel."""
        novel = np.isin(self.labels, [vocabulary.index[name] for name in vocabulary.novel])
        return np.where(novel, self.novel_predictions, self.base_predictions)


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
    base, novel = (
        torch.tensor([vocabulary.index[name] for name in names], dtype=torch.long)
        for names in (vocabulary.base, vocabulary.novel)
    )
    predictions, base_predictions = (torch.empty(len(segments), dtype=torch.long) for _ in range(2))
    novel_predictions = torch.full_like(predictions, -1)
    base_scores, given, true = (torch.empty(len(segments), dtype=torch.float64) for _ in range(3))
    true_places = torch.from_numpy(labels)
    for index, found in labeller.segments(segments):
        predictions[index] = labeller.text.choose(found)
        base_predictions[index] = base[found[:, base].argmax(dim=-1)]
        if len(novel):
            novel_predictions[index] = novel[found[:, novel].argmax(dim=-1)]
        probabilities = labeller.text.softmax(found.double())
        base_scores[index] = torch.logit(probabilities[:, base].amax(dim=-1), eps=1e-15)
        for places, values in ((predictions, given), (true_places, true)):
            values[index] = probabilities.gather(1, places[index][:, None])[:, 0]
    return Predictions(
        labels,
        predictions.numpy(),
        novel_predictions.numpy(),
        base_predictions.numpy(),
        base_scores.round(decimals=3).numpy(),
        given.round(decimals=4).numpy(),
        true.round(decimals=4).numpy(),
    )


def _label_indices(segments: Sequence[Segment], vocabulary: Vocabulary) -> NDArray[np.int64]:
    if not segments:
        raise DataError("expected segments to evaluate, got none; check the split and what the data kept and dropped")
    unknown = sorted({segment.label for segment in segments} - set(vocabulary.names))
    if unknown:
        raise DataError(f"expected labels of the vocabulary, got {unknown[0]!r} ({counted(len(unknown), 'such name')})")
    return np.array([vocabulary.index[segment.label] for segment in segments], dtype=np.int64)
