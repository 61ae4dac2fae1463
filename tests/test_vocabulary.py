from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.vocabulary import Vocabulary, fold_name

PLURALS = {
    "door": "doors",
    "frame": "frames",
    "bench": "benches",
    "vase": "vases",
    "box": "boxes",
    "glass": "glasses",
    "battery": "batteries",
    "cookie": "cookies",
    "bus": "buses",
    "office": "offices",
    "chair": "chairs",
}
WORDS = st.sampled_from(sorted(PLURALS))


@given(st.lists(WORDS, min_size=1, max_size=3), st.sampled_from(["", "a ", "An ", "THE "]), st.sampled_from("_- \t"))
def test_spellings_of_one_name_have_one_key(words, article, gap):
    plural = [*words[:-1], PLURALS[words[-1]]]
    assert fold_name(article + gap.join(plural).upper()) == fold_name(" ".join(words))


def test_different_names_have_different_keys():
    assert len({fold_name(word) for word in PLURALS}) == len(PLURALS)
    assert len({fold_name(name) for name in ["cloth", "clothes", "cafe", "cave", "desk", "disk", "a", "the wall"]}) == 8


def test_base_names_keep_their_order_and_texts_fill_the_template():
    vocabulary = Vocabulary(("wall", "door_frame", "mug"), novel=("door_frame",), template="a {} in a room")
    assert vocabulary.base == ("wall", "mug")
    assert vocabulary.index == {"wall": 0, "door_frame": 1, "mug": 2}
    assert vocabulary.texts() == ["a wall in a room", "a door frame in a room", "a mug in a room"]
    assert vocabulary.texts(["sofa"]) == ["a sofa in a room"]


@pytest.mark.parametrize(
    ("names", "novel", "template", "said"),
    [
        (("wall", " "), (), "{}", "number 2 is empty"),
        (("wall", "Walls"), (), "{}", "'wall' and 'Walls' are the same name"),
        (("wall", "door"), ("mug",), "{}", "'mug'"),
        (("wall", "door"), ("door", "a door"), "{}", "same name"),
        (("wall", "door"), ("wall", "door"), "{}", "not novel"),
        ((), (), "{}", "not novel"),
        (("wall",), (), "a photo", "template"),
        (("wall",), (), "{} and {}", "template"),
    ],
)
def test_names_that_do_not_fit_together_are_refused(names, novel, template, said):
    with pytest.raises(DataError, match=said):
        Vocabulary(names, novel, template)


def test_a_vocabulary_comes_back_from_its_file(tmp_path):
    vocabulary = Vocabulary(("wand", "tür", "窓"), ("窓",), "ein Foto: {}")
    vocabulary.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == vocabulary
    assert json.loads((tmp_path / "vocabulary.json").read_text())["novel"] == ["窓"]


@pytest.mark.parametrize("text", ["[]", '{"names": "wall"}', '{"names": [1]}', '{"names": ["a", "a"]}', "{", "{}"])
def test_a_file_that_is_no_vocabulary_is_named(tmp_path, text):
    path = tmp_path / "vocabulary.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"vocabulary\.json"):
        Vocabulary.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="nowhere"):
        Vocabulary.load(tmp_path / "nowhere.json")
