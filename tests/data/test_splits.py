from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendas_plugin.data.splits import draw_novel, match_names, validation_groups
from opendas_plugin.errors import ConfigError, DataError

GROUPS = st.dictionaries(st.text("abc/1", min_size=1, max_size=4), st.integers(1, 20), min_size=2, max_size=30)
FRACTIONS = st.floats(0.01, 0.99)
NAMES = ("wall", "door", "door frame", "desk", "table", "mug", "sofa", "lamp", "globe", "fan")


@given(GROUPS, FRACTIONS, st.integers(0, 100))
def test_both_splits_get_whole_groups(sizes, fraction, seed):
    chosen = validation_groups(sizes, fraction, seed)
    assert chosen < set(sizes)
    assert chosen
    assert chosen == validation_groups(dict(reversed(sizes.items())), fraction, seed)


@given(st.integers(10, 300), FRACTIONS, st.integers(0, 100))
def test_groups_of_one_image_give_the_fraction(count, fraction, seed):
    chosen = validation_groups({f"{number}": 1 for number in range(count)}, fraction, seed)
    assert abs(len(chosen) - min(max(fraction * count, 1), count - 1)) <= 1


def test_seeds_give_different_splits():
    sizes = dict.fromkeys(map(str, range(50)), 1)
    assert len({frozenset(validation_groups(sizes, 0.2, seed)) for seed in range(10)}) == 10


def test_what_cannot_be_split_is_refused():
    with pytest.raises(DataError, match="two groups"):
        validation_groups({"room": 9}, 0.2, 0)
    for fraction in (0, 1, -0.5, float("nan")):
        with pytest.raises(ConfigError, match="fraction"):
            validation_groups({"a": 1, "b": 1}, fraction, 0)


@given(st.sets(st.sampled_from(NAMES)), FRACTIONS, st.integers(0, 50))
def test_novel_names_are_drawn_from_those_with_a_validation_segment(seen, fraction, seed):
    count = max(1, round(fraction * len(NAMES)))
    if count > len(seen) or count == len(NAMES):
        with pytest.raises(DataError, match="smaller fraction"):
            draw_novel(NAMES, seen, fraction, seed)
        return
    novel = draw_novel(NAMES, seen, fraction, seed)
    assert len(novel) == len(set(novel)) == count
    assert set(novel) <= seen
    assert sorted(novel, key=NAMES.index) == list(novel)
    assert novel == draw_novel(NAMES, seen, fraction, seed)


def test_novel_names_may_be_spelt_otherwise_and_come_in_the_order_of_the_vocabulary():
    assert match_names(NAMES, ["Mugs", "the door_frame"]) == ("door frame", "mug")
    assert match_names(NAMES, []) == ()


@pytest.mark.parametrize(("wanted", "said"), [(["stool"], "'stool'"), (["mug", "Mug"], "same name"), ([""], "empty")])
def test_novel_names_must_be_names(wanted, said):
    with pytest.raises(DataError, match=said):
        match_names(NAMES, wanted)
