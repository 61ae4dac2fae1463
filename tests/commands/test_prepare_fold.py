"""Folds of a domain: which names they hold out, and what they refuse."""

from __future__ import annotations

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
