"""Segments that several processes compare with the names, a part each, with the result of one process to the bit.

A part is a file of its own in a folder that all processes see, written whole or not at all. Where a process was lost, a
further run makes the parts that are missing, with any number of processes.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.files import atomic_file, read_json, write_json
from opendas_plugin.labeller import Labeller
from opendas_plugin.scenes.feature_source import FeatureSource
from opendas_plugin.stamps import Inputs, digest
from opendas_plugin.train.distributed import World

PARTS, INPUTS = "parts", "inputs.json"
BATCHES = 8
"""Batches a part."""

logger = logging.getLogger(__name__)


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
    folder = output / PARTS
    if world.size == 1 and not (folder / INPUTS).is_file():
        return labeller
    length = BATCHES * labeller.batch_size
    starts = range(0, len(segments), length)
    todo = world.broadcast(lambda: _begin(folder, _inputs(labeller, source, segments), starts))
    own = todo[world.share(len(todo))]
    for start in tqdm(own, desc="parts", unit="part", disable=None if world.writes else True):
        found = [cosines for _, cosines in labeller.segments(segments[start : start + length])]
        with atomic_file(_part(folder, start)) as temporary, open(temporary, "wb") as file:
            np.save(file, torch.cat(found).numpy(), allow_pickle=False)
    world.wait()
    if not world.writes:
        return None
    parts = [_read(_part(folder, start)) for start in starts]
    return _KnownLabeller(labeller, np.concatenate([np.empty((0, len(labeller.classes)), np.float32), *parts]))


def discard_parts(output: Path) -> None:
    """Removes the parts of a finished evaluation."""
    if (output / PARTS / INPUTS).is_file():
        shutil.rmtree(output / PARTS, ignore_errors=True)


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


def _begin(folder: Path, inputs: Inputs, starts: Sequence[int]) -> list[int]:
    """Looks whether parts that are there belong to this work; returns where those begin that are missing."""
    path = folder / INPUTS
    if path.is_file() and (difference := inputs.difference(read_json(path))):
        raise ConfigError(
            f"{folder} holds parts of another evaluation, which was not finished: {difference}; remove it, or choose "
            "another `output`"
        )
    write_json(path, inputs.record())
    todo = [start for start in starts if not _part(folder, start).is_file()]
    if len(todo) < len(starts):
        logger.info("%d of %d parts are done already", len(starts) - len(todo), len(starts))
    return todo


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


def _part(folder: Path, start: int) -> Path:
    return folder / f"{start:09d}.npy"


def _read(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read ({error}); remove it and run again") from error
