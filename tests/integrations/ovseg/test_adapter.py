"""Adapter folders read without opendas_plugin, as strictly as with it."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields, replace
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file, save_file

from integrations.ovseg import OVSegError
from integrations.ovseg.adapter import (
    ADDED,
    FIELDS,
    FORMAT_VERSION,
    PROMPT_ADDED,
    PROMPT_FIELDS,
    WEIGHT_FIELDS,
    WEIGHT_KINDS,
    read_adapter,
)
from integrations.ovseg.fitting import check_facts, check_fits, clip_sha256
from opendas_plugin.model import adapter_config as plugin
from opendas_plugin.model.adapter import CONFIG_FILE, WEIGHTS_FILE, read_config
from opendas_plugin.model.config import CacheConfig, WeightConfig, WeightKind
from tests.integrations.ovseg.conftest import adapted, clip_state


def test_the_format_is_opendas_plugins():
    assert {*FIELDS, *ADDED} == {field.name for field in fields(plugin.AdapterConfig)}
    assert {*PROMPT_FIELDS, *PROMPT_ADDED} == {field.name for field in fields(plugin.PromptConfig)}
    assert set(WEIGHT_FIELDS) == {field.name for field in fields(WeightConfig)}
    assert set(WEIGHT_KINDS) == set(get_args(WeightKind))
    assert FORMAT_VERSION == plugin.FORMAT_VERSION


def test_tokens_are_those_that_were_saved(adapter, learnt):
    read = read_adapter(adapter)
    assert torch.equal(read.visual, learnt.visual_prompts.tokens)
    assert torch.equal(read.text, learnt.text_prompts.tokens)
    assert not read.is_identity


def test_identity_has_no_tokens(identity):
    assert read_adapter(identity).is_identity


def test_hash_of_the_hosts_clip_is_the_adapters(host, clip_file, adapter):
    clip, _ = host.clip.load(str(clip_file), mask_prompt_depth=3)
    assert clip_sha256(clip) == read_adapter(adapter).backbone_sha256


def change_config(folder, change):
    path = folder / CONFIG_FILE
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def change_tensors(folder, change):
    tensors = load_file(folder / WEIGHTS_FILE)
    change(tensors)
    save_file(tensors, folder / WEIGHTS_FILE)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / CONFIG_FILE).unlink(), "no adapter"),
        (lambda f: (f / CONFIG_FILE).write_text("{"), "damaged"),
        (lambda f: (f / WEIGHTS_FILE).write_bytes(b"x"), "damaged"),
        (lambda f: (f / WEIGHTS_FILE).unlink(), "damaged"),
        (lambda f: change_config(f, lambda c: c.update(format_version=99)), "format 99.*upgrade"),
        (lambda f: change_config(f, lambda c: c.pop("method")), "lacks method"),
        (lambda f: change_config(f, lambda c: c.update(extra=1)), "unknown fields extra"),
        (lambda f: change_config(f, lambda c: c["prompts"].pop("context")), "lacks context"),
        (lambda f: change_config(f, lambda c: c.update(crop_policy=None)), "crop_policy is None"),
        (lambda f: change_config(f, lambda c: c["prompts"].update(text_tokens="4")), "text_tokens"),
        (lambda f: change_config(f, lambda c: c["prompts"].update(visual_depth=0)), "visual_depth"),
        (lambda f: change_tensors(f, lambda t: t.pop("text_prompts.tokens")), "lacks text_prompts.tokens"),
        (lambda f: change_tensors(f, lambda t: t.update(lora=torch.zeros(1))), "holds lora"),
        (lambda f: change_config(f, lambda c: c["prompts"].update(visual_tokens=3)), "has shape"),
        (lambda f: change_config(f, lambda c: c.update(weights={"visual": "lora"})), "weights is .*damaged"),
    ],
)
def test_a_damaged_adapter_is_one_sentence(adapter, tmp_path, damage, message):
    folder = tmp_path / "adapter"
    shutil.copytree(adapter, folder)
    damage(folder)
    with pytest.raises(OVSegError, match=message):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("prompts", "rest", "message"),
    [
        ({"form": "conditional", "visual_tokens": 0, "text_depth": 1}, {}, "has no text features of its own, since"),
        ({}, {"cache": CacheConfig(entries=3)}, "has stored features, which OVSeg cannot be given"),
    ],
)
def test_what_has_no_place_in_the_towers_is_refused(adapter, tmp_path, prompts, rest, message):
    shutil.copytree(adapter, tmp_path / "adapter")
    config = read_config(adapter)
    config = replace(config, prompts=replace(config.prompts, **prompts), **rest)
    (tmp_path / "adapter" / CONFIG_FILE).write_text(json.dumps(config.to_dict()))
    with pytest.raises(OVSegError, match=rf"\(method opendas\) {message}"):
        read_adapter(tmp_path / "adapter")


def test_what_format_2_added_may_say_nothing(adapter, tmp_path):
    shutil.copytree(adapter, tmp_path / "adapter")
    config = replace(read_config(adapter), calibration=0.02)
    (tmp_path / "adapter" / CONFIG_FILE).write_text(json.dumps(config.to_dict()))
    assert torch.equal(read_adapter(tmp_path / "adapter").text, read_adapter(adapter).text)


def test_the_folder_of_a_run_is_no_adapter_and_the_sentence_names_the_one_in_it(adapter, tmp_path):
    shutil.copytree(adapter, tmp_path / "run" / "adapter")
    with pytest.raises(OVSegError, match=rf"not an adapter; give {tmp_path}/run/adapter$"):
        read_adapter(tmp_path / "run")


@pytest.mark.parametrize(
    ("backbone", "policy", "message"),
    [
        ("ViT-B-32-336", {}, "input size 336.*input size 224.*224 pixels"),
        ("ViT-B/32@336px", {}, "input size 336"),
        ("somewhere/clip.pt", {"size": 336}, "input size 336"),
        ("ViT-B-16", {}, "patch size 16.*patch size 32.*use an adapter that was trained on this CLIP, or the OVSeg"),
    ],
)
def test_input_and_patch_size_must_fit(host, clip_file, adapter, tmp_path, backbone, policy, message):
    shutil.copytree(adapter, tmp_path / "adapter")
    change_config(tmp_path / "adapter", lambda c: c.update(backbone=backbone, crop_policy=policy))
    clip, _ = host.clip.load(str(clip_file))
    with pytest.raises(OVSegError, match=message):
        check_fits(read_adapter(tmp_path / "adapter"), clip)


def test_a_host_that_reads_336_pixels_is_refused(host, tmp_path):
    torch.save(clip_state(layers=1, patch=56, size=336), tmp_path / "clip.pt")
    clip, _ = host.clip.load(str(tmp_path / "clip.pt"))
    adapted(tmp_path / "clip.pt").save_pretrained(tmp_path / "adapter")
    with pytest.raises(OVSegError, match=r"224 pixels.*336"):
        check_fits(read_adapter(tmp_path / "adapter"), clip)


@pytest.mark.parametrize(
    ("name", "value"),
    [("mean", [0.5, 0.5, 0.5]), ("visual_activation", "gelu"), ("tokenizer", "team/words"), ("context_length", 64)],
)
def test_a_backbone_that_reads_otherwise_than_ovseg_is_refused(model, adapter, tmp_path, name, value):
    adapter = shutil.copytree(adapter, tmp_path / "adapter")
    change_config(adapter, lambda config: config["backbone_facts"].update({name: value}))
    with pytest.raises(OVSegError, match=f"with {name} .*, but OVSeg's CLIP has"):
        check_facts(read_adapter(adapter), model.clip_adapter)


def test_an_adapter_that_does_not_say_how_its_backbone_reads_is_used_with_a_warning(model, adapter, tmp_path, caplog):
    adapter = shutil.copytree(adapter, tmp_path / "adapter")
    change_config(adapter, lambda config: config.pop("backbone_facts"))
    check_facts(read_adapter(adapter), model.clip_adapter)
    assert "before adapters said" in caplog.text
