"""A method without a training stage that stores features of the training crops: Tip-Adapter, as a package has it."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import AdapterError, ConfigError, DataError
from opendas_plugin.methods import Method
from opendas_plugin.methods.stages import NO_PROMPTS
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.cache import FeatureCache
from opendas_plugin.model.config import CacheConfig
from tests.model.models import close

NAMES = ("red block", "green block", "blue block")
TEXTS = [f"a photo of a {name}." for name in NAMES]
NOVEL = ["a photo of a violet block.", "a photo of a door."]
ALPHA, BETA = 0.7, 5.5


def tip_adapter(clip, features, labels, texts):
    """Zhang et al., ECCV 2022: values such that their cosines with the training names are one-hot labels."""
    names = clip.encode_text(clip.tokenize(list(texts)), normalize=True).float()
    return FeatureCache.of(features, torch.linalg.pinv(names).T[labels], ALPHA, BETA)


TIP = Method(stages=(), recipe={"prompts": NO_PROMPTS}, cache=tip_adapter)


@pytest.fixture
def crops(tiny_backbone):
    """Plain CLIP, features of 12 training crops with their labels, and pixels of others."""
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=TIP.prompts, seed=3)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(12, 3, 32, 32, generator=generator)
    with torch.no_grad():
        return clip, clip.encode_image(pixels), torch.arange(12) % 3, torch.randn(5, 3, 32, 32, generator=generator)


@torch.no_grad()
def test_its_scores_are_tip_adapters_and_come_back_from_the_folder(crops, tmp_path, tiny_backbone):
    clip, features, labels, pixels = crops
    plain = clip.encode_image(pixels)
    TIP.store(clip, features, labels, TEXTS)
    image, keys = unit(plain, dim=-1), unit(features, dim=-1)
    names = clip.encode_text(clip.tokenize(TEXTS), normalize=True)
    onehot = torch.eye(3)[labels]
    logits = image @ names.T + ALPHA * torch.exp(-BETA * (1 - image @ keys.T)) @ onehot  # the paper's, at scale 1
    found = clip.classifier(clip.tokenize(TEXTS))(clip.encode_image(pixels))
    length = clip.encode_image(pixels).norm(dim=-1, keepdim=True)  # cosines: the same but for a factor an image
    assert close(found * length, logits)
    assert not torch.equal(found.argmax(dim=1), (image @ names.T).argmax(dim=1))
    with clip.prompts_disabled():
        assert torch.equal(clip.encode_image(pixels), plain)

    assert sum(p.numel() for p in clip.prompt_parameters()) == 0
    clip.save_pretrained(tmp_path / "adapter", method="tip_adapter", base_names=NAMES)
    backbone = OpenDASCLIP.from_backbone(tiny_backbone, seed=3)
    for again in (
        OpenDASCLIP.from_pretrained(tmp_path / "adapter"),
        OpenDASCLIP.from_pretrained(tmp_path / "adapter", backbone=backbone),
    ):
        assert torch.equal(again.encode_image(pixels), clip.encode_image(pixels))
        assert torch.equal(again.classifier(again.tokenize(TEXTS))(again.encode_image(pixels)), found)
        assert again.config.cache == CacheConfig(12, ALPHA, BETA)
    assert torch.equal(backbone.encode_image(pixels), plain)  # shares the model, not the cache


@torch.no_grad()
def test_names_that_no_entry_has_are_scored_too(crops):
    clip, features, labels, pixels = crops
    TIP.store(clip, features, labels, TEXTS)
    scores = clip.classifier(clip.tokenize([*TEXTS, *NOVEL]))(clip.encode_image(pixels))
    assert scores.shape == (5, 5) and scores.abs().max() <= 1 + 1e-6


@torch.no_grad()
def test_a_cast_or_interpolated_clip_keeps_its_cache_in_full_precision(crops):
    clip, features, labels, pixels = crops
    TIP.store(clip, features, labels, TEXTS)
    expected = clip.encode_image(pixels, normalize=True)
    clip.interpolate(visual=0.5)
    with clip.prompts_disabled():
        plain = clip.encode_image(pixels, normalize=True)
    assert close(clip.encode_image(pixels), unit(0.5 * expected + 0.5 * plain, dim=-1))
    clip.interpolate()
    clip.to(torch.bfloat16)
    assert clip.cache.keys.dtype == torch.float32
    assert close(clip.encode_image(pixels, normalize=True).float(), expected, 0.1)


def test_what_cannot_be_stored_is_refused(crops, tmp_path):
    clip, features, labels, _ = crops
    with pytest.raises(DataError, match="expected a label for each of 12 features, got 11"):
        TIP.store(clip, features, labels[1:], TEXTS)
    with pytest.raises(DataError, match="expected labels from 0 to 1"):
        TIP.store(clip, features, labels, TEXTS[:2])
    with pytest.raises(ConfigError, match="expected stored features of width 32, got 8"):
        clip.keep(FeatureCache.of(features[:, :8], features[:, :8], 1.0, 1.0))
    with pytest.raises(ConfigError, match=r"got \(12, 32\) and \(11, 32\)"):
        FeatureCache.of(features, features[1:], 1.0, 1.0)
    with pytest.raises(ConfigError, match=r"cache\.sharpness to be above 0"):
        CacheConfig(sharpness=0)
    Method(stages=()).store(clip, features, labels, TEXTS)  # a method that stores nothing
    assert clip.cache is None
    TIP.store(clip, features, labels, TEXTS)
    with pytest.raises(AdapterError, match="stored features, which plain CLIP has no place for"):
        clip.merged_weights()
