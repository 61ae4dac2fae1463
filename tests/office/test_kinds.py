"""Every object: builds from any seed, is sound, stands where it should and has a size one meets in a building."""

from __future__ import annotations

import numpy as np
import pytest

from opendas_plugin.office.kinds import KINDS


@pytest.mark.parametrize("name", sorted(KINDS))
def test_objects_are_sound_placed_and_of_a_plausible_size(name):
    kind = KINDS[name]
    for seed in range(4):
        mesh = kind.make(np.random.default_rng(seed))
        assert np.isfinite(mesh.vertices).all()
        assert mesh.faces.min() >= 0
        assert mesh.faces.max() < len(mesh.vertices)
        assert len(mesh.faces) == len(mesh.colours) < 1600
        assert mesh.colours.min() >= 0
        assert mesh.colours.max() <= 1
        low, high = mesh.bounds
        assert 0.04 < (high - low).max() < 3.5
        np.testing.assert_allclose((low + high)[0], 0, atol=0.05)
        if kind.mount == "ceiling":
            assert high[2] == pytest.approx(0, abs=1e-5)
        elif kind.mount != "surface":
            assert low[2] == pytest.approx(0, abs=1e-5)
        if kind.mount == "wall":
            assert high[1] == pytest.approx(0, abs=1e-5)
        elif kind.mount != "surface":
            assert (low + high)[1] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", ["desk", "monitor", "floor", "umbrella"])
def test_an_object_depends_on_its_seed_alone(name):
    first, again, other = (KINDS[name].make(np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.vertices, again.vertices)
    np.testing.assert_array_equal(first.colours, again.colours)
    assert first.colours.shape != other.colours.shape or not np.array_equal(first.colours, other.colours)
