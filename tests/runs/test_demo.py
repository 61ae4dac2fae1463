"""The demo: what is shown of a photo, and which flags go together. Its page: :mod:`tests.runs.test_demo_page`."""

from __future__ import annotations

import pytest

from opendas_plugin.commands.demo import main
from opendas_plugin.errors import DataError
from opendas_plugin.labeller import Labeller
from opendas_plugin.runs.mask_sources import Superpixels
from opendas_plugin.runs.showing import Showing
from tests.runs.demo_browser import picture

NAMES = "door, desk, globe"


@pytest.fixture(scope="module")
def showing():
    pytest.importorskip("skimage")
    return Showing({"plain CLIP": Labeller("office-tiny", ["x", "y"])}, Superpixels(12))


def test_a_click_has_the_names_of_the_mask_below_it(showing) -> None:
    named = showing.name(picture(), NAMES)
    rows = named.at(70, 50)
    place = next(number for number, mask in enumerate(named.masks) if mask[50, 70])
    labels = Labeller("office-tiny", ["door", "desk", "globe"])(picture(), [named.masks[place]])
    expected = dict(zip(labels.classes, (100 * labels.probabilities[0]).tolist(), strict=True))
    assert [name for name, _ in rows] == sorted(expected, key=lambda name: -expected[name])
    assert all(chance == pytest.approx(expected[name], abs=0.06) for name, chance in rows)
    assert list(named.overlays()) == ["plain CLIP"]


def test_the_last_photo_is_kept_until_photo_or_names_change(showing) -> None:
    first = showing.name(picture(), NAMES)
    assert showing.name(picture(), "door,desk , globe") is first
    other = showing.name(picture(), "door, desk")
    assert other is not first and set(other.labels["plain CLIP"].names) <= {"door", "desk"}
    assert showing.name(picture()[:, ::-1], NAMES) is not first


@pytest.mark.parametrize(
    ("image", "words", "said"),
    [
        (None, NAMES, "expected a photo"),
        (picture(), "door", "expected two names or more"),
        (picture(), "door, Door", "door"),
        (picture(), "", "expected two names or more|holds no name"),
    ],
)
def test_what_cannot_be_named_is_one_sentence(showing, image, words, said) -> None:
    with pytest.raises(DataError, match=said):
        showing.name(image, words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scene", "kitchen"], "--scene and --features go together"),
        (["--masks", "masks.json"], "--masks is superpixels, or sam: and a checkpoint"),
        (["--port", "0"], "--port is from 1 to 65535"),
        (["--scene-masks", "m.pt"], "without a --scene"),
        (["--sam.points-per-side", "4"], "--sam has no effect without --masks of SAM"),
        (["--masks", "sam:s", "--sam.points-per-side", "0"], "--sam.points-per-side must be 1 or more"),
    ],
)
def test_flags_that_do_not_fit_are_refused(words, said, capsys) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err
