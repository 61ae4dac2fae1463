"""Segments that several processes compare with the names, a part each, with the result of one process to the bit.

Where a process was lost, a further run makes the parts that are missing; see :mod:`~opendas_plugin.runs.parts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from opendas_plugin.data.segments import Segment
from opendas_plugin.labeller import Labeller
from opendas_plugin.runs.parts import Parts
from opendas_plugin.scenes.feature_source import FeatureSource
from opendas_plugin.stamps import Inputs, digest
from opendas_plugin.train.distributed import World

PARTS = "parts"
BATCHES = 8
"""Batches a part."""


def share_cosines(
    labeller: Labeller, source: FeatureSource, segments: Sequence[Segment], output: Path, world: World
) -> Labeller | None:
    """Compares segments with the names, each part in one of the processes.

    Args:
        labeller: of the names.
        source: its CLIP, known by its hash.
        segments: M of them.
        output: the folder that parts lie in, until :func:`discard_parts`.
        world: the processes.

    Returns:
        In the writing process a labeller that knows the segments' cosines, in the others None; the labeller itself
        where this is the only process and no parts are there to go on with.

    Raises:
        ConfigError: there are parts of something else.
        DataError, MissingFileError: a picture cannot be read, or a part.
    """
    parts = Parts(output / PARTS, _inputs(labeller, source, segments), "evaluation")
    if world.size == 1 and not parts.are_there:
        return labeller
    length = BATCHES * labeller.batch_size
    starts = {f"{start:09d}": start for start in range(0, len(segments), length)}
    world.broadcast(parts.begin)
    todo = world.broadcast(lambda: parts.missing([*starts]))

    def make_own() -> None:
        own = todo[world.share(len(todo))]
        for name in tqdm(own, desc="parts", unit="part", disable=None if world.writes else True):
            some = segments[starts[name] : starts[name] + length]
            parts.write(name, cosines=torch.cat([cosines for _, cosines in labeller.segments(some)]).numpy())

    world.together(make_own)
    if not world.writes:
        return None
    found = [parts.read(name)["cosines"] for name in starts]
    return _KnownLabeller(labeller, np.concatenate([np.empty((0, len(labeller.classes)), np.float32), *found]))


def discard_parts(output: Path) -> None:
    """Removes the parts of a finished evaluation."""
    Parts(output / PARTS, Inputs(), "evaluation").discard()


class _KnownLabeller(Labeller):
    """A labeller whose segments were compared before."""

    def __init__(self, labeller: Labeller, cosines: np.ndarray) -> None:
        vars(self).update(vars(labeller))
        self._cosines = torch.from_numpy(cosines)

    def segments(self, segments: Sequence[Segment]) -> Iterator[tuple[Tensor, Tensor]]:
        """See :meth:`Labeller.segments`."""
        if len(segments) != len(self._cosines):
            raise ValueError(f"cosines of {len(self._cosines)} segments are known, not of {len(segments)}")
        yield from zip(
            torch.arange(len(segments)).split(self.batch_size), self._cosines.split(self.batch_size), strict=True
        )


def _inputs(labeller: Labeller, source: FeatureSource, segments: Sequence[Segment]) -> Inputs:
    """What decides over the cosines; of pictures the sizes and dates, since reading all takes as long as the work."""
    pictures = sorted({segment.image for segment in segments})
    known = [f"{picture.name} {_state(picture)}" for picture in pictures]
    masks = [f"{segment.image.name} {segment.rle['size']} {segment.rle['counts']}" for segment in segments]
    values: dict[str, Any] = {
        "the hash of the CLIP": source.sha256[:12],
        "what the CLIP does beside its weights": source.facts,
        "the list of names": list(labeller.classes),
        "what the names are given by": labeller.facts(),
        "`batch_size`": labeller.batch_size,
        "the list of masks": digest("\n".join(masks)),
        "the list of pictures": digest("\n".join(known)),
    }
    return Inputs(values=values)


def _state(picture: Path) -> str:
    try:
        state = picture.stat()
    except OSError:
        return "absent"
    return f"{state.st_size} {state.st_mtime_ns}"
