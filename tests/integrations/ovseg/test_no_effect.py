"""Flags, files and settings that would have no effect are refused, and the recipe for OVSeg has its crops."""

from __future__ import annotations

import hashlib

import pytest
import torch

from integrations.ovseg import OVSegError, use_checkout
from integrations.ovseg.adapter import read_adapter
from integrations.ovseg.fitting import crop_differences
from integrations.ovseg.install import Installation, check_flags
from integrations.ovseg.overwriting import NamedFile
from opendas_plugin.train.recipe import read_recipe
from tests.integrations.ovseg.conftest import adapted, build, clip_state


def test_the_recipe_ovseg_has_the_hosts_crops(model):
    for method in ("opendas", "opendas_plus", "maple"):
        policy = read_recipe("ovseg", method).crops.to_dict()
        assert crop_differences(policy, model.clip_adapter) == ""
    assert crop_differences(read_recipe("office").crops.to_dict(), model.clip_adapter) != ""


def test_a_file_of_clip_that_the_checkpoint_overwrites_is_refused(host, clip_file, other_clip_file, monkeypatch):
    model, checkpoint = build(host, clip_file), build(host, other_clip_file).state_dict()
    NamedFile(model.clip_adapter.clip_model, str(clip_file))
    own = {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict({**own, "clip_adapter.clip_model.visual.mask_embedding": torch.ones(2, 49, 64)})
    model.load_state_dict({key: value for key, value in checkpoint.items() if "clip_model" not in key}, strict=False)
    with pytest.raises(OVSegError, match=rf"overwrites the one of {clip_file} .*--opendas-base weights"):
        model.load_state_dict(checkpoint)
    address = f"https://somewhere/clip/models/{hashlib.sha256(clip_file.read_bytes()).hexdigest()}/ViT-B-16.pt"
    monkeypatch.setattr(host.clip, "_MODELS", {"ViT-B/16": address}, raising=False)
    model.load_state_dict(checkpoint)  # OpenAI's own file stands in for its name


def test_rounding_to_half_precision_is_no_overwriting(host, tmp_path):
    state = {key: value + 1e-6 for key, value in clip_state().items()}
    torch.save(state, tmp_path / "clip.pt")
    model = build(host, tmp_path / "clip.pt")
    NamedFile(model.clip_adapter.clip_model, str(tmp_path / "clip.pt"))
    prefixed = {f"clip_adapter.clip_model.{key}": value for key, value in state.items()}
    model.load_state_dict({**model.state_dict(), **prefixed})


@pytest.mark.parametrize(
    ("prompts", "settings", "message"),
    [
        ({"text_tokens": 0}, {"text": "clip"}, "--opendas-text has no effect with the adapter .*nothing in the text"),
        ({"text_tokens": 0}, {"text": "both"}, "--opendas-text has no effect with the adapter .*nothing in the text"),
        ({"visual_tokens": 3, "text_tokens": 3, "form": "read_only"}, {"text": "both"}, "--opendas-text both has no"),
        ({"visual_tokens": 0, "text_tokens": 0}, {"cache_given": True}, "--opendas-cache has no effect"),
        ({}, {"text": "clip", "cache_given": True, "chunk": 3}, ""),
    ],
)
def test_flags_without_an_effect_are_refused(clip_file, tmp_path, prompts, settings, message):
    adapted(clip_file, **prompts).save_pretrained(tmp_path / "adapter")
    read, installation = read_adapter(tmp_path / "adapter"), Installation(root=tmp_path, **settings)
    if not message:
        check_flags(read, installation)
        return
    with pytest.raises(OVSegError, match=message):
        check_flags(read, installation)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(OVSegError, match="is no checkout of OVSeg"):
        use_checkout(tmp_path)
