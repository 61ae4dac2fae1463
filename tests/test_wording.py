"""Counts in sentences: one thing, several, none, and thousands."""

from __future__ import annotations

import pytest

from opendas_plugin.wording import counted, some_of


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((1, "photo"), "1 photo"), ((2, "photo"), "2 photos"), ((0, "photo"), "0 photos"),
        ((2870, "photo"), "2,870 photos"),
        ((1, "class is", "classes are"), "1 class is"), ((0, "class is", "classes are"), "0 classes are"),
    ],
)  # fmt: skip
def test_one_several_and_none(given, said):
    assert counted(*given) == said


@pytest.mark.parametrize(
    ("count", "total", "said"),
    [
        (1, 3, "1 of 3 photos has"),
        (2, 2870, "2 of 2,870 photos have"),
        (1, 1, "1 of 1 photo has"),
        (0, 2, "0 of 2 photos have"),
    ],
)
def test_some_of_all(count, total, said):
    assert some_of(count, total, "photo", "has", "have") == said
