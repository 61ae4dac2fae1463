"""Towers that do not ship: made once in the user's folder, and known by their name only where their hash agrees."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from opendas_plugin.commands.prepare_data import main
from opendas_plugin.errors import BackboneError
from opendas_plugin.model import tiny_clips
from opendas_plugin.model.checkpoint import backbone_sha256, build_backbone
from opendas_plugin.office import relearn, relearn_text
from opendas_plugin.office.names import NAMES
from opendas_plugin.office.relearn_text import Relearning


@pytest.fixture
def home(monkeypatch, tmp_path):
    """The user's folder, where a tower of one step on noise is made as office-tiny-b."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (len(NAMES), 1, 112, 112, 3), dtype=np.uint8)
    colours = rng.integers(0, 12, (len(NAMES), 1))
    monkeypatch.setattr(relearn, "pictures", lambda *_: (images, colours))
    monkeypatch.setattr(relearn_text, "Relearning", functools.partial(Relearning, steps=1, pictures=4))
    monkeypatch.setenv("OPENDAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_another_hash_is_said_and_gets_no_name_and_the_right_one_does(home, monkeypatch, capsys):
    assert main(["office-tower", "--name", "office-tiny-b"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "error: what was made here is not office-tiny-b: its weights are " in error
    (kept,) = (home / "towers").iterdir()
    assert f"kept under its own path, {kept / 'clip.pt'}, which can be given as --backbone" in error
    made = backbone_sha256(build_backbone(str(kept / "clip.pt"))[0])
    assert kept.name == f"office-tiny-b-{made[:12]}"
    known = dataclasses.replace(tiny_clips.TINY_CLIPS["office-tiny-b"], sha256=made)
    monkeypatch.setitem(tiny_clips.TINY_CLIPS, "office-tiny-b", known)
    assert main(["office-tower", "--name", "office-tiny-b"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"office-tiny-b is made, in {home / 'towers' / 'office-tiny-b'} (SHA-256 {made}, made by: ")
    assert backbone_sha256(build_backbone("office-tiny-b")[0]) == made
    assert (home / "towers" / "office-tiny-b" / "run.json").is_file()
    assert main(["office-tower", "--name", "office-tiny-b"]) == 0
    assert "office-tiny-b is there, in" in capsys.readouterr().out


def test_a_damaged_tower_is_made_again(home, monkeypatch):
    folder = home / "towers" / "office-tiny-b"
    folder.mkdir(parents=True)
    for file in ("config.json", tiny_clips.WEIGHTS_FILE):
        (folder / file).write_bytes((tiny_clips.FOLDER / file).read_bytes())
    with pytest.raises(BackboneError):
        build_backbone("office-tiny-b")
    made = []
    monkeypatch.setattr(relearn, "make", lambda *arguments: made.append(arguments) or iter(()))
    assert main(["office-tower", "--name", "office-tiny-b"]) == 1  # nothing was written
    assert [arguments[0] for arguments in made] == ["office-tiny-v1"]


def test_the_towers_that_ship_say_so(home, capsys):
    for name in ("office-tiny", "office-tiny-v1"):
        assert main(["office-tower", "--name", name]) == 0
        assert f"{name} ships with the package (SHA-256 {tiny_clips.TINY_CLIPS[name].sha256}" in capsys.readouterr().out
        assert main(["office-tower", "--name", name, "--workers", "1", "--cache", "x"]) == 2
    assert main(["office-tower", "--name", "office-tiny-z"]) == 2
    assert "must be one of office-tiny, office-tiny-v1, office-tiny-b, office-tiny-c" in capsys.readouterr().err
