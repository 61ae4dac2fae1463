"""MMLoP: tokens of rank 1 with one column in common, and the drift of the training names taken from every text."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.nn.functional import normalize as unit

from opendas_plugin import methods
from opendas_plugin.crops import OPENAI_PIXELS
from opendas_plugin.errors import AdapterError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.train.objective import Batch, Objective
from opendas_plugin.train.recipe import read_recipe
from opendas_plugin.train.run import train

PROMPTS = methods.get("mmlop").prompts


@pytest.fixture
def clip(tiny_backbone: str) -> OpenDASCLIP:
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PROMPTS)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    return clip


def with_tokens_by_hand(clip: OpenDASCLIP, tiny_backbone: str) -> OpenDASCLIP:
    """The same function by independent tokens: each layer's are the outer product of the column and the layer's row."""
    prompts = clip.config.prompts
    other = OpenDASCLIP.from_backbone(tiny_backbone, prompts=dataclasses.replace(prompts, form="independent"))
    column = clip.text_prompts.column.detach().numpy()[:, 0]
    for mine, theirs in ((clip.visual_prompts, other.visual_prompts), (clip.text_prompts, other.text_prompts)):
        products = [np.outer(column, row) for row in mine.rows.detach().numpy()[:, 0]]
        theirs.tokens.data.copy_(torch.from_numpy(np.stack(products)))
    return other


def plain_features(clip: OpenDASCLIP, tokens: torch.Tensor) -> torch.Tensor:
    return unit(clip.model.encode_text(tokens), dim=-1)


@torch.no_grad()
def test_tokens_are_products_of_one_column_and_a_row_a_layer(clip, tiny_backbone) -> None:
    other = with_tokens_by_hand(clip, tiny_backbone)
    images, tokens = torch.randn(2, 3, 32, 32), clip.tokenize(["a photo of a door", "a red desk"])
    torch.testing.assert_close(clip.encode_image(images), other.encode_image(images))
    torch.testing.assert_close(clip.encode_text(tokens), other.encode_text(tokens))


@torch.no_grad()
def test_text_tokens_start_from_the_nearest_of_rank_1_to_the_context(tiny_backbone) -> None:
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PROMPTS)
    words = clip.model.token_embedding(clip.tokenize(["a photo of a"]))[0, 1:5].numpy()
    left, values, right = np.linalg.svd(words, full_matrices=False)
    nearest = values[0] * np.outer(left[:, 0], right[0])
    np.testing.assert_allclose(clip.text_prompts.tokens[0].numpy(), nearest, atol=1e-6)


def test_the_loss_takes_the_drift_of_the_training_names_from_their_features(clip, data, tiny_backbone) -> None:
    names = data.vocabulary.texts(data.vocabulary.base)
    objective = Objective(clip, names, ("visual", "text"), ("visual", "text"))
    crops = torch.stack([torch.from_numpy(data.crops.crop(place).copy()) for place in range(4)])
    loss, _ = objective(Batch(crops, data.labels[:4], slice(0, 4), 4), 0.0)

    other, tokens = with_tokens_by_hand(clip, tiny_backbone), clip.tokenize(names)
    image, text = other.encode_image(OPENAI_PIXELS.normalise(crops), True), other.encode_text(tokens, True)
    text = unit(text - (text - plain_features(clip, tokens)).mean(dim=0), dim=-1)
    expected = cross_entropy(clip.logit_scale.exp() * image @ text.T, data.labels[:4])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in clip.prompt_parameters())


def test_a_trained_adapter_takes_the_same_drift_from_any_text(data, tiny_backbone, tmp_path) -> None:
    config = read_recipe("paper", "mmlop")
    short = dataclasses.replace(config.joint, epochs=2)
    augmentation = dataclasses.replace(config.augmentation, kind="none")
    config = dataclasses.replace(config, backbone=tiny_backbone, workers=0, joint=short, augmentation=augmentation)
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=config.prompts)
    train(clip, data, config, tmp_path / "run")
    clip.save_pretrained(tmp_path / "adapter", method="mmlop")
    clip = OpenDASCLIP.from_pretrained(tmp_path / "adapter")

    with torch.no_grad():
        base = clip.tokenize(data.vocabulary.texts(data.vocabulary.base))
        other = with_tokens_by_hand(clip, tiny_backbone)
        drift = (other.encode_text(base, True) - plain_features(clip, base)).mean(dim=0)
        assert drift.abs().max() > 1e-4
        novel = clip.tokenize(["a photo of a quiet lamp", "a photo of a stair"])
        expected = unit(other.encode_text(novel, True) - drift, dim=-1)
        torch.testing.assert_close(clip.encode_text(novel, True), expected, atol=1e-6, rtol=0)
        with clip.prompts_disabled():
            torch.testing.assert_close(clip.encode_text(novel), clip.model.encode_text(novel))


def test_another_number_of_tokens_than_the_file_has_is_refused(clip, tmp_path) -> None:
    clip.save_pretrained(tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    text = path.read_text()
    path.write_text(
        text.replace('"text_tokens": 4', '"text_tokens": 3').replace('"visual_tokens": 4', '"visual_tokens": 3')
    )
    with pytest.raises(AdapterError, match=r"column' has shape \(4, 1\)"):
        OpenDASCLIP.from_pretrained(tmp_path / "adapter")
