"""The web look: deterministic pictures of the asked size with the object in view, and captions that fit the tower."""

from __future__ import annotations

import numpy as np
import open_clip
import pytest

from opendas_plugin.office.geometry import box, merge
from opendas_plugin.office.names import NAMES
from opendas_plugin.office.web import COLOURED, COLOURS, TEMPLATES, colour_of, web_image


@pytest.mark.parametrize("name", ["desk", "wall outlet", "ceiling fan", "floor"])
def test_a_picture_depends_on_its_seed_alone(name):
    (first, colour), (again, _), (other, _) = (web_image(name, np.random.default_rng(seed), 64) for seed in (1, 1, 2))
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    assert colour in COLOURS
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_object_fills_a_good_part_of_the_picture_at_any_size():
    for seed in range(5):
        small, large = (web_image("traffic cone", np.random.default_rng(seed), size)[0] for size in (56, 112))
        orange = [(np.abs(image.astype(int) - (235, 130, 50)).sum(axis=2) < 120).mean() for image in (small, large)]
        assert 0.02 < orange[1] < 0.6
        assert orange[0] == pytest.approx(orange[1], abs=0.03)


def test_the_colour_of_a_thing_is_that_of_its_largest_part():
    assert (
        colour_of(merge([box((1, 1, 1), (0, 0, 0), (0.7, 0.1, 0.1)), box((1, 1, 0.1), (0, 0, 2), (0, 0, 0))])) == "red"
    )


def test_captions_are_short_and_the_plain_prompt_is_one_of_them():
    assert TEMPLATES[0] == "a photo of a {}."
    texts = [template.format(name) for template in TEMPLATES for name in NAMES]
    texts += [COLOURED.format(colour, name) for colour in COLOURS for name in NAMES]
    tokens = open_clip.SimpleTokenizer()(texts)
    assert int((tokens != 0).sum(dim=1).max()) < 20
