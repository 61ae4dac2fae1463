"""The gates of a tiny CLIP: each figure against plain numpy, and what is said of the towers that ship."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from opendas_plugin.errors import DataError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.checkpoint import backbone_sha256
from opendas_plugin.office import gates
from opendas_plugin.office.gates import Gate
from opendas_plugin.office.names import NAMES
from opendas_plugin.office.web import COLOURS
from opendas_plugin.vocabulary import DEFAULT_TEMPLATE, fill


@pytest.fixture(scope="module")
def shipped():
    return OpenDASCLIP.from_backbone("office-tiny")


def random_features(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def test_the_nearest_pair_is_numpys():
    features = random_features(9, 5)
    rows = features.double().numpy()
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = rows @ rows.T - 2 * np.eye(9)
    cosine, first, second = gates.worst_pair(features)
    assert cosine == pytest.approx(cosines.max(), abs=1e-6)
    assert cosines[first, second] == cosines.max()


def test_the_participation_ratio_is_that_of_numpys_covariance():
    features = random_features(40, 6) * torch.tensor([5.0, 3, 1, 1, 0.5, 0.1])
    rows = features.double().numpy()
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    strengths = np.linalg.eigvalsh(np.cov(rows.T))
    expected = strengths.sum() ** 2 / (strengths**2).sum()
    assert gates.participation(features).item() == pytest.approx(expected, rel=1e-5)


def test_directions_of_equal_strength_count_one_each():
    assert gates.participation(torch.cat([torch.eye(4), -torch.eye(4)])).item() == pytest.approx(4)
    assert gates.participation(torch.tensor([[1.0, 0, 0], [0, 1, 0]])).item() == pytest.approx(1)


def test_a_colour_is_right_where_its_caption_is_nearest_among_those_of_the_name():
    images = torch.tensor([[[1.0, 0.1], [0.1, 1]], [[1, 0.1], [0.1, 1]]])  # two names, two pictures each
    texts = torch.tensor([[[9.0, 0], [0, 1]], [[0, 1], [1, 0]]])  # the second name's captions are the other way round
    right = gates.colours_right(images, texts, torch.tensor([[0, 0], [0, 0]]))
    assert right.tolist() == [[True, False], [False, True]]


def test_a_build_stops_with_the_names_of_the_gates_that_are_missed():
    gates.require([Gate("a", 0.5, above=0.1, below=0.9)])
    with pytest.raises(DataError, match=r"misses 2 of 3 gates: b: 0\.500, to be above 0\.5.*; c: nan"):
        gates.require([Gate("a", 0.5), Gate("b", 0.5, above=0.5), Gate("c", float("nan"), below=1)])


def test_prompts_move_names_and_leave_the_tower_as_it_is(shipped):
    before = backbone_sha256(shipped)
    start, later = (gates.prompt_reach(shipped, NAMES[:6], steps) for steps in (0, 8))
    assert start.min() > 0.9  # noise of 0.02 in the place of the later layers' context
    assert later.min() < start.min() - 0.01
    assert later.shape == (6,)
    assert not later.requires_grad
    assert backbone_sha256(shipped) == before


def test_the_names_of_the_shipped_tower_are_apart(shipped):
    with torch.no_grad():
        features = shipped.encode_text(shipped.tokenize([fill(DEFAULT_TEMPLATE, name) for name in NAMES]))
    assert gates.worst_pair(features)[0] < 0.95
    assert gates.participation(features) > gates.FIRST_TOWERS_RATIO
    door, frame = (features[NAMES.index(name)] for name in ("door", "door frame"))
    assert torch.cosine_similarity(door, frame, dim=0) < 0.7


def test_the_first_tower_takes_a_door_frame_for_a_door():
    first = OpenDASCLIP.from_backbone("office-tiny-v1")
    names = ("desk", "door", "door frame", "mug", "sofa")
    noise = np.random.default_rng(0).integers(0, 256, (len(names), 2, 224, 224, 3), dtype=np.uint8)
    colours, withheld = np.zeros((len(names), 2), dtype=np.int64), np.zeros((len(names), len(COLOURS)), dtype=bool)
    found = gates.measure(first, noise, colours, withheld, 37.0, names)
    nearest, ratio, _, unseen, _, top1, office = found
    assert nearest.value == pytest.approx(1, abs=1e-4)
    assert nearest.detail == "door, door frame"
    assert ratio.value < 4  # five names differ in four directions at most
    assert not unseen.holds  # there are no such pictures, so nothing is known
    assert top1.value <= 20  # all noise looks the same, and is given one name
    assert office.holds
    assert next(gate.name for gate in found if not gate.holds) == "cosine of the two nearest names"
