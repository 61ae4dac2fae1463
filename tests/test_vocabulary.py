from __future__ import annotations

import json

import pytest

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.label_values import LabelValues
from opendas_plugin.vocabulary import Vocabulary, read_names


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
        (("wall", "_WALL"), (), "{}", "'wall' and '_WALL' are the same name"),
        (("wall", "door"), ("mug",), "{}", "'mug'"),
        (("wall", "door"), ("door", "Door"), "{}", "same name"),
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


def test_label_values_come_back_with_the_names(tmp_path):
    values = LabelValues(((0,), (11, 34), ()), ignored=(255, 1))
    vocabulary = Vocabulary(("wall", "building", "sky"), values=values)
    vocabulary.save(tmp_path / "vocabulary.json")
    stored = json.loads((tmp_path / "vocabulary.json").read_text())
    assert stored["values"] == {"wall": 0, "building": [11, 34], "sky": []}
    assert stored["ignored"] == [255, 1]
    assert Vocabulary.load(tmp_path / "vocabulary.json") == vocabulary


def test_a_file_without_label_values_states_none(tmp_path):
    (tmp_path / "vocabulary.json").write_text('{"names": ["wall"], "novel": [], "template": "a {}"}')
    assert Vocabulary.load(tmp_path / "vocabulary.json").values is None


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"wall": 0}, "'door' has no value"),
        ({"wall": 0, "door": 1, "mug": 2}, "'mug' is not one of the names"),
        ({"wall": 0, "door": 0}, "label value 0 has two meanings"),
        ({"wall": 0, "door": 7}, "label value 7 has two meanings"),
        ({"wall": 0, "door": -1}, "from 0 to 2"),
        ({"wall": 0, "door": 1.0}, "from 0 to 2"),
        ({"wall": 0, "door": True}, "from 0 to 2"),
        ({"wall": 0, "door": "1"}, "from 0 to 2"),
        ({"wall": 0, "door": None}, "from 0 to 2"),
        ([0, 1], "expected"),
    ],
)
def test_label_values_that_do_not_fit_the_names_are_refused(tmp_path, values, says):
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps({"names": ["wall", "door"], "values": values, "ignored": [7]}))
    with pytest.raises(DataError, match=rf"vocabulary\.json.*{says}"):
        Vocabulary.load(path)


def test_composed_and_decomposed_letters_are_one_name():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert Vocabulary((decomposed, "door")) == Vocabulary((composed, "door"))
    assert Vocabulary((composed, "door"), novel=(decomposed,)).novel == (composed,)
    with pytest.raises(DataError, match=r"'caf\\xe9' and 'cafe\\u0301' are the same name"):
        Vocabulary((composed, decomposed))


@pytest.mark.parametrize("text", ["[]", '{"names": "wall"}', '{"names": [1]}', '{"names": ["a", "a"]}', "{", "{}"])
def test_a_file_that_is_no_vocabulary_is_named(tmp_path, text):
    path = tmp_path / "vocabulary.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"vocabulary\.json"):
        Vocabulary.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="nowhere"):
        Vocabulary.load(tmp_path / "nowhere.json")


def test_a_list_of_names_may_be_longer_than_any_path() -> None:
    names = [f"class number {number}" for number in range(1000)]
    assert read_names(",".join(names)) == names
    with pytest.raises(MissingFileError, match="is not a file of names"):
        read_names("n" * 5000)
