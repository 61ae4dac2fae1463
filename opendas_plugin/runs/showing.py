"""What a demo shows of a photo: its masks, and what plain CLIP and an adapter call them, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.eval.named_overlay import draw_named
from opendas_plugin.eval.overlays import name_colours
from opendas_plugin.labeller import Labeller
from opendas_plugin.labels import Labels
from opendas_plugin.runs.mask_sources import MaskSource
from opendas_plugin.runs.segmentation_files import NamedPhoto
from opendas_plugin.stamps import digest
from opendas_plugin.vocabulary import read_names

Picture = NDArray[np.uint8]
Row = tuple[Any, ...]
"""A name and the probability that each labeller gives it, in percent."""


@dataclass(frozen=True, eq=False)
class Named:
    """A photo with its masks, named by each labeller.

    Attributes:
        key: of the photo and the names.
        picture: (H, W, 3) uint8 RGB.
        masks: M masks (H, W) bool.
        names: the N names.
        labels: title of a labeller -> what it says of the masks.
    """

    key: str
    picture: Picture
    masks: list[NDArray[np.bool_]]
    names: tuple[str, ...]
    labels: dict[str, Labels]

    def overlays(self) -> dict[str, Picture]:
        """The photo with the names written where they are, by title of the labeller."""
        colours, found = list(name_colours(self.names).values()), {}
        for title, labels in self.labels.items():
            scores = labels.probabilities.max(axis=1)
            photo = NamedPhoto("", self.picture, self.masks, labels.indices, scores, labels.probabilities, 0)
            found[title] = draw_named(self.picture, photo.classes(), self.names, colours)
        return found

    def at(self, x: int, y: int, most: int = 5) -> list[Row]:
        """The likeliest names, in percent, of the smallest mask at a pixel; none where there is no mask."""
        hit = [place for place, mask in enumerate(self.masks) if mask[y, x]]
        if not hit:
            return []
        place = min(hit, key=lambda number: int(self.masks[number].sum()))
        chances = np.stack([labels.probabilities[place] for labels in self.labels.values()], axis=1)
        order = np.argsort(-chances[:, -1], kind="stable")[:most]
        return [(self.names[name], *(round(100 * float(chance), 1) for chance in chances[name])) for name in order]


class Showing:
    """Names the masks of the photo that is shown; the last one is kept, so that a click is answered at once.

    Args:
        labellers: title -> labeller, plain CLIP first.
        source: where masks come from.
    """

    def __init__(self, labellers: dict[str, Labeller], source: MaskSource) -> None:
        self.labellers, self.source = labellers, source
        self._last: Named | None = None

    def name(self, picture: Picture | None, words: str) -> Named:
        """Names all masks of a photo.

        Args:
            picture: (H, W, 3) uint8 RGB; None: there is none yet.
            words: names with commas between.

        Raises:
            DataError: there is no photo, or fewer than two names.
        """
        if picture is None:
            raise DataError("expected a photo; put one into the field on the left")
        names = tuple(read_names([name for name in words.split(",") if name.strip()]))
        if len(names) < 2:
            raise DataError(f"expected two names or more with commas between, such as door, desk; got {words!r}")
        key = digest(picture) + digest("\n".join(names))
        if self._last is None or self._last.key != key:
            masks = [region.mask() for region in self.source.masks("photo", Path("photo"), picture)]
            if not masks:
                raise DataError("no mask was found in this photo; give another one")
            named = {title: one.with_names(names)(picture, masks) for title, one in self.labellers.items()}
            self._last = Named(key, picture, masks, names, named)
        return self._last
