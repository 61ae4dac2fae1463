"""What a semantic evaluation looked at, picture by picture, kept small: counts, the worst pictures, the worst pairs."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opendas_plugin.data.images import IMAGE_SUFFIXES, read_image
from opendas_plugin.data.segments import Segment, encode
from opendas_plugin.errors import OpenDASError
from opendas_plugin.eval.classification import Confusion
from opendas_plugin.eval.named_overlay import draw_named
from opendas_plugin.eval.overlays import name_colours
from opendas_plugin.eval.semantic_intervals import PictureCounts
from opendas_plugin.files import find_files
from opendas_plugin.label_values import NONE
from opendas_plugin.reports.figures import confusion_chart, shortened
from opendas_plugin.reports.page import Block, Cell, Gallery, Picture, Section, Table
from opendas_plugin.reports.pictures import WIDE, crop_uri, data_uri, link_to
from opendas_plugin.wording import counted

ClassMap = NDArray[np.int64]
WORST, PAIRS = 6, 10
_NOTHING = "(none)"


class SeenPictures:
    """Takes pictures one by one with their true and predicted classes."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.stems: list[str] = []
        self._confusions: list[NDArray[np.int64]] = []  # hits, true, predicted of each
        self._worst: list[tuple[float, str, ClassMap, ClassMap]] = []
        self._pairs: dict[tuple[int, int], tuple[int, str, Mapping[str, object]]] = {}

    def add(self, stem: str, labels: ClassMap, predicted: ClassMap, confusion: Confusion) -> None:
        """Notes a picture: (H, W) true and predicted classes, and their confusion matrix (N, N + 1)."""
        self.stems.append(stem)
        self._confusions.append(
            np.array([np.diagonal(confusion), confusion.sum(axis=1), confusion[:, :-1].sum(axis=0)], dtype=np.int64)
        )
        if not confusion.sum():
            return
        wrong = 1 - np.trace(confusion) / confusion.sum()
        if len(self._worst) < WORST or wrong > self._worst[0][0]:
            step = max(1, -(-max(labels.shape) // WIDE))
            kept = (float(wrong), stem, labels[::step, ::step].copy(), predicted[::step, ::step].copy())
            (heapq.heappush if len(self._worst) < WORST else heapq.heappushpop)(self._worst, kept)
        off = confusion.copy()
        np.fill_diagonal(off, 0)
        for true, given in np.argwhere(off[:, :-1]).tolist():
            count = int(off[true, given])
            if count > self._pairs.get((true, given), (0, "", {}))[0]:
                mask = (labels == true) & (predicted == given)
                self._pairs[true, given] = (count, stem, encode(mask))

    @property
    def counts(self) -> PictureCounts:
        """Pixels of each picture by class."""
        hits, true, predicted = (np.array([one[row] for one in self._confusions]) for row in range(3))
        return PictureCounts(hits, true, predicted)

    def confusions(self, confusion: Confusion, novel: Sequence[str], images: Path | None, page: Path) -> Section:
        """The pairs that share most pixels, with the picture where they are most, and the matrix."""
        off = confusion.copy()
        np.fill_diagonal(off, 0)
        flat = np.argsort(-off, axis=None, kind="stable")[:20]
        pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(flat, off.shape), strict=True) if off[i, j] > 0]
        columns = [*self.names, _NOTHING]
        rows = tuple(
            (
                Cell(self.names[i], kind="novel" if self.names[i] in novel else "base"),
                Cell(columns[j]),
                Cell(f"{off[i, j]:,}", int(off[i, j])),
                Cell(f"{off[i, j] / confusion[i].sum():.0%}", float(off[i, j] / confusion[i].sum())),
            )
            for i, j in pairs
        )
        table = Table(("true name", "called", "pixels", "share of the name"), rows, "The most frequent pairs.", texts=2)
        photos = _photos(images)
        shown = [self._pair(pair, photos, page) for pair in pairs[:PAIRS] if pair in self._pairs]
        crops = Gallery(tuple(one for one in shown if one is not None), "Where each of them has most pixels.")
        own = [name in set(novel) for name in columns]
        return Section("Confusions", (table, crops, confusion_chart(confusion, columns, own, "pixels")))

    def mistakes(self, images: Path | None, page: Path) -> Section:
        """The pictures with the largest share of wrong pixels: photo, labels and prediction."""
        colours, photos = list(name_colours(self.names).values()), _photos(images)
        shown: list[Picture] = []
        for wrong, stem, labels, predicted in sorted(self._worst, key=lambda one: -one[0]):
            photo = photos.get(stem)
            height, width = labels.shape
            under = np.full((height, width, 3), 128, dtype=np.uint8)
            if photo is not None and (picture := _try(photo)) is not None:
                under = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))
            link = "" if photo is None else link_to(photo, page)
            for what, classes in ((f"labels; {wrong:.0%} of them are missed", labels), ("predicted", predicted)):
                drawn = draw_named(under, np.where(labels == NONE, NONE, classes), self.names, colours)
                shown.append(Picture(data_uri(drawn), (stem, what), "", link))
        blocks: list[Block] = [Gallery(tuple(shown), "The pictures with the largest share of wrong pixels.", least=420)]
        return Section("Worst mistakes", tuple(blocks))

    def _pair(self, pair: tuple[int, int], photos: Mapping[str, Path], page: Path) -> Picture | None:
        count, stem, rle = self._pairs[pair]
        photo = photos.get(stem)
        if photo is None or (picture := _try(photo)) is None:
            return None
        segment = Segment(photo, rle, self.names[pair[0]])
        if picture.shape[:2] != segment.size:
            return None
        lines = (shortened(self.names[pair[0]]), f"called: {shortened(self.names[pair[1]])}", counted(count, "pixel"))
        return Picture(crop_uri(segment, picture), lines, "bad", link_to(photo, page))


def _photos(images: Path | None) -> dict[str, Path]:
    """The photos by their paths without suffix; none where there is no folder, or it is of something else."""
    try:
        return {} if images is None else find_files(images, IMAGE_SUFFIXES)
    except OpenDASError:
        return {}


def _try(photo: Path) -> NDArray[np.uint8] | None:
    try:
        return read_image(photo)
    except OpenDASError:
        return None
