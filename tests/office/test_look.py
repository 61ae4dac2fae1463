"""The office look: dimmer and rougher than what was rendered, and the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from opendas_plugin.office.look import Look

NEUTRAL = Look(exposure=(1, 1), tint=0, vignette=0, defocus=(0, 0), motion=0, noise=(0, 0), quality=(95, 95))


def picture():
    y, x = np.mgrid[:96, :128]
    return np.stack([x * 2, y * 2, 255 - x], axis=-1).astype(np.uint8)


def changed(**fields):
    return replace(NEUTRAL, **fields)(picture(), np.random.default_rng(0)).astype(int)


def test_a_look_of_no_strength_leaves_the_picture():
    assert np.abs(changed() - picture()).mean() < 2


def test_exposure_is_a_factor_on_linear_light():
    dim = changed(exposure=(0.25, 0.25))
    assert np.abs(dim - picture() / 2).mean() < 2  # gamma 2: a quarter of the light is half the value


def test_each_part_does_what_it_says():
    plain = changed()
    assert changed(vignette=0.5)[-1, -1].sum() < 0.8 * plain[-1, -1].sum()
    assert np.ptp((changed(tint=0.3) - plain).mean(axis=(0, 1))) > 5
    speckle = np.repeat(np.random.default_rng(5).integers(0, 256, (64, 64, 1)), 3, axis=2).astype(np.uint8)
    for blur in (replace(NEUTRAL, defocus=(2, 2)), replace(NEUTRAL, motion=12.0)):
        assert blur(speckle, np.random.default_rng(1)).std() < 0.8 * speckle.std()
    noisy = changed(noise=(0.05, 0.05), quality=(95, 95))
    assert (noisy - plain).std() > 3


def test_the_default_is_dim_and_the_same_for_the_same_seed():
    first, second, third = (Look()(picture(), np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first.shape == picture().shape and first.dtype == np.uint8
    assert (first == second).all() and (first != third).any()
    assert first.mean() < 0.9 * picture().mean()
