"""How many segments a dataset has: counted where it is prepared, else estimated from a few images."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

from opendas_plugin.readers import registry
from opendas_plugin.readers.reader import Context
from opendas_plugin.runs.reproduce.place import Place
from opendas_plugin.vocabulary import Vocabulary

_LOOKED_AT = 8  # images of each part whose segments are counted to estimate all


@dataclass(frozen=True)
class Counts:
    """How many segments a dataset has, by what was read of it so far.

    Args:
        train, val: segments.
        names: base and all.
        exact: it is prepared, and these are counts; else a few images were looked at.
    """

    train: int
    val: int
    names: tuple[int, int]
    exact: bool


def count(folder: Path) -> Counts:
    """Those of a prepared domain."""
    vocabulary = Vocabulary.load(folder / "vocabulary.json")
    lines = []
    for part in ("train", "val"):
        with open(folder / f"{part}.jsonl", "rb") as file:
            lines.append(sum(1 for _ in file))
    return Counts(lines[0], lines[1], (len(vocabulary.base), len(vocabulary.names)), exact=True)


def estimate(place: Place, reader: str, root: Path) -> Counts | None:
    """Those of a dataset that is not prepared, from a few images of each part; None: its reader must read all first."""
    found = registry.get(reader)
    if not found.resumable:
        return None
    options = place.tier.options(reader)
    min_area = options.pop("min_area", Context.min_area)
    with tempfile.TemporaryDirectory() as folder:
        dataset = found.read(found.options(root=root, **options), Context(Path(folder), Path(folder), min_area))
        totals = []
        for split in (dataset.train, dataset.val):
            items = [] if split is None else list(split.items)
            step = max(1, math.ceil(len(items) / _LOOKED_AT))
            read = None if split is None else split.read
            some = [len(read(item).segments) for item in items[::step]] if read is not None else []
            totals.append(round(len(items) * sum(some) / len(some)) if some else 0)
    novel = len(dataset.novel or ())
    train = round(totals[0] * (len(dataset.names) - novel) / len(dataset.names))
    return Counts(train, totals[1], (len(dataset.names) - novel, len(dataset.names)), exact=False)
