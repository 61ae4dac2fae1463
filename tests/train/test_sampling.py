"""Batches are pure functions of the seed, and what they promise about each segment holds."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from opendas_plugin.train.sampling import Purpose, epoch_batches, seed_of, steps_per_epoch

LABELS = [0] * 90 + [1] * 9 + [3]


@given(segments=st.integers(1, 200), batch_size=st.integers(1, 32), seed=st.integers(0, 99))
def test_uniform_takes_each_segment_at_most_once_in_whole_batches(segments: int, batch_size: int, seed: int) -> None:
    batches = epoch_batches([0] * segments, batch_size, "uniform", seed)
    taken = [index for batch in batches for index in batch]
    assert len(set(taken)) == len(taken)
    assert len(batches) == steps_per_epoch(segments, batch_size)
    if segments >= batch_size:
        assert {len(batch) for batch in batches} == {batch_size}
        assert len(taken) == segments - segments % batch_size
    else:
        assert sorted(taken) == list(range(segments))


def test_class_balanced_draws_every_class_alike() -> None:
    drawn = Counter()
    for seed in range(60):
        for batch in epoch_batches(LABELS, 10, "class_balanced", seed):
            drawn.update(LABELS[index] for index in batch)
    shares = np.array([drawn[label] for label in (0, 1, 3)]) / drawn.total()
    assert drawn.total() == 6000
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)


def test_class_balanced_reaches_every_segment() -> None:
    taken = {i for seed in range(60) for batch in epoch_batches(LABELS, 10, "class_balanced", seed) for i in batch}
    assert taken == set(range(100))


def test_batches_depend_on_the_seed_alone() -> None:
    for sampler in ("uniform", "class_balanced"):
        first, again, other = (epoch_batches(LABELS, 16, sampler, seed) for seed in (1, 1, 2))
        assert first == again != other


def test_every_position_has_its_own_seed() -> None:
    positions = list(itertools.product(Purpose, range(2), range(2), range(3), range(9)))
    assert len({seed_of(*position) for position in positions}) == len(positions)
    assert all(0 <= seed_of(*position) < 2**63 for position in positions)
