"""Layers that are computed again in backward: the losses and the learnt values of those that were kept, to the bit."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from opendas_plugin.train.run import train
from opendas_plugin.train.stage import train_stage
from tests.train.test_families import build, data_for
from tests.train.test_families import recipe as family_recipe
from tests.train.test_methods import recipe


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", ["opendas", "maple", "cocoop", "rpo", "opendas_plus_mlmp", "lora"])
def test_every_kind_of_method_learns_the_same_bits(method, precision, data, negatives, tiny_backbone, tmp_path) -> None:
    found = []
    for on in (False, True):
        config = recipe(tmp_path, method, tiny_backbone, batch_size=4, precision=precision, grad_checkpointing=on)
        clip = build(config)
        train(clip, data, config, tmp_path / str(on), negatives=negatives)
        found.append((clip.learnt_state(), (tmp_path / str(on) / "log.jsonl").read_text()))
    (one, losses), (two, again) = found
    assert losses == again and json.loads(losses.splitlines()[0])["loss"] > 0
    assert all(torch.equal(value, two[name]) for name, value in one.items())


@pytest.mark.parametrize(
    ("family", "method"),
    [("siglip", "opendas"), ("siglip", "lora"), ("clipa", "ln_bias"), ("eva02", "opendas"), ("pe", "lora"),
     ("vitamin", "maple"), ("coca", "opendas_plus")],
)  # fmt: skip
def test_so_does_every_family(family, method, family_names, tokenizer_folders, domain, negatives, tmp_path) -> None:
    found = []
    for on in (False, True):
        config = family_recipe(method, family_names[family], tokenizer=tokenizer_folders.get(family))
        clip = build(config)
        config = dataclasses.replace(config, grad_checkpointing=on)
        train(clip, data_for(clip, domain), config, tmp_path / str(on), negatives=negatives)
        found.append(clip.learnt_state())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_each_layer_runs_once_more_a_step_and_no_more_where_nothing_learns(data, config, new_clip) -> None:
    config, counts = dataclasses.replace(config, visual=dataclasses.replace(config.visual, epochs=1)), []
    for on in (False, True):
        clip, runs = new_clip(), []
        clip.model.visual.transformer.resblocks[0].mlp.register_forward_pre_hook(lambda *_, to=runs: to.append(1))
        train_stage(clip, data, dataclasses.replace(config, grad_checkpointing=on), "visual")
        with torch.no_grad():
            clip.encode_image(torch.zeros(1, 3, 32, 32))
        counts.append(len(runs))
    assert counts == [3 + 1, 2 * 3 + 1], "three steps, and one without gradient"


def test_a_run_goes_on_with_it_switched_on_to_the_bits_of_one_without(
    tmp_path, data, config, new_clip, negatives
) -> None:
    whole, begun = new_clip(), new_clip()
    train(whole, data, config, tmp_path / "whole", negatives=negatives)

    def stop(name, towers) -> None:
        if name == "visual":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(begun, data, config, tmp_path / "run", negatives=negatives, milestone=stop)
    again, switched = new_clip(), dataclasses.replace(config, grad_checkpointing=True)
    train(again, data, switched, tmp_path / "run", negatives=negatives, resume=True)
    assert all(torch.equal(value, again.learnt_state()[name]) for name, value in whole.learnt_state().items())


def test_a_tower_that_is_run_as_one_says_that_it_saves_nothing(
    family_names, domain, negatives, tmp_path, caplog
) -> None:
    config = dataclasses.replace(family_recipe("ln_bias", family_names["resnet"]), grad_checkpointing=True)
    clip = build(config)
    with caplog.at_level("WARNING"):
        train(clip, data_for(clip, domain), config, tmp_path / "run", negatives=negatives)
    assert "grad_checkpointing saves nothing in the visual tower" in caplog.text
