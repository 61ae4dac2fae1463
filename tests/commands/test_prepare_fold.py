"""Folds of a domain: which names they hold out, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opendas_plugin.commands.prepare_data import main
from opendas_plugin.data.domain import load_domain


def test_a_fold_is_a_domain_that_reads_the_same_pictures(street, capsys):
    assert main([*street, "--seed", "3"]) == 0
    assert main(["fold", "--data", "out", "--output", "folds/0", "--folds", "3"]) == 0
    whole, fold = load_domain("out"), load_domain("folds/0")
    assert fold.vocabulary.novel == ("sky",)
    assert {segment.label for segment in fold.train} == {"road", "car"}
    assert [segment.image.resolve() for segment in fold.val] == [segment.image.resolve() for segment in whole.val]
    assert "name held out" in capsys.readouterr().out


def test_folds_hold_out_every_base_name_once(street):
    assert main([*street, "--novel-fraction", "0.34", "--seed", "3"]) == 0
    whole, held = load_domain("out").vocabulary, []
    for fold in ("0", "1"):
        assert main(["fold", "--data", "out", "--output", f"folds/{fold}", "--folds", "2", "--fold", fold]) == 0
        held += set(load_domain(f"folds/{fold}").vocabulary.novel) - set(whole.novel)
    assert sorted(held) == sorted(whole.base)


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["--folds", "1"], "--folds must be from 2 to the 3 base names, got 1"),
     (["--folds", "2", "--fold", "2"], "--fold must be from 0 to 1, got 2")],
)  # fmt: skip
def test_folds_that_cannot_be_are_named(street, capsys, flags, message):
    assert main(street) == 0
    assert main(["fold", "--data", "out", "--output", "folds", *flags]) == 2
    assert message in capsys.readouterr().err
    assert not Path("folds").exists()


def test_a_fold_never_replaces_what_it_is_made_of(street, capsys):
    assert main(street) == 0
    before = Path("out/train.jsonl").read_bytes()
    assert main(["fold", "--data", "out", "--output", "out", "--overwrite"]) == 2
    assert "--output is what is read as --data, out; give a place of its own" in capsys.readouterr().err
    assert Path("out/train.jsonl").read_bytes() == before


def test_a_fold_of_names_that_nobody_labelled_is_refused(street, capsys):
    """In a folder from before such names were novel, where the list of names is longer than what can be held out."""
    assert main(street) == 0
    vocabulary = json.loads(Path("out/vocabulary.json").read_text())
    Path("out/vocabulary.json").write_text(json.dumps({"names": [*vocabulary["names"], "globe", "vase"]}))
    assert main(["fold", "--data", "out", "--output", "fold", "--folds", "5", "--fold", "4"]) == 1
    assert "there is no fold 4 of 5: only 3 names have training segments" in capsys.readouterr().err
