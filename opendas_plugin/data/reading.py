"""What a dataset reader hands over, and the loop over images that all readers share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from tqdm import tqdm

from opendas_plugin.data.segments import Segment

Item = TypeVar("Item")


@dataclass
class ImageReading:
    """One image's part of a :class:`Reading`: its group, its segments, and how many were dropped for which reason."""

    group: str
    segments: list[Segment] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Reading:
    """A labelled dataset, or one given split of it, as a reader found it.

    Args:
        names: the class names, in the dataset's order.
        images: what each image held.
        raw_names: cleaned name -> the dataset's own, where they differ.
        unlabelled: number of images without labels, which were left out.
    """

    names: tuple[str, ...]
    images: Sequence[ImageReading]
    raw_names: dict[str, str] = field(default_factory=dict)
    unlabelled: int = 0


def too_small(min_area: int) -> str:
    """The reason for dropping a segment of fewer than ``min_area`` pixels."""
    return f"smaller than {min_area} pixels"


def read_images(
    read: Callable[[Item], ImageReading], items: Iterable[Item], *, workers: int, progress: str
) -> list[ImageReading]:
    """Applies ``read`` to every item in ``workers`` threads, in order; the first error ends it and is raised.

    A terminal sees a progress bar.
    """
    items = list(items)
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        return list(tqdm(pool.map(read, items), total=len(items), desc=progress, unit="image", disable=None))
    finally:
        pool.shutdown(cancel_futures=True)
