"""What a new user may get wrong at the command line and in Python, and the sentence that says what to do instead."""

from __future__ import annotations

import importlib
import socket

import open_clip
import pytest
from PIL import Image

import opendas_plugin as opendas
from opendas_plugin.commands import evaluate, export_adapter, train_prompts
from opendas_plugin.errors import BackboneError, ConfigError, DataError, MissingFileError
from opendas_plugin.methods import registry
from opendas_plugin.model import downloads
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig

COMMANDS = {
    "compare": ["--data", "DATA", "--output", "out"],
    "evaluate": ["classification", "--data", "DATA", "--output", "out"],
    "export_adapter": ["--to", "classifier", "--names", "a", "--output", "out/a.safetensors"],
    "generate_negatives": ["--vocabulary", "DATA/vocabulary.json", "--output", "out/n.json"],
    "segment": ["--images", "photos", "--names", "a door, a desk", "--output", "out"],
    "train_prompts": ["--data", "DATA", "--output-dir", "out"],
    "visualize": ["query", "--scene", "s", "--features", "f", "--text", "t", "--masks", "m", "--output", "out"],
}


@pytest.fixture
def there(domain, monkeypatch, tmp_path):
    """A folder with a run, photos, and an adapter in it, to type names from."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.JPG"):
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name)
    OpenDASCLIP.from_backbone("office-tiny", prompts=PromptConfig()).save_pretrained("run/adapter")
    (tmp_path / "DATA").symlink_to(domain)
    return tmp_path


def run(command, *flags):
    return importlib.import_module(f"opendas_plugin.commands.{command}").main([*flags])


@pytest.mark.parametrize("command", COMMANDS)
def test_a_backbone_without_weights_is_refused_everywhere(there, capsys, command):
    assert run(command, *COMMANDS[command], "--backbone", "ViT-B-32") == 2
    said = capsys.readouterr().err
    assert "ViT-B-32 does not say which weights; give --pretrained with a tag (openai, laion400m_e31, " in said
    assert "or the word random for random weights" in said
    assert not (there / "out").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_an_adapter_or_a_run_is_no_backbone(there, capsys, command):
    assert run(command, *COMMANDS[command], "--backbone", "run/adapter") == 2
    assert "run/adapter is an adapter, not a backbone; give it as --adapter" in capsys.readouterr().err
    assert run(command, *COMMANDS[command], "--backbone", "run") == 2
    assert "run is the folder of a training, not a backbone; give run/adapter as --adapter" in capsys.readouterr().err
    assert run(command, *COMMANDS[command], "--backbone", "ViT-B-32/openai") == 2
    assert "give ViT-B-32 as --backbone and openai as --pretrained" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("run", "run is the folder of a training, not an adapter; give the adapter in it, run/adapter"),
        ("run/adapter/adapter.safetensors", "is a file of an adapter; give its folder, run/adapter"),
        ("photos/a.jpg", "photos/a.jpg is a file, and an adapter is a folder"),
        ("office-tiny", "office-tiny is a backbone, not an adapter; give it as --backbone"),
        ("ViT-B/32", "ViT-B/32 is a backbone, not an adapter; give it as --backbone"),
        ("run/adaptor", "there is no adapter run/adaptor (run has adapter); check the path"),
        ("/no/such/adapter", "there is no adapter /no/such/adapter; check the path"),
    ],
)
def test_what_is_no_adapter_is_named_by_what_it_is(there, capsys, name, says):
    for command in ("evaluate", "export_adapter"):
        assert run(command, *COMMANDS[command], "--adapter", name) == 1
        assert says in capsys.readouterr().err
    assert run("train_prompts", *COMMANDS["train_prompts"], "--start", name) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("command", ["compare", "evaluate", "train_prompts"])
def test_photos_or_a_run_are_no_data(there, capsys, command):
    flags = [{"DATA": "photos"}.get(flag, flag) for flag in COMMANDS[command]]
    assert run(command, *flags) == 1
    said = capsys.readouterr().err
    assert "photos is no folder that opendas-prepare wrote: it holds 2 pictures" in said
    assert "opendas-prepare folders --images photos --labels LABELS" in said
    assert run(command, *[{"DATA": "run"}.get(flag, flag) for flag in COMMANDS[command]]) == 1
    assert "run is no folder that opendas-prepare wrote: it holds an adapter" in capsys.readouterr().err
    (there / "several").mkdir()
    (there / "several" / "mine").symlink_to(there / "DATA")
    assert run(command, *[{"DATA": "several"}.get(flag, flag) for flag in COMMANDS[command]]) == 1
    assert "it holds 1 that it did, of which one is to be given, such as several/mine" in capsys.readouterr().err


def test_a_method_that_does_not_exist_and_help_list_those_that_do(there, capsys):
    assert train_prompts.main([*COMMANDS["train_prompts"], "--method", "opendass"]) == 2
    assert f"choose one of {', '.join(registry.names())}" in capsys.readouterr().err
    assert train_prompts.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in registry.BUILT_IN)
    assert "opendas-train" in shown and "tools/" not in shown


def test_a_misspelt_backbone_is_answered_by_the_right_one(there, capsys):
    assert evaluate.main([*COMMANDS["evaluate"], "--backbone", "ViT-B32", "--pretrained", "openai"]) == 1
    assert "unknown backbone 'ViT-B32' (is it ViT-B-32" in capsys.readouterr().err


def test_random_weights_are_an_explicit_word_and_said_in_the_first_line(there, caplog, capsys, tiny_backbone):
    caplog.set_level("INFO")
    flags = [*COMMANDS["evaluate"], "--backbone", tiny_backbone, "--pretrained", "random", "--device", "cpu"]
    assert evaluate.main([*flags, "--backbone-seed", "3"]) == 0
    assert caplog.messages[0] == "device cpu, backbone test-tiny with random weights of seed 3"
    assert "backbone test-tiny with random weights of seed 3, crops keep 0.1 squash" in capsys.readouterr().out
    caplog.clear()
    assert evaluate.main([*COMMANDS["evaluate"], "--adapter", "run/adapter", "--device", "cpu"]) == 0
    assert caplog.messages[0] == "device cpu, backbone office-tiny, adapter run/adapter"
    caplog.clear()
    assert export_adapter.main([*COMMANDS["export_adapter"], "--device", "cpu"]) == 0
    assert caplog.messages[0] == "device cpu, backbone office-tiny"
    assert evaluate.main([*COMMANDS["evaluate"], "--pretrained", "random"]) == 1
    assert "office-tiny brings its own weights" in capsys.readouterr().err


def test_in_python_a_backbones_name_says_its_weights_too(tiny_backbone):
    names = ["a", "b"]
    with pytest.raises(ConfigError, match=r"'ViT-B-32' does not say which weights \(tags: openai, laion400m_e31"):
        opendas.Labeller("ViT-B-32", names)
    seeded = OpenDASCLIP.from_backbone(tiny_backbone)  # the constructor's None is random, as it was
    assert seeded.backbone == OpenDASCLIP.from_backbone(tiny_backbone, "random").backbone
    labeller = opendas.Labeller(f"{tiny_backbone}/random", names, device="cpu")
    assert labeller.clip.backbone.title == "test-tiny with random weights of seed 0"
    assert opendas.load(f"{tiny_backbone}/random")[0].backbone.seed == 0
    with pytest.raises(ConfigError, match="does not say which weights"):
        opendas.evaluate("data", "out", backbone=tiny_backbone)


def test_texts_and_pictures_in_place_of_tensors_name_the_call_that_makes_them():
    clip, (model, _) = OpenDASCLIP.from_backbone("office-tiny"), opendas.load("office-tiny")
    for one in (clip, model):
        with pytest.raises(DataError, match=r"got a list; give tokenize\(texts\), as clip\.encode_text\("):
            one.encode_text(["a desk", "a door"])
        with pytest.raises(DataError, match="got a str; give tokenize"):
            one.encode_text("a desk")
        with pytest.raises(DataError, match=r"got a Image; give preprocess\(picture\)\.unsqueeze\(0\)"):
            one.encode_image(Image.new("RGB", (8, 8)))


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """A machine that resolves no name, with an empty cache; a client that is asked all the same is an error."""

    def refuse(*arguments, **options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(downloads, "getproxies", dict)
    monkeypatch.setattr(open_clip, "download_pretrained", lambda tag: pytest.fail("asked a server that is not there"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))


def test_without_a_network_a_tag_and_an_adapters_id_are_refused_at_once(no_network):
    with pytest.raises(BackboneError, match=r"openai of ViT-B-32 are not on this machine .*Name or service not known"):
        OpenDASCLIP.from_backbone("ViT-B-32", "openai")
    with pytest.raises(MissingFileError, match=r"somebody/adapter is neither .* \(huggingface.co cannot be reached"):
        OpenDASCLIP.from_pretrained("somebody/adapter")


def test_a_server_behind_a_proxy_is_not_asked_directly(no_network, monkeypatch):
    monkeypatch.setattr(downloads, "getproxies", lambda: {"https": "http://proxy:3128"})
    assert downloads.unreachable("https://huggingface.co") is None


def test_weights_that_are_kept_need_no_network(no_network, monkeypatch, tmp_path):
    (tmp_path / "open_clip_model.safetensors").touch()
    monkeypatch.setattr(downloads, "snapshot_download", lambda name, local_files_only: str(tmp_path))
    found = downloads.fetch({"hf_hub": "team/weights/"}, "ViT-B-32", "half")
    assert found == tmp_path / "open_clip_model.safetensors"
