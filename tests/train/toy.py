"""The toy run of these tests for scripts that are run as processes of their own."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

import open_clip
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import TINY, make_domain

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.loader import SegmentCrops
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.inputs import TrainingData


def toy_data(folder: Path) -> TrainingData:
    """The blocks: 12 segments of 3 base names."""
    if not (folder / "domain.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        make_domain(folder)
    domain = load_domain(folder)
    return TrainingData(SegmentCrops(domain.train, CropPolicy(size=32)), domain.vocabulary)


def toy_config(folder: Path, epochs: int, **fields) -> TrainConfig:
    """Three steps an epoch; registers the backbone."""
    path = folder / str(os.getpid()) / "test-tiny.json"  # each process has a file of its own
    if path.stem not in open_clip.list_models():
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(TINY))
        open_clip.add_model_config(path)
    visual, text = (dataclasses.replace(stage, epochs=epochs) for stage in (TrainConfig().visual, TrainConfig().text))
    return TrainConfig(backbone=path.stem, batch_size=4, visual=visual, text=text, **fields)


def toy_clip(config: TrainConfig) -> OpenDASCLIP:
    """A random backbone with new prompts, on one thread."""
    torch.set_num_threads(1)
    return OpenDASCLIP.from_backbone(config.backbone, prompts=config.prompts)
