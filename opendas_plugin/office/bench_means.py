"""Means of a room's masks and pictures, by which a benchmark's data is known where a processor rounded rays otherwise.

Where two faces meet, a ray that was rounded otherwise may meet the other one, so some outlines differ by some pixels
between processors, and their digests altogether. Six means of each room do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opendas_plugin.data.domain import Domain
from opendas_plugin.data.images import read_image
from opendas_plugin.data.segments import Segment

Means = dict[str, list[float]]
"""Room -> mean area of its masks, mean row and column of their centres, all in pixels, and mean red, green and blue of
its pictures, 0 to 255."""


@dataclass(frozen=True)
class Gap:
    """The largest differences of the means of a benchmark's rooms to those that are frozen.

    Args:
        area: of the mean area of a room's masks, as a share of it.
        place: of the mean place of their centres, in pixels.
        colour: of the mean of a colour of its pictures, of 255.
    """

    area: float
    place: float
    colour: float

    @classmethod
    def of(cls, pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Gap:
        """Of rooms: their means, and those that are frozen."""
        found, frozen = (np.array(values, dtype=float) for values in zip(*pairs, strict=True))
        off = np.abs(found - frozen)
        return cls(float((off[:, 0] / frozen[:, 0]).max()), float(off[:, 1:3].max()), float(off[:, 3:].max()))

    @property
    def is_rounding(self) -> bool:
        """Whether it is within what processors and ray casters differ by."""
        return self.area <= ROUNDING.area and self.place <= ROUNDING.place and self.colour <= ROUNDING.colour

    def __str__(self) -> str:
        return f"{self.area:.4%} of a room's mean area and {self.colour:.3f} of 255 of its mean colour"


ROUNDING = Gap(0.0005, 0.05, 0.2)
"""Several times what two kinds of processor were apart: 0.0021% in area, 0.001 pixels in place, 0.06 in colour."""


def means(domain: Domain) -> Means:
    """The means of each room of a part.

    Args:
        domain: the part.
    """
    rooms: dict[str, list[Segment]] = {}
    for segment in (*domain.train, *domain.val):
        rooms.setdefault(segment.group, []).append(segment)
    return {room: [round(value, 3) for value in _means(segments)] for room, segments in rooms.items()}


def _means(segments: Sequence[Segment]) -> list[float]:
    masks = [np.argwhere(segment.mask()) for segment in segments]
    colours = [read_image(path).reshape(-1, 3).mean(0) for path in sorted({s.image for s in segments})]
    centres = np.mean([places.mean(0) for places in masks], axis=0)
    return [float(np.mean([len(places) for places in masks])), *centres.tolist(), *np.mean(colours, axis=0).tolist()]
