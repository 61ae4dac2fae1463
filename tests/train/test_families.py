"""Methods train on every family of models, resume to the bit, and name the masks of a photo."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.loader import SegmentCrops
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.checkpoint import backbone_sha256
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.inputs import TrainingData
from opendas_plugin.train.recipe import read_recipe
from opendas_plugin.train.run import train

FAMILIES = ("resnet", "convnext", "mobileclip", "eva02", "pe", "vitamin", "swin", "coca")
"""Those whose tokenizer is open_clip's own."""
METHODS = ("opendas_plus", "ln_bias", "lora", "wise_ft_image", "wise_ft_text")
TOKENS = {
    "siglip": "opendas",
    "siglip2": "promptsrc",
    "siglip-i18n": "opendas_joint",
    "clipa": "vpt",
    "pe": "maple",
    "eva02": "opendas",
    "vitamin": "maple",
}
"""Methods that learn tokens, on families that they had no place in for long."""


def recipe(method: str, backbone: str, epochs: int = 1, tokenizer: Path | None = None) -> TrainConfig:
    config = read_recipe("clip", method)
    stages = {name: dataclasses.replace(getattr(config, name), epochs=epochs) for name in ("visual", "text", "joint")}
    augmentation = dataclasses.replace(config.augmentation, kind="none")
    words = None if tokenizer is None else str(tokenizer)
    small = {"workers": 0, "batch_size": 6, "augmentation": augmentation, "tokenizer": words}
    return dataclasses.replace(config, backbone=backbone, **small, **stages)


def build(config: TrainConfig) -> OpenDASCLIP:
    learnt = {"prompts": config.prompts, "weights": config.weights}
    return OpenDASCLIP.from_backbone(config.backbone, **learnt, tokenizer=config.tokenizer)


def data_for(clip: OpenDASCLIP, domain: Path) -> TrainingData:
    blocks = load_domain(domain)
    crops = SegmentCrops(blocks.train, CropPolicy(size=clip.image_size), pixels=clip.pixels)
    return TrainingData(crops, blocks.vocabulary)


@pytest.mark.parametrize(
    ("family", "chosen"), [*((family, METHODS) for family in FAMILIES), *((f, (m,)) for f, m in TOKENS.items())]
)
def test_a_method_trains_on_it_and_its_adapter_names_masks(
    family, chosen, family_names, tokenizer_folders, domain, negatives, tmp_path
):
    for method in chosen:
        config = recipe(method, family_names[family], tokenizer=tokenizer_folders.get(family))
        clip = build(config)
        before, start = backbone_sha256(clip), {key: value.clone() for key, value in clip.learnt_state().items()}
        data = data_for(clip, domain)
        train(clip, data, config, tmp_path / method, negatives=negatives)
        assert backbone_sha256(clip) == before
        moved = [key for key, value in clip.learnt_state().items() if not torch.equal(value, start[key])]
        assert len(moved) > len(start) / 2, method
        clip.save_pretrained(tmp_path / method / "adapter", method=method, crop_policy=data.crops.policy)
        segment = data.crops.segments[0]
        names = data.vocabulary.names
        labels, again = (
            Labeller(model, names)(segment.image, segment.mask()[None])
            for model in (clip, tmp_path / method / "adapter")
        )
        assert labels.names[0] in names
        assert np.array_equal(labels.cosines, again.cosines)


@pytest.mark.parametrize(
    ("family", "method"),
    [("mobileclip", "opendas_plus"), ("resnet", "opendas_plus"), ("siglip", "opendas"), ("pe-bigG", "opendas")],
)
def test_a_training_that_was_broken_off_goes_on_to_the_same_bits(
    family, method, family_names, tokenizer_folders, domain, negatives, tmp_path
):
    config = recipe(method, family_names[family], epochs=2, tokenizer=tokenizer_folders.get(family))

    def run(folder: Path, **options) -> OpenDASCLIP:
        clip = build(config)
        train(clip, data_for(clip, domain), config, folder, negatives=negatives, **options)
        return clip

    def break_off(name, towers) -> None:
        if name == "visual":
            raise RuntimeError("broken off")

    whole = run(tmp_path / "whole")
    with pytest.raises(RuntimeError, match="broken off"):
        run(tmp_path / "broken", milestone=break_off)
    again = run(tmp_path / "broken", resume=True)
    assert all(torch.equal(value, again.learnt_state()[key]) for key, value in whole.learnt_state().items())
