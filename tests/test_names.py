"""When two spellings are one name: within a list, and between two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendas_plugin.data.splits import match_names
from opendas_plugin.errors import DataError
from opendas_plugin.names import NameTable, fold_name, spell_name
from opendas_plugin.runs.classification import mark_base
from opendas_plugin.vocabulary import Vocabulary, read_names

PLURALS = {
    "door": "doors",
    "frame": "frames",
    "bench": "benches",
    "vase": "vases",
    "box": "boxes",
    "lens": "lenses",
    "battery": "batteries",
    "cookie": "cookies",
    "bus": "buses",
    "office": "offices",
    "chair": "chairs",
}
WORDS = st.sampled_from(sorted(PLURALS))
PAIRS = [("glass", "glasses"), ("wood", "woods"), ("len", "lens"), ("new", "news"), ("arm", "arms"), ("good", "goods")]
"""Two names, of which the second looks like a plural of the first and is not."""


@given(st.lists(WORDS, min_size=1, max_size=3), st.sampled_from(["", "a ", "An ", "THE "]), st.sampled_from("_- \t"))
def test_spellings_of_one_name_have_one_key(words, article, gap):
    plural = [*words[:-1], PLURALS[words[-1]]]
    assert fold_name(article + gap.join(plural).upper()) == fold_name(" ".join(words))


def test_different_names_have_different_keys():
    assert len({fold_name(word) for word in PLURALS}) == len(PLURALS)
    names = [
        "cloth",
        "clothes",
        "cafe",
        "cave",
        "desk",
        "disk",
        "a",
        "the wall",
        *(name for pair in PAIRS for name in pair),
    ]
    assert len({fold_name(name) for name in names}) == len(names)


@given(st.lists(st.sampled_from([*PLURALS, *PLURALS.values(), *(n for pair in PAIRS for n in pair)]), unique=True))
def test_every_name_of_a_list_finds_itself_whatever_else_is_in_it(names):
    table = NameTable(names)
    assert [table.find(name.upper()) for name in names] == names


@pytest.mark.parametrize("pair", [*PAIRS, ("window", "windows")])
def test_one_list_may_hold_a_thing_and_what_looks_like_its_plural(pair):
    assert Vocabulary(pair, novel=pair[1:]).base == pair[:1]
    assert read_names(list(pair)) == list(pair)
    assert match_names(pair, pair[1:]) == pair[1:]


def test_names_that_a_list_has_once_are_not_both_found_in_it():
    with pytest.raises(DataError, match="'cups' of the novel names is not one of the 2 class names"):
        match_names(["cup", "desk"], ["cup", "cups"])


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_another_lists_name_is_not_taken_for_another_thing(first, second):
    assert second not in NameTable([first])
    assert first not in NameTable([second])


def test_another_list_is_searched_by_article_and_plural_where_that_leaves_one_name():
    assert NameTable(["door", "desk"]).find("The Doors") == "door"
    assert NameTable(["door", "doors"]).find("the door") is None  # "the door" is spelled like neither
    assert NameTable(["door", "doors"]).find("DOORS") == "doors"


def test_of_a_list_with_a_thing_and_its_plural_each_name_is_found_once_in_another_list(tmp_path):
    table = NameTable(["cup", "a desk"])
    assert table.find_all(["cups", "desks"]) == {"cups": "cup", "desks": "a desk"}
    assert table.find_all(["cups", "cup", "desk"]) == {"cups": None, "cup": "cup", "desk": "a desk"}
    assert table.find_all(["lamp", "cup"]) == {"lamp": None, "cup": "cup"}
    assert table.find_all(["a cup", "cups"]) == {"a cup": None, "cups": None}  # neither is spelled so
    Vocabulary(["cup", "a desk"]).save(tmp_path / "trained.json")
    assert mark_base(Vocabulary(["cups", "cup", "desk"]), tmp_path / "trained.json").novel == ("cups",)
    assert mark_base(Vocabulary(["cups", "desk"]), tmp_path / "trained.json").novel == ()


def test_composed_and_decomposed_letters_are_found():
    assert NameTable(["caf\u00e9"]).find("cafe\u0301") == "caf\u00e9"
    assert spell_name("Cafe\u0301") == spell_name("caf\u00e9")
    assert match_names(["caf\u00e9", "wall"], ["cafe\u0301"]) == ("caf\u00e9",)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["mug", "MUG"], "'mug' and 'MUG' are the same name"),
        (["caf\u00e9", "cafe\u0301"], r"'caf\\xe9' and 'cafe\\u0301' are the same name"),
        (["\u212b", "\u00c5"], r"'\\u212b' and '\\xc5' are the same name"),
    ],
)
def test_names_that_are_one_are_shown_so_that_they_can_be_told_apart(names, says):
    with pytest.raises(DataError, match=says):
        read_names(names)
