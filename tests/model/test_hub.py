"""Adapters shared by the hub: up and down again by the hub's own client, against a server on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.cards import base_model, card_text, is_edited
from opendas_plugin.model.config import PromptConfig
from tests.conftest import TINY
from tests.model.hub_server import TOKEN, serve_hub

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """What a program saw that pushed and loaded adapters, what it printed, and what the hub then holds."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "test-tiny.json").write_text(json.dumps(TINY))
    with serve_hub() as hub:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("HF_")},
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HOME": str(folder / "home"),
            "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, str(Path(__file__).parent / "hub_client.py"), str(folder / "test-tiny.json")]
        done = subprocess.run(
            [*command, TOKEN, str(folder)], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        yield json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr, hub


@pytest.mark.parametrize(("name", "way"), [("me/adapter", "file"), ("me/lfs", "lfsFile")])
def test_an_adapter_comes_back_from_the_hub_as_it_went_up_and_each_revision_is_kept(shared, name, way):
    seen, _, hub = shared
    assert seen[name]["same"] == [True, True, False]
    assert seen[name]["first"].startswith(f"{hub.url}/{name}/commit/") and seen[name]["second"] != seen[name]["first"]
    assert (way, "adapter.safetensors") in hub.repos[name].uploaded
    assert hub.repos[name].private
    assert {"README.md", "adapter_config.json", "adapter.safetensors"} <= hub.repos[name].commits[
        hub.repos[name].branches["main"]
    ].keys()


def test_a_card_that_was_edited_on_the_hub_stays(shared):
    repo = shared[2].repos["me/lfs"]
    assert "Words of a reader." in repo.commits[repo.branches["main"]]["README.md"].decode()


def test_a_branch_holds_what_was_pushed_to_it(shared):
    seen, _, hub = shared
    branches = hub.repos["me/adapter"].branches
    assert seen["branch"] is True and branches["trial"] != branches["main"]


def test_what_the_hub_refuses_is_one_sentence_and_no_output_holds_the_token(shared):
    seen, printed, _ = shared
    assert seen["without a token"].startswith("MissingFileError: me/adapter is neither a folder nor an adapter on the")
    assert seen["no revision"].startswith("MissingFileError")
    assert seen["wrong token"].startswith("OutputError: could not upload to me/adapter (")
    assert "\n" not in seen["wrong token"]
    assert TOKEN not in printed


def test_the_card_has_the_front_matter_that_the_hub_reads_and_says_how_to_load_it(shared):
    _, _, hub = shared
    repo = hub.repos["me/adapter"]
    card = repo.commits[repo.branches["main"]]["README.md"].decode()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["library_name"] == "opendas-plugin" and {"clip", "adapter", "opendas"} <= {*front["tags"]}
    assert 'OpenDASCLIP.from_pretrained("me/adapter")' in card and "door, desk" in card


def clip_of(tiny_backbone, **config):
    clip = OpenDASCLIP.from_backbone(tiny_backbone, seed=3, prompts=PromptConfig(visual_tokens=2, text_tokens=2))
    return clip, config


def test_a_card_has_the_scores_and_no_path_of_this_machine(tiny_backbone, tmp_path):
    clip, _ = clip_of(tiny_backbone)
    scores = {"acc": 50.0, "w_f1": 48.25, "b_f1": 47.5, "n_f1": 50.5, "n_segments": 12}
    training = {
        "dataset": "offices | <b>",
        "recipe": "/home/someone/secret/mine.yaml",
        "segments": 1200,
        "metrics": {"before": {**scores, "b_f1": 33.0}, "after": scores},
    }
    clip.save_pretrained(tmp_path / "adapter", training=training, base_names=("door", "a_b*c"))
    card = (tmp_path / "adapter" / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    found = {m["name"]: m["value"] for m in front["model-index"][0]["results"][0]["metrics"]}
    assert found | {"Acc": 50.0, "B-F1": 47.5} == found and front["metrics"] == ["accuracy", "f1"]
    assert "/home/someone" not in card and "mine.yaml" in card
    assert r"offices \| \<b\>" in card and r"a\_b\*c" in card
    assert "| before | 50.0 | 48.2 | 33.0 | 50.5 | 12 |" in card


def test_a_card_is_made_anew_until_someone_edits_it(tiny_backbone, tmp_path):
    folder = tmp_path / "adapter"
    clip, _ = clip_of(tiny_backbone)
    clip.save_pretrained(folder)
    clip.save_pretrained(folder, base_names=("globe",))
    card = folder / "README.md"
    assert "globe" in card.read_text() and not is_edited(card.read_text())
    card.write_text(card.read_text().replace("## Limits", "My own words.\n\n## Limits"))
    edited = card.read_text()
    clip.save_pretrained(folder, base_names=("door",))
    assert card.read_text() == edited
    assert OpenDASCLIP.from_pretrained(folder).config.base_names == ("door",)


def test_the_base_model_is_the_hubs_id_where_open_clip_knows_one(tiny_backbone):
    clip, _ = clip_of(tiny_backbone)
    config = clip.config
    assert base_model(config) is None and "base_model" not in card_text(config).split("---")[1]
    known = config.__class__(**{**vars(config), "backbone": "ViT-L-14", "pretrained": "openai", "backbone_seed": None})
    assert base_model(known) == "timm/vit_large_patch14_clip_224.openai"
