"""What a reproduction has measured, beside what is published; as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.runs.reproduce.published import TOLERANCE, Figures

TITLES = {
    "acc": "Acc",
    "w_f1": "W-F1",
    "b_f1": "B-F1",
    "n_f1": "N-F1",
    "base_acc": "base Acc",
    "novel_acc": "new Acc",
    "harmonic_acc": "H",
    "miou": "mIoU",
    "macc": "mAcc",
    "ap": "AP",
    "ap50": "AP50",
    "ap25": "AP25",
}


@dataclass(frozen=True)
class Measured:
    """A figure, in percent.

    Args:
        ours: as measured here, the mean over the seeds.
        low, high: ends of its 95% interval; None: nothing can be said.
        paper: the published one; None: none is known.
        source: paper and table.
    """

    ours: float
    low: float | None = None
    high: float | None = None
    paper: float | None = None
    source: str = ""

    @property
    def difference(self) -> float | None:
        """Ours less the paper's, in points."""
        return None if self.paper is None else self.ours - self.paper

    @property
    def fits(self) -> bool | None:
        """Whether it is the paper's within the tolerance; None: there is none."""
        return None if self.difference is None else abs(self.difference) <= TOLERANCE


@dataclass(frozen=True)
class Result:
    """A row: one system on one dataset.

    Args:
        title: of the row.
        data: of the dataset.
        figures: field of a summary -> what was measured.
        about: facts, such as ``backbone``, ``crops``, ``seeds``, ``segments``, ``seconds``, ``gib``.
        why_not: why it cannot be compared with what is published; empty: it can.
        confusion: see :func:`pack_confusion`; None: it was not kept.
    """

    title: str
    data: str
    figures: Mapping[str, Measured]
    about: Mapping[str, Any] = field(default_factory=dict)
    why_not: str = ""
    confusion: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; differences are written beside the figures for people who read the file."""
        figures = {}
        for metric, one in self.figures.items():
            figures[metric] = {key: _rounded(value) for key, value in vars(one).items()}
            figures[metric]["difference"] = _rounded(one.difference)
        found = {"title": self.title, "data": self.data, "figures": figures, "about": dict(self.about)}
        found |= {"not_comparable": self.why_not} if self.why_not else {}
        return found | ({"confusion": self.confusion} if self.confusion is not None else {})

    @classmethod
    def from_json(cls, content: Any) -> Result:
        """The inverse of :meth:`to_json`.

        Raises:
            DataError: it is something else.
        """
        try:
            given = content["figures"]
            figures = {
                metric: Measured(**{key: value for key, value in given[metric].items() if key != "difference"})
                for metric in (*TITLES, *given)  # a file has them in the alphabet's order
                if metric in given
            }
            why, confusion = content.get("not_comparable", ""), content.get("confusion")
            return cls(content["title"], content["data"], figures, content["about"], why, confusion)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"expected a row of a reproduction, got {content!r:.80}") from error


def beside(
    ours: Mapping[str, float | None], published: Figures, ends: Mapping[str, tuple[float, float]] | None = None
) -> dict[str, Measured]:
    """Measured figures with their intervals, and what is published beside them.

    Args:
        ours: field -> figure; None is left out.
        published: field -> what is published.
        ends: field -> the interval, where one is known.
    """
    found = {}
    for metric, value in ours.items():
        if value is None:
            continue
        low, high = (ends or {}).get(metric, (None, None))
        known = published.get(metric)
        found[metric] = Measured(value, low, high, *((known.value, known.source) if known else ()))
    return found


def pack_confusion(counts: NDArray[np.int64], names: Sequence[str]) -> dict[str, Any]:
    """A confusion matrix (N, N), rows true, as the names and a line "place:count place:count" for each true one."""
    lines = [" ".join(f"{place}:{row[place]}" for place in np.flatnonzero(row).tolist()) for row in counts]
    return {"names": list(names), "rows": lines}


def unpack_confusion(packed: Mapping[str, Any]) -> NDArray[np.int64]:
    """The inverse of :func:`pack_confusion`."""
    size = len(packed["names"])
    counts = np.zeros((size, size), dtype=np.int64)
    for row, line in enumerate(packed["rows"]):
        for pair in line.split():
            place, count = pair.split(":")
            counts[row, int(place)] = int(count)
    return counts


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
