"""Other segments to learn from: a few of each class, masks that are not quite right, or that a program proposed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import ConfigError, DataError


def few_shots(segments: Sequence[Segment], shots: int, seed: int) -> list[Segment]:
    """Draws ``shots`` segments of each class, all where it has fewer, in the order that they have.

    Raises:
        ConfigError: no shots.
    """
    if shots < 1:
        raise ConfigError(f"expected 1 or more shots of each class, got {shots}")
    drawn = np.random.default_rng(seed).permutation(len(segments)).tolist()
    counts: dict[str, int] = {}
    chosen = set()
    for place in drawn:
        label = segments[place].label
        counts[label] = counts.get(label, 0) + 1
        if counts[label] <= shots:
            chosen.add(place)
    return [segment for place, segment in enumerate(segments) if place in chosen]


def jitter_masks(segments: Sequence[Segment], strength: float, seed: int) -> list[Segment]:
    """Shifts and stretches each mask a little, as if somebody had drawn it in haste.

    Each side of its box is stretched by a factor e^u and moved by u times its length, each u uniform in -strength to
    strength. A mask that would leave the picture stays as it is.

    Raises:
        ConfigError: a strength below 0.
    """
    if strength < 0:
        raise ConfigError(f"expected a mask jitter of 0 or more, got {strength}")
    rng = np.random.default_rng(seed)
    return [_jitter(segment, rng.uniform(-strength, strength, 4)) for segment in segments]


def match_proposals(
    proposals: Sequence[Segment], segments: Sequence[Segment], min_overlap: float = 0.5
) -> list[Segment]:
    """Labels masks without classes with the segment of the same picture that they overlap most.

    Args:
        proposals: masks; their labels are not looked at.
        segments: labelled segments.
        min_overlap: smallest intersection over union of a mask that is kept.

    Returns:
        The kept masks, in order, each with its segment's label and group.

    Raises:
        ConfigError: an overlap outside 0 to 1.
        DataError: no mask overlaps a segment so much, or a mask has not the size of its picture's segments.
    """
    if not 0 < min_overlap <= 1:
        raise ConfigError(f"expected a smallest overlap above 0, up to 1, got {min_overlap}")
    by_image: dict[Path, list[Segment]] = {}
    for segment in segments:
        by_image.setdefault(segment.image.resolve(), []).append(segment)
    kept = []
    for proposal in proposals:
        known = by_image.get(proposal.image.resolve(), [])
        if any(segment.size != proposal.size for segment in known):
            raise DataError(f"{proposal.image}: a mask of {proposal.size} does not fit segments of {known[0].size}")
        if known:
            overlaps = coco_mask.iou([_bytes(proposal)], [_bytes(segment) for segment in known], [0] * len(known))[0]
            best = int(overlaps.argmax())
            if overlaps[best] >= min_overlap:
                kept.append(dataclasses.replace(proposal, label=known[best].label, group=known[best].group))
    if not kept:
        raise DataError(
            f"none of {len(proposals)} masks overlaps a labelled segment by {min_overlap}; check that they are of the "
            "same pictures"
        )
    return kept


def _bytes(segment: Segment) -> dict[str, object]:
    return {"size": list(segment.size), "counts": segment.rle["counts"].encode("ascii")}


def _jitter(segment: Segment, draws: np.ndarray) -> Segment:
    mask, (left, top, right, bottom) = segment.mask(), segment.box
    rows = _source(mask.shape[0], top, bottom, draws[0], draws[1])
    columns = _source(mask.shape[1], left, right, draws[2], draws[3])
    moved = np.zeros_like(mask)
    inside = np.ix_(rows >= 0, columns >= 0)
    moved[inside] = mask[np.ix_(rows[rows >= 0], columns[columns >= 0])]
    if not moved.any():
        return segment
    return Segment.from_mask(segment.image, moved, segment.label, segment.group)


def _source(length: int, start: int, stop: int, stretch: float, shift: float) -> np.ndarray:
    """Where each place comes from when start to stop is stretched about its middle and moved; -1: from nowhere."""
    middle, side = (start + stop) / 2, stop - start
    places = np.floor((np.arange(length) + 0.5 - middle - shift * side) / np.exp(stretch) + middle).astype(np.int64)
    return np.where((places >= start) & (places < stop), places, -1)
