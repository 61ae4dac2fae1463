"""Few shots, moved masks and matched proposals, against counting and intersection over union by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from opendas_plugin.data.segments import Segment
from opendas_plugin.data.subsets import few_shots, jitter_masks, match_proposals
from opendas_plugin.errors import ConfigError, DataError


def block(top: int, left: int, side: int, label: str = "a", image: str = "one.png") -> Segment:
    mask = np.zeros((40, 60), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return Segment.from_mask(Path(image), mask, label)


def iou(a: Segment, b: Segment) -> float:
    return (a.mask() & b.mask()).sum() / (a.mask() | b.mask()).sum()


def test_each_class_has_its_shots_and_the_seed_decides_which() -> None:
    segments = [block(i % 5, i, 8, label) for i, label in enumerate("aaaabbbbbbc" * 2)]
    chosen = few_shots(segments, 3, seed=1)
    assert Counter(segment.label for segment in chosen) == {"a": 3, "b": 3, "c": 2}
    assert [segments.index(segment) for segment in chosen] == sorted(segments.index(segment) for segment in chosen)
    assert few_shots(segments, 3, seed=1) == chosen != few_shots(segments, 3, seed=2)
    assert few_shots(segments, 99, seed=0) == segments
    with pytest.raises(ConfigError, match="1 or more shots"):
        few_shots(segments, 0, seed=0)


def test_a_moved_mask_overlaps_its_own_by_less_the_more_it_is_moved() -> None:
    segments = [block(8 + i % 7, 10 + i, 16) for i in range(20)]
    assert [s.mask().tolist() for s in jitter_masks(segments, 0, seed=0)] == [s.mask().tolist() for s in segments]
    means = []
    for strength in (0.05, 0.2, 0.5):
        moved = jitter_masks(segments, strength, seed=3)
        assert [(s.label, s.image) for s in moved] == [(s.label, s.image) for s in segments]
        means.append(np.mean([iou(a, b) for a, b in zip(moved, segments, strict=True)]))
    assert 1 > means[0] > means[1] > means[2] > 0.2
    assert moved == jitter_masks(segments, 0.5, seed=3) != jitter_masks(segments, 0.5, seed=4)


def test_a_mask_is_shifted_and_stretched_by_what_was_drawn(monkeypatch) -> None:
    class Fixed:
        def uniform(self, low: float, high: float, count: int) -> np.ndarray:
            return np.array([np.log(2), 0.25, 0.0, -0.5])  # rows: twice as long, a quarter down; columns: half left

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Fixed())
    (moved,) = jitter_masks([block(10, 20, 8)], 1.0, seed=0)
    assert moved.box == (16, 8, 24, 24) and moved.area == 8 * 16


def test_masks_get_the_label_of_what_they_overlap_most() -> None:
    segments = [block(0, 0, 10, "a"), block(0, 20, 10, "b"), block(0, 0, 10, "c", "two.png")]
    proposals = [
        block(0, 2, 10, ""),
        block(0, 21, 10, ""),
        block(25, 45, 10, ""),
        block(0, 0, 20, ""),
        block(0, 0, 9, "", "3.png"),
    ]
    kept = match_proposals(proposals, segments)
    assert [(segment.label, segment.box) for segment in kept] == [("a", proposals[0].box), ("b", proposals[1].box)]
    assert [s.label for s in match_proposals(proposals, segments, 0.2)] == ["a", "b", "a"]
    assert iou(proposals[3], segments[0]) == 0.25
    with pytest.raises(DataError, match="none of 1 masks overlaps"):
        match_proposals(proposals[2:3], segments)
    with pytest.raises(ConfigError, match="smallest overlap above 0"):
        match_proposals(proposals, segments, 0.0)
