"""Adapters on a backbone that is in memory: one frozen model for all, the same features, the same strictness."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch

from opendas_plugin.errors import AdapterError, ConfigError
from opendas_plugin.model import hashes
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.checkpoint import backbone_sha256, build_backbone
from opendas_plugin.model.config import BackboneConfig, PromptConfig, WeightConfig
from opendas_plugin.model.hashes import known_sha256
from tests.model.models import TEXTS, pixels

ADAPTERS = {
    "tokens": (PromptConfig(visual_tokens=3, text_tokens=2), None),
    "read_only": (PromptConfig(visual_tokens=2, text_tokens=2, form="read_only"), None),
    "weights": (PromptConfig(0, 0), WeightConfig(visual="low_rank", text="norm_bias", mix=0.5)),
}


@pytest.fixture
def folders(tmp_path, tiny_backbone) -> list[Path]:
    """Adapters of three forms on random weights of seed 3."""
    for name, (prompts, weights) in ADAPTERS.items():
        clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=prompts, weights=weights, seed=3)
        with torch.no_grad():
            for tensor in clip.prompt_parameters():
                tensor.add_(0.3 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)))
        clip.save_pretrained(tmp_path / name)
    return [tmp_path / name for name in ADAPTERS]


@pytest.fixture
def count(monkeypatch) -> list[int]:
    """How often a backbone was hashed from the beginning to the end."""
    calls: list[int] = []
    monkeypatch.setattr(hashes, "backbone_sha256", lambda model: (calls.append(1), backbone_sha256(model))[1])
    return calls


def frozen(clip: OpenDASCLIP) -> list[int]:
    return [tensor.data_ptr() for tensor in clip.model.state_dict().values()]


def features(clip: OpenDASCLIP) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        return clip.encode_image(pixels(clip.model)), clip.encode_text(clip.tokenize(TEXTS))


def test_adapters_share_a_backbone_and_give_the_features_of_separate_loads(folders, tiny_backbone, count):
    backbone = OpenDASCLIP.from_backbone(tiny_backbone, seed=3)
    clips = [OpenDASCLIP.from_pretrained(folder, backbone=backbone) for folder in folders]
    assert len(count) == 1
    assert all(frozen(clip) == frozen(backbone) for clip in clips)
    for _ in range(2):  # whatever the others have done in between
        for clip, folder in zip(clips, folders, strict=True):
            alone = OpenDASCLIP.from_pretrained(folder)
            assert frozen(alone) != frozen(clip)
            assert all(torch.equal(a, b) for a, b in zip(features(clip), features(alone), strict=True))
            assert clip.config == alone.config
    plain = OpenDASCLIP.from_backbone(tiny_backbone, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(features(backbone), features(plain), strict=True))


def test_an_adapted_clip_gives_its_backbone_and_plain_clip(folders, tiny_backbone):
    first = OpenDASCLIP.from_pretrained(folders[0])
    second, plain = OpenDASCLIP.from_pretrained(folders[2], backbone=first), first.plain()
    assert frozen(first) == frozen(second) == frozen(plain)
    assert plain.learnt_state() == {} and plain.backbone == first.backbone
    expected = features(OpenDASCLIP.from_backbone(tiny_backbone, seed=3))
    assert all(torch.equal(a, b) for a, b in zip(features(plain), expected, strict=True))
    assert not torch.equal(features(first)[0], expected[0])


def test_a_model_of_open_clip_is_a_backbone(folders, tiny_backbone):
    model, _ = build_backbone(tiny_backbone, seed=3)
    clip = OpenDASCLIP.from_pretrained(folders[0], backbone=OpenDASCLIP(model, BackboneConfig("mine")))
    assert clip.model is model and clip.backbone.name == "mine"
    assert clip.config.backbone == tiny_backbone  # what the adapter says of itself stays


def test_another_backbone_is_refused_with_both_hashes(folders, tiny_backbone):
    other = OpenDASCLIP.from_backbone(tiny_backbone, seed=4)
    expected = f"with weights .*, but {tiny_backbone} with random weights of seed 4 has weights "
    with pytest.raises(AdapterError, match=expected + backbone_sha256(other)[:12] + ".*as backbone"):
        OpenDASCLIP.from_pretrained(folders[0], backbone=other)
    with pytest.raises(ConfigError, match="leave them out"):
        OpenDASCLIP.from_pretrained(folders[0], device="cpu", backbone=other)
    with pytest.raises(ConfigError, match="leave them out"):
        OpenDASCLIP.from_pretrained(folders[0], "weights.pt", backbone=other)


CHANGES = {
    "in place": lambda model: model.ln_final.bias[3].add_(1e-3),
    "behind torch's back": lambda model: model.visual.proj.data.mul_(1.001),
    "through numpy": lambda model: model.visual.proj.detach().numpy().__imul__(1.001),
    "rounded and back": lambda model: model.half().float(),
    "loaded": lambda model: model.load_state_dict({k: v + 1e-3 for k, v in model.state_dict().items()}),
    "another tensor": lambda model: setattr(model.visual, "proj", torch.nn.Parameter(model.visual.proj + 1e-3)),
}


@pytest.mark.parametrize("how", CHANGES)
@torch.no_grad()
def test_the_hash_that_is_kept_is_never_that_of_other_weights(how, folders, tiny_backbone, count):
    backbone = OpenDASCLIP.from_backbone(tiny_backbone, seed=3)
    for _ in range(2):
        assert known_sha256(backbone.model) == backbone_sha256(backbone)
    assert len(count) == 1
    CHANGES[how](backbone.model)
    assert known_sha256(backbone.model) == backbone_sha256(backbone)
    assert len(count) == 2
    with pytest.raises(AdapterError, match="as backbone"):
        OpenDASCLIP.from_pretrained(folders[0], backbone=backbone)


def test_a_kept_hash_lets_its_model_go(tiny_backbone):
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig())
    model = weakref.ref(clip.model)
    del clip
    gc.collect()
    assert model() is None
