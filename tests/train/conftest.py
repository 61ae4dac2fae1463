"""A run at toy size: 12 segments of 3 base names, a random CLIP of two small layers, five related names a class."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.loader import SegmentCrops
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.negatives.database import Negative, NegativeDatabase
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.inputs import TrainingData

RELATED = {
    "red block": ("rose", "cherry", "brick", "rust", "ruby"),
    "green block": ("leaf", "lime", "moss", "frog", "emerald"),
    "blue block": ("sky", "sea", "denim", "sapphire", "navy coat"),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """At this size threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def data(domain: Path) -> TrainingData:
    blocks = load_domain(domain)
    return TrainingData(SegmentCrops(blocks.train, CropPolicy(size=32)), blocks.vocabulary)


@pytest.fixture(scope="session")
def negatives() -> NegativeDatabase:
    return NegativeDatabase({c: tuple(Negative(name, "hand") for name in names) for c, names in RELATED.items()})


@pytest.fixture
def config(tiny_backbone: str) -> TrainConfig:
    visual, text = (dataclasses.replace(stage, epochs=2) for stage in (TrainConfig().visual, TrainConfig().text))
    prompts = PromptConfig(visual_tokens=2, deep_text_init="zero_shot")
    return TrainConfig(backbone=tiny_backbone, batch_size=4, workers=0, prompts=prompts, visual=visual, text=text)


@pytest.fixture
def new_clip(config: TrainConfig) -> Callable[..., OpenDASCLIP]:
    """Builds the backbone with new prompts; ``prompts`` takes other fields of PromptConfig."""

    def build(**prompts) -> OpenDASCLIP:
        prompts = dataclasses.replace(config.prompts, **prompts)
        return OpenDASCLIP.from_backbone(config.backbone, prompts=prompts)

    return build
