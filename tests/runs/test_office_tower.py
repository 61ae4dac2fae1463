"""Towers that do not ship: made once in the user's folder, and known by their name only where their hash agrees."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from opendas_plugin.commands.prepare_data import main
from opendas_plugin.errors import BackboneError
from opendas_plugin.model import tiny_clips
from opendas_plugin.model.checkpoint import backbone_sha256, build_backbone
from opendas_plugin.model.weight_file import read_weights
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


WEIGHTS = Path(__file__).parents[2] / "benchmarks" / "towers"


@pytest.mark.parametrize("path", sorted(WEIGHTS.glob("*.safetensors")), ids=lambda path: path.stem)
def test_weights_made_elsewhere_make_the_tower_of_their_name_alone(path, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("OPENDAS_HOME", str(tmp_path))
    assert main(["office-tower", "--name", "office-tiny-b" if path.stem.endswith("c") else "office-tiny-c",
                 "--weights", str(path)]) == 1  # fmt: skip
    assert f"error: {path} is not of office-tiny-" in capsys.readouterr().err
    assert not list((tmp_path / "towers").iterdir())
    assert main(["office-tower", "--name", path.stem, "--weights", str(path)]) == 0
    capsys.readouterr()
    assert backbone_sha256(build_backbone(path.stem)[0]) == tiny_clips.TINY_CLIPS[path.stem].sha256


def test_weights_of_something_else_are_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("OPENDAS_HOME", str(tmp_path / "home"))
    save_file({"strange": torch.zeros(2)}, tmp_path / "strange.safetensors")
    words = ["office-tower", "--name", "office-tiny-c", "--weights"]
    assert main([*words, str(tmp_path / "strange.safetensors")]) == 1
    assert "is of no tiny CLIP: strange is not as in those that ship" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "none.safetensors")]) == 1
    assert f"{tmp_path / 'none.safetensors'}" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "strange.safetensors"), "--workers", "1"]) == 2


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"positional_embedding": torch.zeros(78, 128)}, "is of no tiny CLIP: positional_embedding is not as in those"),
        (
            {"positional_embedding": torch.full((77, 128), torch.nan).half()},
            "positional_embedding holds values that are no",
        ),
        ({"token_rows": torch.zeros(2, dtype=torch.int32)}, "its table of tokens does not fit together"),
    ],
)
def test_weights_that_are_almost_right_are_refused_and_leave_nothing(monkeypatch, tmp_path, capsys, tensors, says):
    shipped = read_weights(tiny_clips.FOLDER / tiny_clips.WEIGHTS_FILE).tensors
    path = tmp_path / "almost.safetensors"
    save_file({key: value.to(shipped[key].dtype) for key, value in tensors.items()}, path)
    monkeypatch.setenv("OPENDAS_HOME", str(tmp_path / "home"))
    words = ["office-tower", "--name", "office-tiny-c", "--weights"]
    assert main([*words, str(path)]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {path}") and says in error
    assert not list((tmp_path / "home").rglob("*.*"))
    assert main([*words, str(tmp_path)]) == 1
    assert "is a folder, expected a file of weights" in capsys.readouterr().err
