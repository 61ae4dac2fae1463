"""The pre-training's parts: its loss worked by hand, and the step from the trained tower to the one that is stored."""

from __future__ import annotations

import math

import numpy as np
import open_clip
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from opendas_plugin.office.corpus import Captions, augmented, pictures
from opendas_plugin.office.names import NAMES
from opendas_plugin.office.pretrain import Pretraining, Tower, contrastive_loss
from opendas_plugin.office.web import web_image


def test_the_loss_is_the_mean_of_both_directions_worked_by_hand():
    images, texts = torch.eye(3)[[0, 1, 1]], torch.eye(3)
    targets, e = torch.tensor([0, 1, 1]), math.e
    to_text = math.log((e + 2) / e)  # every picture is nearest to its own of three names
    first, second = math.log((e + 2) / e), math.log((2 * e + 1) / e)  # name 0 has one picture of three, name 1 two
    loss, logits = contrastive_loss(images, 5 * texts, targets, torch.tensor(1.0))
    assert loss.item() == pytest.approx((to_text + (first + second) / 2) / 2, rel=1e-5)
    torch.testing.assert_close(logits, images @ texts.T)


@pytest.fixture(scope="module")
def captions():
    return Captions()


def test_the_stored_tower_is_the_trained_one_at_twice_the_size_with_all_tokens(captions):
    trained = Tower(captions, Pretraining())
    trained.resize(112)
    stored = trained.full()
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    tokens = open_clip.SimpleTokenizer()([f"a photo of a {name}." for name in NAMES[:8]])
    with torch.no_grad():
        halved = trained.clip.eval().encode_image(F.avg_pool2d(pixels, 2))
        assert F.cosine_similarity(stored.encode_image(pixels), halved).min() > 0.9999  # half precision
        short = trained.clip.encode_text(captions.plain[:8, 0])
        assert F.cosine_similarity(stored.encode_text(tokens), short).min() > 0.9999


def test_a_caption_is_drawn_for_every_name_and_tells_the_right_one(captions):
    generator = torch.Generator().manual_seed(0)
    drawn = captions.draw(torch.arange(40), torch.zeros(40, dtype=torch.long), generator)
    tokenizer = open_clip.SimpleTokenizer()
    for name, row in zip(NAMES, drawn, strict=True):
        ids = captions.tokens[row]
        assert name in tokenizer.decode(ids[: int(ids.argmax())].tolist())


def test_augmentation_keeps_range_and_shape_and_depends_on_its_seed_alone():
    batch = torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    one, two = (augmented(batch.clone(), 1.0, torch.Generator().manual_seed(5)) for _ in range(2))
    torch.testing.assert_close(one, two, rtol=0, atol=0)
    assert one.shape == batch.shape
    assert one.min() >= 0
    assert one.max() <= 1


@pytest.mark.slow
def test_pictures_are_kept_and_are_those_of_their_seed_in_another_process_too(tmp_path, monkeypatch):
    monkeypatch.setattr("opendas_plugin.office.corpus.NAMES", NAMES[:2])
    images, _ = pictures(tmp_path, 32, 2, 7, 1)
    expected, _ = web_image(NAMES[1], np.random.default_rng([7, 1, 1]), 32)
    np.testing.assert_array_equal(images[1, 1], expected)
    again, _ = pictures(tmp_path, 32, 2, 7, 1)
    np.testing.assert_array_equal(images, again)
