"""``predictions.jsonl``: what a model says of each segment, one a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError
from opendas_plugin.files import atomic_file, read_lines
from opendas_plugin.vocabulary import Vocabulary

if TYPE_CHECKING:
    from opendas_plugin.eval.predict import Predictions

PROBABILITIES = ("probability", "label_probability")


@dataclass(frozen=True)
class StoredPredictions:
    """What a model has said of M segments.

    Args:
        labels: (M,) the right names.
        predictions: (M,) the names that were given.
        own_kind: (M,) the best name among those of the segment's own kind, base or novel; None: not stored.
        base_scores: (M,) how much a segment seems to be of a base name; None: not stored.
        probabilities: (M,) of the name that was given; None: not stored.
        label_probabilities: (M,) of the right name; None: not stored.
    """

    labels: tuple[str, ...]
    predictions: tuple[str, ...]
    own_kind: tuple[str, ...] | None = None
    base_scores: tuple[float, ...] | None = None
    probabilities: tuple[float, ...] | None = None
    label_probabilities: tuple[float, ...] | None = None


def write_predictions(
    path: Path, segments: Sequence[Segment], predictions: Predictions, vocabulary: Vocabulary
) -> None:
    """Writes a line for each segment, with the probabilities of both names; with novel names, also ``own_kind`` and
    ``base_score``.
    """
    names, own = vocabulary.names, predictions.own_kind(vocabulary)
    given = (predictions.probabilities, predictions.label_probabilities)
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for number, segment in enumerate(segments):
            line = {"label": names[predictions.labels[number]], "prediction": names[predictions.predictions[number]]}
            line |= {"image": str(segment.image), "segment": number}
            for key, values in zip(PROBABILITIES, given, strict=True):
                line |= {} if values is None else {key: float(values[number])}
            if vocabulary.novel:
                line |= {"own_kind": names[own[number]], "base_score": float(predictions.base_scores[number])}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read_predictions(path: Path) -> StoredPredictions:
    """Reads what :func:`write_predictions` wrote, also when it wrote less.

    Raises:
        MissingFileError, DataError: there is no such file, or it is no such list.
    """
    try:
        lines = [json.loads(line) for line in read_lines(path, "run the evaluation first")]
        labels, given = (tuple(str(line[key]) for line in lines) for key in ("label", "prediction"))
        said, true = (_numbers(lines, key) for key in PROBABILITIES)
        if not all("own_kind" in line and "base_score" in line for line in lines):
            return StoredPredictions(labels, given, probabilities=said, label_probabilities=true)
        own, scores = tuple(str(line["own_kind"]) for line in lines), tuple(float(line["base_score"]) for line in lines)
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f'{path}: expected lines {{"label": ..., "prediction": ...}}, got others ({error})') from error
    return StoredPredictions(labels, given, own, scores, said, true)


def _numbers(lines: Sequence[dict[str, Any]], key: str) -> tuple[float, ...] | None:
    return tuple(float(line[key]) for line in lines) if all(key in line for line in lines) else None
