"""What systems say of the same labelled segments, read back from the folders of their reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.segments import Segment
from opendas_plugin.eval.classification import Confusion, confusion_matrix, f1_per_class
from opendas_plugin.eval.evidence import Evidence, group_numbers, read_answers
from opendas_plugin.eval.pooling import FoldPredictions
from opendas_plugin.eval.prediction_file import read_predictions
from opendas_plugin.files import read_json
from opendas_plugin.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Named:
    """What one system says of M segments.

    Args:
        title: of the system.
        summary: its ``summary.json``.
        answers: its predictions.
        given: (M,) probability of the name that it gives; None: not stored.
        true: (M,) that of the right name.
    """

    title: str
    summary: Mapping[str, Any]
    answers: FoldPredictions
    given: NDArray[np.float64] | None
    true: NDArray[np.float64] | None

    @property
    def places(self) -> NDArray[np.int64]:
        """(M,) of the predicted names."""
        return self.answers.predictions[0]

    @classmethod
    def read(cls, title: str, folder: Path, labels: Sequence[str], vocabulary: Vocabulary) -> Named:
        """Reads the folder of a classification's report.

        Raises:
            MissingFileError, DataError: it is not there, or of other segments or names.
        """
        stored = read_predictions(folder / "predictions.jsonl")
        given, true = (
            None if values is None else np.array(values)
            for values in (stored.probabilities, stored.label_probabilities)
        )
        return cls(title, read_json(folder / "summary.json"), read_answers(folder, labels, vocabulary), given, true)


@dataclass(frozen=True, eq=False)
class Naming:
    """M labelled segments and what one or more systems say of them, in the order of learning; the last is the result.

    Args:
        segments: labelled with names of the vocabulary.
        vocabulary: N names; says which are novel.
        systems: plain CLIP first, where it is known.
        trained: how many training segments each name has; None: not known.
    """

    segments: Sequence[Segment]
    vocabulary: Vocabulary
    systems: tuple[Named, ...]
    trained: Mapping[str, int] | None = None

    @classmethod
    def read(
        cls,
        segments: Sequence[Segment],
        vocabulary: Vocabulary,
        folders: Mapping[str, Path],
        trained: Mapping[str, int] | None = None,
    ) -> Naming:
        """Reads the folders, by the titles of their systems; errors as :meth:`Named.read`."""
        labels = [segment.label for segment in segments]
        systems = tuple(Named.read(title, folder, labels, vocabulary) for title, folder in folders.items())
        return cls(segments, vocabulary, systems, trained)

    @property
    def first(self) -> Named | None:
        """What the result is compared with; None: there is one system alone."""
        return self.systems[0] if len(self.systems) > 1 else None

    @property
    def last(self) -> Named:
        """The result."""
        return self.systems[-1]

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(M,) places of the right names."""
        return np.array([self.vocabulary.index[segment.label] for segment in self.segments], dtype=np.int64)

    @cached_property
    def novel(self) -> NDArray[np.bool_]:
        """(N,) which names are novel."""
        own = set(self.vocabulary.novel)
        return np.array([name in own for name in self.vocabulary.names])

    @cached_property
    def support(self) -> NDArray[np.int64]:
        """(N,) segments of each name."""
        return np.bincount(self.labels, minlength=len(self.vocabulary.names))

    @cached_property
    def evidence(self) -> Evidence:
        """What is known of how far the scores carry."""
        answers: dict[str, dict[int | None, FoldPredictions]] = {n.title: {None: n.answers} for n in self.systems}
        return Evidence(self.labels, group_numbers(self.segments), answers)

    def confusion(self, named: Named) -> Confusion:
        """(N, N) counts of a system, rows true, columns predicted."""
        return confusion_matrix(self.labels, named.places, len(self.vocabulary.names))

    def f1(self, named: Named) -> NDArray[np.float64]:
        """(N,) F1 of each name in percent; NaN where it has no segment."""
        return np.where(self.support > 0, f1_per_class(self.confusion(named)), np.nan)
