"""The tiny CLIPs that are known by name: what a name means, what is said where it is not here, and who needs which."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import opendas_plugin as opendas
from opendas_plugin.errors import AdapterError, BackboneError, MissingFileError
from opendas_plugin.model.checkpoint import backbone_sha256, build_backbone
from opendas_plugin.model.tiny_clips import FOLDER, TINY_CLIPS, WEIGHTS_FILE, files_of
from opendas_plugin.train.recipe import default_recipe, read_recipe

BEFORE = Path(__file__).parents[1] / "fixtures" / "written_before"
V1_SHA256 = "dc9a6cb224d351f78bb70fca97fb252d9a0441d61c5400900a46e34663233b44"


@pytest.fixture
def home(monkeypatch, tmp_path):
    """An empty cache folder of the user's."""
    monkeypatch.setenv("OPENDAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("name", [name for name, clip in TINY_CLIPS.items() if clip.files])
def test_a_tower_that_ships_is_the_one_that_its_name_means(name, home):
    model, source = build_backbone(name)
    assert backbone_sha256(model) == TINY_CLIPS[name].sha256
    assert (source.name, source.pretrained, source.seed) == (name, None, None)
    assert opendas.load(name)[0].backbone.name == name


def test_the_first_tower_is_still_there_to_the_bit():
    assert TINY_CLIPS["office-tiny-v1"].sha256 == V1_SHA256
    ours, first = (build_backbone(name)[0].state_dict() for name in ("office-tiny", "office-tiny-v1"))
    same = {key for key, value in ours.items() if torch.equal(value, first[key])}
    assert same == {key for key in ours if key.startswith("visual.")} - {"visual.proj"}


def test_a_tower_that_does_not_ship_is_refused_with_the_command_that_makes_it(home):
    with pytest.raises(MissingFileError, match=r"make it by: opendas-prepare office-tower --name office-tiny-b$"):
        build_backbone("office-tiny-b")
    with pytest.raises(BackboneError, match=r"unknown backbone 'office-tiny-x' \(is it office-tiny"):
        build_backbone("office-tiny-x")


def test_a_file_that_is_not_what_its_name_means_is_refused(home):
    folder = home / "towers" / "office-tiny-b"
    folder.mkdir(parents=True)
    for file in ("config.json", WEIGHTS_FILE):
        shutil.copy(FOLDER / file, folder)
    assert files_of("office-tiny-b") == (folder / WEIGHTS_FILE,)
    with pytest.raises(
        BackboneError, match=r"is not office-tiny-b: its weights are 6e661c8998a7, expected a9d6bff29da0"
    ):
        build_backbone("office-tiny-b")


def test_all_have_the_recipe_that_was_tuned_on_them():
    assert {default_recipe(name) for name in TINY_CLIPS} == {"office"}
    assert default_recipe("runs/office-tiny/clip.pt") == default_recipe("ViT-B-16") == "clip"
    crops = [read_recipe(None, changes={"backbone": name}).crops for name in (*TINY_CLIPS, "ViT-B-16")]
    assert crops.index(crops[-1]) == len(TINY_CLIPS)


def test_an_adapter_of_the_first_tower_says_so_and_loads_as_the_sentence_says(tmp_path):
    folder = shutil.copytree(BEFORE / "opendas", tmp_path / "adapter")
    advice = (
        r"was learnt on office-tiny with weights dc9a6cb224d3, but office-tiny has weights 6e661c8998a7; those are "
        r"office-tiny-v1: load it by OpenDASCLIP\.from_pretrained\(ADAPTER, pretrained='office-tiny-v1'\), in a run by "
        r"`pretrained` office-tiny-v1, or everywhere by writing that name as \"backbone\" into its adapter_config"
    )
    with pytest.raises(AdapterError, match=advice):
        opendas.load(f"opendas:{folder}")
    loaded = opendas.OpenDASCLIP.from_pretrained(folder, pretrained="office-tiny-v1")
    assert backbone_sha256(loaded) == V1_SHA256
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"backbone": "office-tiny-v1"}))
    tokens, edited = loaded.tokenize(["a photo of a door."]), opendas.load(f"opendas:{folder}")[0]
    with torch.no_grad():
        assert torch.equal(edited.encode_text(tokens), loaded.encode_text(tokens))
    in_memory = opendas.OpenDASCLIP.from_backbone("office-tiny")
    with pytest.raises(AdapterError, match=r"those are office-tiny-v1, which is to be the `backbone`$"):
        opendas.OpenDASCLIP.from_pretrained(folder, backbone=in_memory)


def test_an_adapter_on_a_file_that_is_gone_names_the_tower_that_it_held(tmp_path, home):
    opendas.runs.export(to="openai-clip", backbone="office-tiny-v1", output=tmp_path / "clip.pt")
    clip = opendas.OpenDASCLIP.from_backbone(str(tmp_path / "clip.pt"), prompts=opendas.PromptConfig())
    clip.save_pretrained(tmp_path / "adapter")
    (tmp_path / "clip.pt").unlink()
    with pytest.raises(MissingFileError, match=r"clip\.pt does not exist.*; those are office-tiny-v1: load it by"):
        opendas.OpenDASCLIP.from_pretrained(tmp_path / "adapter")
    opendas.OpenDASCLIP.from_pretrained(tmp_path / "adapter", pretrained="office-tiny-v1")
