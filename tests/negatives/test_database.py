"""The database of related names: what is refused, what is counted, and what comes back from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.names import fold_name
from opendas_plugin.negatives.database import Negative, NegativeDatabase
from opendas_plugin.negatives.words import word_list
from opendas_plugin.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("door", "office chair", "door frame", "mug"), novel=("door frame", "mug"))
RELATED = {
    "door": ["gate", "hatch", "Door Frames", "shutter", "curtain"],
    "office chair": ["stool", "bench", "a door frame", "throne", "sofa"],
}


def database(**changes: list[str]) -> NegativeDatabase:
    related = {**RELATED, **{name.replace("_", " "): names for name, names in changes.items()}}
    return NegativeDatabase({name: tuple(Negative(n, "hand") for n in names) for name, names in related.items()})


def test_a_saved_database_reads_back(tmp_path: Path) -> None:
    database().save(tmp_path / "negatives.json")
    loaded = NegativeDatabase.load(tmp_path / "negatives.json")
    assert loaded == database()
    assert loaded.digest() == database().digest() != database(door=["a", "b", "c", "d", "e"]).digest()


def test_classes_are_found_by_any_spelling_and_in_the_order_of_the_vocabulary() -> None:
    spelt = NegativeDatabase({"Office_Chairs": (Negative("x", "hand"),), "door": (Negative("y", "hand"),), "lamp": ()})
    assert spelt.related(VOCABULARY) == [("y",), ("x",)]


def test_names_of_a_class_are_not_those_of_its_plural_beside_it() -> None:
    """With one list for ``cup`` and ``cups``, one of them would learn against what was written for the other."""
    assert NegativeDatabase({"cup": (Negative("x", "hand"),)}).related(Vocabulary(("cups", "cup"))) == [(), ("x",)]


def test_a_sound_database_passes_and_names_equal_to_novel_ones_are_counted() -> None:
    database().validate(VOCABULARY)
    assert database().leaks(VOCABULARY) == {"door frame": 2}


def test_novel_names_can_be_dropped() -> None:
    dropped = database().without_novel(VOCABULARY)
    assert dropped.related(VOCABULARY) == [
        ("gate", "hatch", "shutter", "curtain"),
        ("stool", "bench", "throne", "sofa"),
    ]
    assert dropped.leaks(VOCABULARY) == {}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["gate", "hatch", "shutter", "curtain"],
            "'door': expected 5 distinct names, got gate, hatch, shutter, curtain;",
        ),
        (["gate", "Gates", "hatch", "shutter", "curtain"], "expected 5 distinct names"),
        (["gate", "hatch", "shutter", "curtain", "lid", "valve"], "expected 5 distinct names"),
        (["gate", "hatch", "shutter", "curtain", "The Doors"], "'The Doors' is the class itself"),
        (["gate", "hatch", "shutter", "curtain", "Office_chairs"], "is the training class 'office chair'"),
        ([], "got none"),
    ],
)
def test_what_is_wrong_is_named(names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        database(door=names).validate(VOCABULARY)


def test_novel_classes_need_no_names_of_their_own() -> None:
    database(mug=["cup"]).validate(VOCABULARY)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"door": "gate"}',
        '{"door": ["gate"]}',
        '{"door": [{"name": "gate"}]}',
        '{"door": [{"name": "", "source": "x"}]}',
        "{",
    ],
)
def test_a_file_of_another_form_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "negatives.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"negatives\.json"):
        NegativeDatabase.load(path)
    with pytest.raises(MissingFileError):
        NegativeDatabase.load(tmp_path / "none.json")


def test_the_word_list_has_each_name_once() -> None:
    words = word_list()
    assert len({fold_name(word) for word in words}) == len(words) > 1100
    assert {"tench", "traffic light", "whiteboard"} <= set(words)
