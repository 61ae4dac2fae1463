"""Candidates and selection against cases worked by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from opendas_plugin.negatives.mining import own_candidates, pool_candidates, select, training_candidates

RELATED = [["gate", "hatch"], ["fence"], ["gate", "lid", "shutter"]]
CLASSES = ["door", "wall", "window"]
ALL = torch.ones(1, 4, dtype=torch.bool)


def names(candidates, c: int) -> list[str]:
    return [candidates.names[i] for i in candidates.rows[c].tolist() if i >= 0]


def test_own_names_come_after_the_classes_and_once_each() -> None:
    candidates = own_candidates(CLASSES, RELATED)
    assert candidates.names == ("door", "wall", "window", "gate", "hatch", "fence", "lid", "shutter")
    assert [names(candidates, c) for c in range(3)] == RELATED
    assert candidates.rows.tolist() == [[3, 4, -1], [5, -1, -1], [3, 6, 7]]


def test_a_database_without_names_leaves_no_candidate() -> None:
    assert own_candidates(CLASSES, [[], [], []]).rows.shape == (3, 0)


def test_the_pool_is_everybodys_names() -> None:
    candidates = pool_candidates(CLASSES, RELATED)
    assert all(names(candidates, c) == ["gate", "hatch", "fence", "lid", "shutter"] for c in range(3))


def test_training_names_are_the_nearest_others() -> None:
    angles = torch.tensor([0.0, 0.1, 0.3, 1.0])
    text = torch.stack([angles.cos(), angles.sin()], dim=-1) * torch.tensor([[1.0], [5.0], [2.0], [3.0]])
    candidates = training_candidates(["a", "b", "c", "d"], text, count=2)
    assert [names(candidates, c) for c in range(4)] == [["b", "c"], ["a", "c"], ["b", "a"], ["c", "b"]]
    assert training_candidates(["a", "b", "c", "d"], text).rows.shape == (4, 3)


def test_hardest_is_the_nearest_valid_one() -> None:
    negative = torch.tensor([[1.2, 0.8, 0.9, 0.1]])
    valid = torch.tensor([[True, True, True, False]])
    for rule in ("hardest", "pool", "training"):
        assert select(rule, torch.tensor([1.0]), negative, valid)[0].tolist() == [[1]]
    chosen, there = select("hardest", torch.tensor([1.0]), negative, valid, count=4)
    assert chosen.tolist() == [[1, 2, 0, 3]]
    assert there.tolist() == [[True, True, True, False]]


def test_semi_hard_is_the_nearest_beyond_the_positive_else_the_furthest() -> None:
    negative = torch.tensor([[0.2, 1.4, 1.1, 0.7]])
    assert select("semi_hard", torch.tensor([1.0]), negative, ALL, count=4)[0].tolist() == [[2, 1, 3, 0]]
    assert select("semi_hard", torch.tensor([2.0]), negative, ALL)[0].tolist() == [[1]]
    assert select("semi_hard", torch.tensor([1.1]), negative, ALL)[0].tolist() == [[1]], "equally far is not further"


def test_random_goes_by_the_numbers_given() -> None:
    randoms = torch.tensor([[0.5, 0.1, 0.9, 0.2]])
    assert select("random", torch.zeros(1), torch.zeros(1, 4), ALL, count=2, randoms=randoms)[0].tolist() == [[1, 3]]
    with pytest.raises(ValueError, match="random numbers"):
        select("random", torch.zeros(1), torch.zeros(1, 4), ALL)


@given(data=st.data())
def test_nothing_invalid_is_taken_while_something_valid_is_left(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 6))
    floats = st.lists(st.floats(0, 2, width=32), min_size=width, max_size=width)
    negative, randoms = torch.tensor([data.draw(floats)]), torch.tensor([data.draw(floats)])
    valid = torch.tensor([data.draw(st.lists(st.booleans(), min_size=width, max_size=width))])
    count = data.draw(st.integers(1, width))
    for rule in ("hardest", "semi_hard", "random"):
        chosen, there = select(rule, torch.tensor([1.0]), negative, valid, count, randoms)
        assert there.sum() == min(count, int(valid.sum()))
        assert len(set(chosen[0].tolist())) == count
        if rule == "hardest" and there[0, 0]:
            assert negative[0, chosen[0, 0]] == negative[valid].min()
