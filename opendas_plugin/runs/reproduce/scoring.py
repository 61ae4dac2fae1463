"""Reports on disk -> rows of a reproduction: the figures with their intervals, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from opendas_plugin.data.segments import Segment
from opendas_plugin.eval.classification import harmonic_mean
from opendas_plugin.eval.evidence import Evidence, group_numbers, read_answers
from opendas_plugin.eval.influences import Metric
from opendas_plugin.eval.report import read_confusion
from opendas_plugin.files import read_json
from opendas_plugin.runs.reproduce.published import Figures
from opendas_plugin.runs.reproduce.results import Result, beside, pack_confusion
from opendas_plugin.vocabulary import Vocabulary

JOINT: Mapping[str, Metric] = {"acc": "acc", "w_f1": "w_f1", "b_f1": "b_f1", "n_f1": "n_f1"}
"""Figure -> what its interval is of."""
COOP: Mapping[str, Metric] = {"base_acc": "base_only_acc", "novel_acc": "novel_only_acc"}


def joint_row(
    title: str,
    data: str,
    folders: Mapping[int | None, Path],
    segments: Sequence[Segment],
    vocabulary: Vocabulary,
    published: Figures,
    about: Mapping[str, Any],
    why_not: str = "",
    *,
    confusion: bool = True,
) -> Result:
    """A row of the joint protocol, from the reports of its seeds.

    Args:
        title, data, about, why_not: see :class:`Result`.
        folders: training seed -> its report; the seed None alone where nothing is learnt.
        segments: that were scored.
        vocabulary: of all names.
        published: what is known of it.
        confusion: keep the first seed's confusion matrix.
    """
    summaries = {seed: read_json(folder / "summary.json") for seed, folder in folders.items()}
    ours = {metric: _mean([summary[metric] for summary in summaries.values()]) for metric in JOINT}
    if ours["n_f1"] is None:  # the base names are all, and B-F1 is W-F1 again
        del ours["b_f1"]
    ends = _ends(title, folders, segments, vocabulary, JOINT)
    first = next(iter(folders.values()))
    facts = {"seeds": len(folders), "segments": len(segments), **about}
    packed = pack_confusion(*read_confusion(first / "confusion.csv")) if confusion else None
    return Result(title, data, beside(ours, published, ends), facts, why_not, packed)


def coop_row(
    title: str,
    data: str,
    folders: Mapping[int | None, Path],
    segments: Sequence[Segment],
    vocabulary: Vocabulary,
    published: Figures,
    about: Mapping[str, Any],
    why_not: str = "",
) -> Result:
    """A row of CoOp's protocol, base and novel names apart, from reports of either protocol; as :func:`joint_row`.

    Its confusion matrix is that of the best names of the segment's own kind.
    """
    summaries = [read_json(folder / "summary.json") for folder in folders.values()]
    base, new = (_mean([one[part]["acc"] for one in summaries]) for part in ("base_only", "novel_only"))
    ours = {"base_acc": base, "novel_acc": new, "harmonic_acc": harmonic_mean(base, new)}
    ends = _ends(title, folders, segments, vocabulary, COOP)
    labels = [segment.label for segment in segments]
    own = read_answers(next(iter(folders.values())), labels, vocabulary).own_kind
    counts = np.zeros((len(vocabulary.names), len(vocabulary.names)), dtype=np.int64)
    if own is not None:
        np.add.at(counts, (np.array([vocabulary.index[label] for label in labels]), own[0]), 1)
    facts = {"seeds": len(folders), "segments": len(segments), **about}
    return Result(title, data, beside(ours, published, ends), facts, why_not, pack_confusion(counts, vocabulary.names))


def _ends(
    title: str,
    folders: Mapping[int | None, Path],
    segments: Sequence[Segment],
    vocabulary: Vocabulary,
    metrics: Mapping[str, Metric],
) -> dict[str, tuple[float, float]]:
    """The 95% intervals over groups of segments, names and seeds, of those figures that have one."""
    labels = [segment.label for segment in segments]
    answers = {seed: read_answers(folder, labels, vocabulary) for seed, folder in folders.items()}
    places = np.array([vocabulary.index[label] for label in labels], dtype=np.int64)
    evidence = Evidence(places, group_numbers(segments), {title: answers})
    found = {metric: evidence.interval(title, of) for metric, of in metrics.items()}
    return {metric: (one.low, one.high) for metric, one in found.items() if one is not None and one.known}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
