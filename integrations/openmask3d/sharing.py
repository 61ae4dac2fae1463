"""Mask features of one scene by several processes, with the result of one process to the bit.

Each looks at its share of the pictures, asks SAM about its share, and encodes its share of CLIP's batches. What SAM
found in a picture, and the features of a few batches, are parts that a further run goes on from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from integrations.openmask3d.features import Crop, Extraction
from integrations.openmask3d.predictors import Predictor
from integrations.openmask3d.regions import Region
from opendas_plugin.runs.parts import Parts
from opendas_plugin.scenes.views import Projector
from opendas_plugin.train.distributed import World

BATCHES = 8
"""Batches of CLIP a part."""

T = TypeVar("T")


@dataclass(frozen=True)
class Sharing:
    """The processes and the parts that they leave.

    Args:
        world: the processes.
        parts: in a folder that all of them see.
    """

    world: World
    parts: Parts

    def features(
        self,
        extraction: Extraction,
        predictor: Predictor | None,
        rng: np.random.RandomState,
        crop: Crop,
        encode: Callable[[torch.Tensor], torch.Tensor],
    ) -> NDArray[np.float64] | None:
        """As :meth:`Extraction.regions` and :meth:`Extraction.features`; None in processes that do not write."""
        world, bar = self.world, self.world.writes
        world.broadcast(self.parts.begin)
        views = range(len(extraction.projector.views))
        counts = world.together(lambda: extraction.counts(views[world.share(len(views))], bar=bar))
        counts = _joined(extraction.projector, counts, world)
        draws = world.together(lambda: extraction.draws(counts, rng))

        def find(name: str, view: int) -> None:
            self.parts.write(name, **_arrays(list(extraction.find(draws, predictor, [view], bar=False))))

        names = self._make({f"regions {view:06d}": view for view in draws}, find, "boxes or SAM")
        regions = [
            region
            for view, name in zip(draws, names, strict=True)
            for region in _regions(view, **self.parts.read(name))
        ]

        def encode_part(name: str, pieces: range) -> None:
            places, found = extraction.crop_features(regions, crop, encode, pieces, bar=False)
            self.parts.write(name, places=places, features=found)

        length, every = BATCHES * extraction.settings.batch_size, range(len(regions) * crop.count)
        names = self._make(
            {f"features {at:09d}": every[at : at + length] for at in every[::length]}, encode_part, "CLIP"
        )
        if not world.writes:
            return None
        found = [self.parts.read(name) for name in names]
        return extraction.mean(*(np.concatenate([part[key] for part in found]) for key in ("places", "features")))

    def _make(self, work: Mapping[str, T], make: Callable[[str, T], None], what: str) -> list[str]:
        """Makes the parts that are missing, each in one of the processes; returns the names of all."""
        todo = self.world.broadcast(lambda: self.parts.missing([*work]))
        own = todo[self.world.share(len(todo))]

        def make_own() -> None:
            for name in tqdm(own, desc=what, unit="part", disable=None if self.world.writes else True):
                make(name, work[name])

        self.world.together(make_own)
        return [*work]


def _joined(projector: Projector, counts: NDArray[np.int64], world: World) -> NDArray[np.int64]:
    """The counts (V, M) of all processes, and in the projector how the points lie to the depth maps of all pictures."""
    found = world.gather((counts, projector.seen, projector.shown, projector.ratios, projector.fits))
    every, seen, shown, ratios, fits = zip(*found, strict=True)
    projector.seen = np.any(seen, axis=0)
    projector.shown = sum(shown)
    projector.ratios, projector.fits = [*chain.from_iterable(ratios)], [*chain.from_iterable(fits)]
    return np.sum(every, axis=0)


def _arrays(regions: Sequence[Region]) -> dict[str, NDArray]:
    """A picture's regions, n of them: mask, rank, whether there is a shape (n, 3); boxes (n, 4); all shapes; size."""
    return {
        "about": np.array([(one.mask, one.rank, one.shape is not None) for one in regions], np.int64).reshape(-1, 3),
        "boxes": np.array([one.box for one in regions], np.int64).reshape(-1, 4),
        "shapes": np.concatenate([np.empty(0, bool), *(one.shape.ravel() for one in regions if one.shape is not None)]),
        "size": np.array(regions[0].size if regions else (0, 0)),
    }


def _regions(view: int, about: NDArray, boxes: NDArray, shapes: NDArray, size: NDArray) -> Iterator[Region]:
    """What :func:`_arrays` was made of."""
    start, height, width = 0, int(size[0]), int(size[1])
    for (mask, rank, has_shape), (x0, y0, x1, y1) in zip(about.tolist(), boxes.tolist(), strict=True):
        shape = None
        if has_shape:
            end = start + (y1 - y0) * (x1 - x0)
            shape, start = shapes[start:end].reshape(y1 - y0, x1 - x0), end
        yield Region(mask, view, rank, (x0, y0, x1, y1), shape, (height, width))
