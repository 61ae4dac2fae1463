"""Augmentation against torchvision's RandomResizedCrop, fed with the same random numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from opendas_plugin.data.augment import Augmentation, random_part
from opendas_plugin.errors import ConfigError


class TorchNumbers:
    """Gives a Generator's calls the numbers that torchvision draws."""

    def uniform(self, low, high):
        return torch.empty(1).uniform_(low, high).item()

    def integers(self, low, high):
        return torch.randint(low, high, size=(1,)).item()


@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.5, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("size", [(60, 80), (300, 20), (20, 300), (1, 1), (1, 40), (40, 1), (224, 224)])
def test_the_part_is_the_one_that_torchvision_draws(size, scale):
    picture = Image.new("RGB", size[::-1])
    for seed in range(30):
        torch.manual_seed(seed)
        expected = RandomResizedCrop.get_params(picture, list(scale), [3 / 4, 4 / 3])
        torch.manual_seed(seed)
        ours = random_part(*size, scale, TorchNumbers())
        top, left, height, width = ours
        if expected[2] > 0 and expected[3] > 0:  # torchvision's fallback can be empty in pictures of one pixel
            assert ours == tuple(expected)
        assert 0 <= top < top + height <= size[0]
        assert 0 <= left < left + width <= size[1]


def test_half_of_the_views_are_mirrored_and_nothing_else_changes():
    region = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    views = [Augmentation("rrc_flip", (1.0, 1.0))(region, 16, np.random.default_rng(seed)) for seed in range(400)]
    straight = sum(np.array_equal(view, region) for view in views)
    mirrored = sum(np.array_equal(view, region[:, ::-1]) for view in views)
    whole = straight + mirrored
    assert whole > 100
    assert 0.35 < mirrored / whole < 0.65


def test_a_view_depends_on_its_generator_alone():
    region = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    augment = Augmentation("rrc_flip")
    first, again, other = (augment(region, 32, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (32, 32, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("values", [{"kind": "blur"}, {"scale": (0.5, 0.1)}, {"scale": (0, 1)}, {"scale": (0.5, 2)}])
def test_settings_out_of_range_are_refused(values):
    with pytest.raises(ConfigError, match="augmentation"):
        Augmentation(**values)
