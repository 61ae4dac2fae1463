"""The names of the office domain and the hand-written related names keep the rules that the experiments rest on."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from opendas_plugin.names import fold_name
from opendas_plugin.office.kinds import KINDS
from opendas_plugin.office.names import BASE, CLASSES, NAMES, NOVEL_TEST, NOVEL_TUNE, OUTSIDE, PAIRS

RELATED = json.loads((files("opendas_plugin.office") / "negatives.json").read_text(encoding="utf-8"))


def test_there_are_enough_classes_and_names_and_none_twice():
    assert len(CLASSES) == 52
    assert len(NAMES) >= 130
    assert len({fold_name(name) for name in NAMES}) == len(NAMES)
    assert (*BASE, *NOVEL_TEST, *NOVEL_TUNE) == CLASSES
    assert CLASSES + OUTSIDE == NAMES


def test_both_novel_lists_hold_at_least_eight_names_half_of_them_partners_of_a_base_name():
    assert {partner for _, partner in PAIRS} <= set(NOVEL_TEST)
    assert {name for name, _ in PAIRS} <= set(BASE)
    assert min(len(NOVEL_TEST), len(NOVEL_TUNE)) >= 8
    assert len(PAIRS) * 2 >= len(NOVEL_TEST)


def test_every_name_has_a_kind_and_every_kind_a_name():
    assert set(KINDS) == set(NAMES)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_has_five_related_names_that_the_tower_knows_and_that_training_does_not(name):
    related = [entry["name"] for entry in RELATED[name]]
    assert len({fold_name(other) for other in related}) == 5
    assert set(related) <= set(NAMES)
    assert fold_name(name) not in {fold_name(other) for other in related}
    assert not {fold_name(other) for other in related} & {fold_name(other) for other in BASE}
    assert {entry["source"] for entry in RELATED[name]} == {"hand"}


def test_related_names_are_there_for_the_classes_alone():
    assert list(RELATED) == list(CLASSES)
