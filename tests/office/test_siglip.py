"""The tiny SigLIP: its loss worked by hand, and the folder that is stored, read by transformers and by this package."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.checkpoint import backbone_sha256, build_backbone
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.office import siglip, siglip_train
from opendas_plugin.office.names import NAMES
from opendas_plugin.office.siglip_train import SiglipTraining, batch_loss, make
from opendas_plugin.office.web import COLOURS

transformers = pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a tower of four steps on noise, and what was said; it was broken off in the fourth."""
    folder = tmp_path_factory.mktemp("siglip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(siglip_train, "pictures", lambda *_: noise())
        patch.setattr(siglip_train, "_SAID_EVERY", 2)
        lines = make("office-tiny-v1", folder / "cache", folder / "tower", SETTINGS)
        assert [next(lines) for _ in range(3)][-1].startswith("step 2: ")
        patch.setattr(siglip_train, "batch_loss", fails_at_second(siglip_train.batch_loss))
        with pytest.raises(KeyboardInterrupt):
            next(lines)
        patch.setattr(siglip_train, "batch_loss", batch_loss)
        said = list(make("office-tiny-v1", folder / "cache", folder / "tower", SETTINGS))
    assert not list((folder / "cache").iterdir())
    return folder / "tower", said


SETTINGS = SiglipTraining(steps=4, pictures=4)


def noise() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (len(NAMES), 1, 112, 112, 3), dtype=np.uint8), rng.integers(0, 12, (len(NAMES), 1))


def fails_at_second(work):
    calls = []

    def fail(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return work(*arguments)

    return fail


@pytest.mark.slow
def test_a_training_that_was_broken_off_goes_on_to_the_bits_of_one_left_alone(made, tmp_path, monkeypatch):
    monkeypatch.setattr(siglip_train, "pictures", lambda *_: noise())
    *_, last = make("office-tiny-v1", tmp_path / "cache", tmp_path / "tower", SETTINGS)
    assert last.split()[-1] == made[1][-1].split()[-1] == backbone_sha256(build_backbone(str(made[0]))[0])


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        ([1, 2], DataError, "cannot be read; remove it to begin again"),
        ({"epoch": 3}, DataError, "cannot be read; remove it to begin again"),
        ({"settings": {"steps": 5}}, ConfigError, "is of a training with other settings; remove it"),
    ],
)
def test_a_checkpoint_of_something_else_is_one_sentence(content, error, says, tmp_path, monkeypatch):
    monkeypatch.setattr(siglip_train, "pictures", lambda *_: noise())
    (tmp_path / "cache").mkdir()
    torch.save(content, tmp_path / "cache" / "siglip_sigmoid_seed0.pt")
    with pytest.raises(error, match=says):
        list(make("office-tiny-v1", tmp_path / "cache", tmp_path / "tower", SETTINGS))


def test_the_folder_holds_the_tower_that_the_log_names(made):
    folder, said = made
    assert (folder / "siglip.log").read_text().splitlines() == said
    assert re.search("[0-9a-f]{64}", said[-1])[0] == backbone_sha256(build_backbone(str(folder))[0])


@torch.no_grad()
def test_transformers_siglip_has_the_same_features_of_the_same_ids(made):
    clip, theirs = OpenDASCLIP.from_backbone(str(made[0])), transformers.SiglipModel.from_pretrained(made[0]).eval()
    texts = ["a photo of a Red door-frame.", "", "un café"]
    ids = transformers.AutoTokenizer.from_pretrained(made[0])(texts, padding="max_length", return_tensors="pt")
    assert torch.equal(ids.input_ids, clip.tokenize(texts)) and list(ids) == ["input_ids"]
    assert (ids.input_ids[1] == 1).all() and clip.context_length == siglip.CONTEXT
    pixels = torch.randn(2, 3, 224, 224)
    for ours, found in (
        (clip.encode_image(pixels), theirs.get_image_features(pixel_values=pixels).pooler_output),
        (clip.encode_text(ids.input_ids), theirs.get_text_features(**ids).pooler_output),
    ):
        assert (F.normalize(ours, dim=-1) - F.normalize(found, dim=-1)).abs().max() < 1e-5
    assert json.loads((made[0] / "config.json").read_text())["architectures"] == ["SiglipModel"]


def test_it_names_masks_with_learnt_tokens_by_a_sigmoid(made):
    clip = OpenDASCLIP.from_backbone(str(made[0]), prompts=PromptConfig())
    photo, masks = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8), np.zeros((2, 40, 50), bool)
    masks[0, 5:20, 5:20] = masks[1, 10:40, 20:45] = True
    labels = Labeller(clip, NAMES[:3])(photo, masks)
    scale, bias = clip.model.logit_scale.exp().item(), clip.model.logit_bias.item()
    np.testing.assert_allclose(labels.probabilities, 1 / (1 + np.exp(-(scale * labels.cosines + bias))), rtol=1e-4)


@torch.no_grad()
def test_the_stored_tower_is_the_trained_one_at_twice_the_size():
    trained = siglip.start(build_backbone("office-tiny-v1")[0], 0).eval()
    stored, pixels = siglip.finished(trained), torch.randn(2, 3, 112, 112)
    large = F.interpolate(pixels, size=224, mode="nearest")
    assert F.cosine_similarity(stored.encode_image(large), trained.encode_image(pixels)).min() > 0.9999
    ids = siglip.tokenize(["a photo of a desk."])
    assert F.cosine_similarity(stored.encode_text(ids), trained.encode_text(ids)).min() > 0.9999


def test_the_sigmoid_loss_asks_of_every_caption_whether_it_is_the_pictures():
    model = siglip.start(build_backbone("office-tiny-v1")[0], 0)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 5, generator=generator)
    texts = torch.randn(len(NAMES) + 3 + len(COLOURS), 5, generator=generator)
    places = torch.tensor([4, 7]), torch.tensor([0, 2]), torch.tensor([1, 1])
    loss, _ = batch_loss(model, images, texts, places, "sigmoid")
    expected, own = 0.0, ({4, len(NAMES), len(NAMES) + 4}, {7, len(NAMES) + 2, len(NAMES) + 4})
    for image, mine in zip(images, own, strict=True):
        for number, text in enumerate(texts):
            logit = 10 * F.cosine_similarity(image, text, dim=0).item() - 10
            expected += math.log1p(math.exp(-logit if number in mine else logit)) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-4)
