"""What the rows of a comparison say of the same segments, and how far it carries."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError
from opendas_plugin.eval.influences import Metric
from opendas_plugin.eval.intervals import Interval, difference, interval
from opendas_plugin.eval.pooling import FoldPredictions, Indices
from opendas_plugin.eval.prediction_file import read_predictions
from opendas_plugin.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Evidence:
    """Predictions of several systems for M segments.

    Args:
        labels: (M,) places of the right names.
        groups: (M,) the group of each segment; see :func:`group_numbers`.
        answers: title of a row -> training seed -> its predictions, one row of them; None: nothing is learnt.
    """

    labels: Indices
    groups: Indices
    answers: Mapping[str, Mapping[int | None, FoldPredictions]]

    def interval(self, title: str, metric: Metric) -> Interval | None:
        """A row's figure over all its seeds; None where there is nothing to score or nothing is known."""
        found = self.answers.get(title, {})
        return interval(metric, self.labels, self.groups, [_stacked(list(found.values()))]) if found else None

    def difference(self, title: str, other: str, metric: Metric) -> Interval | None:
        """A row less another over the seeds that both have; None also where they were trained with other names.

        A row without training is the same at every seed.
        """
        mine, theirs = self.answers.get(title, {}), self.answers.get(other, {})
        if None not in mine and None not in theirs:
            shared = [seed for seed in mine if seed in theirs]
            mine, theirs = ({seed: found[seed] for seed in shared} for found in (mine, theirs))
        one, two = list(mine.values()), list(theirs.values())
        if not one or not two or not np.array_equal(one[0].novel, two[0].novel):
            return None
        return difference(metric, self.labels, self.groups, [_stacked(one)], [_stacked(two)])


def group_numbers(segments: Sequence[Segment]) -> Indices:
    """A whole number from 0 for each segment's group, (M,); for its image where all are of one group."""
    groups = [segment.group for segment in segments]
    if len(set(groups)) == 1:
        groups = [str(segment.image) for segment in segments]
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def read_answers(folder: Path, labels: Sequence[str], vocabulary: Vocabulary) -> FoldPredictions:
    """What the report of a classification in ``folder`` says of segments with these labels.

    Raises:
        MissingFileError: there is no such report.
        DataError: it is of other segments or names.
    """
    path = folder / "predictions.jsonl"
    found = read_predictions(path)
    if list(found.labels) != list(labels) or not {*found.predictions, *(found.own_kind or ())} <= {*vocabulary.names}:
        raise DataError(
            f"{path} is of other segments or names than the domain's; remove the run, to have it made again"
        )
    with open(folder / "per_class.csv", encoding="utf-8", newline="") as file:
        novel = {row["name"] for row in csv.DictReader(file) if row["kind"] == "novel"}

    def places(names: Sequence[str]) -> np.ndarray:
        return np.array([vocabulary.index[name] for name in names], dtype=np.int64)

    return FoldPredictions(
        places(found.predictions),
        np.array([name in novel for name in vocabulary.names]),
        None if found.own_kind is None else places(found.own_kind),
        None if found.base_scores is None else np.array(found.base_scores),
    )


def _stacked(seeds: Sequence[FoldPredictions]) -> FoldPredictions:
    own = [one.own_kind for one in seeds if one.own_kind is not None]
    scores = [one.base_scores for one in seeds if one.base_scores is not None]
    return FoldPredictions(
        np.concatenate([one.predictions for one in seeds]),
        seeds[0].novel,
        np.concatenate(own) if len(own) == len(seeds) else None,
        np.concatenate(scores) if len(scores) == len(seeds) else None,
    )
