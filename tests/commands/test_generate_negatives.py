"""generate_negatives.py as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opendas_plugin.commands.generate_negatives import main
from opendas_plugin.negatives.database import NegativeDatabase
from opendas_plugin.vocabulary import Vocabulary


def test_writes_five_names_a_class_with_their_source(domain: Path, tiny_backbone: str, tmp_path: Path) -> None:
    output = tmp_path / "made" / "negatives.json"
    flags = ["--vocabulary", str(domain / "vocabulary.json"), "--output", str(output), "--backbone", tiny_backbone]
    assert main([*flags, "--device", "cpu"]) == 0
    vocabulary = Vocabulary.load(domain / "vocabulary.json")
    NegativeDatabase.load(output).validate(vocabulary)
    content = json.loads(output.read_text())
    assert set(content) == set(vocabulary.base)
    assert all(set(item) == {"name", "source"} for items in content.values() for item in items)
    record = json.loads((output.parent / "negatives.run.json").read_text())
    assert record["config"]["source"] == "offline"


@pytest.mark.parametrize("missing", [True, False])
def test_a_vocabulary_that_cannot_be_read_is_named(missing: bool, tmp_path: Path, capsys) -> None:
    path = tmp_path / "vocabulary.json"
    if not missing:
        path.write_text('{"names": ["door", "Doors"]}')
    assert main(["--vocabulary", str(path), "--output", str(tmp_path / "negatives.json")]) == 1
    error = capsys.readouterr().err
    assert "vocabulary.json" in error and error.count("\n") == 1
    assert not (tmp_path / "negatives.json").exists()


def test_unknown_sources_are_bad_usage(tmp_path: Path) -> None:
    assert main(["--vocabulary", str(tmp_path / "v.json"), "--source", "oracle"]) == 2
