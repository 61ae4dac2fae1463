from __future__ import annotations

import pytest
import torch

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import BackboneConfig, PromptConfig
from tests.model.models import build_tiny


@pytest.fixture(scope="module")
def model():
    return build_tiny()


def adapted(model, **prompts) -> OpenDASCLIP:
    return OpenDASCLIP(model, BackboneConfig("ViT-B-32"), PromptConfig(**prompts))


def placed(clip: OpenDASCLIP, text: str) -> tuple[list[int], int]:
    """The ids after the learnt tokens, and their number, as the tower reads the text."""
    tokens = clip.tokenize(text)
    ids, ends = clip.text_prompts.places.make_room(tokens, clip.towers.text, str)
    n = clip.text_prompts.tokens.shape[1]
    return ids[0, n + 1 : ends[0]].tolist(), int(ends) + 1


@pytest.mark.parametrize(
    ("count", "text", "rest", "length_change"),
    [
        (4, "a photo of a door.", "door.", 0),
        (2, "a photo of a door.", "of a door.", 0),
        (1, "a photo of a door.", "photo of a door.", 0),
        (6, "a photo of a door.", "door.", 2),
        (4, "a photo of the door.", "a photo of the door.", 4),
        (4, "door", "door", 4),
        (4, "a photo of a", "", 0),
        (4, "a photo of", "a photo of", 4),
        (2, "a photograph of a door", "a photograph of a door", 2),
        (4, "", "", 4),
    ],
)
def test_learnt_tokens_take_the_place_of_the_words_they_start_from_and_are_else_inserted(
    model, count, text, rest, length_change
):
    clip = adapted(model, text_tokens=count)
    ids, length = placed(clip, text)
    assert ids == clip.tokenizer.encode(rest)
    assert length == len(clip.tokenizer.encode(text)) + 2 + length_change


def test_a_text_that_no_longer_fits_is_named(model):
    clip = adapted(model)
    fits = clip.tokenize("a photo of a " + "red " * 70 + "door")
    assert fits[0, -1] == fits.max()
    assert clip.encode_text(fits).shape == (1, 32)
    with pytest.raises(DataError, match=r"'the red red .*' has 78 tokens with 4 learnt tokens inserted.*holds 77"):
        clip.encode_text(clip.tokenize(["a door", "the " + "red " * 71]))


def test_ids_that_no_tokenizer_made_are_refused_where_tokens_are_to_be_placed(model):
    with pytest.raises(DataError, match="text 1 begins with token 0, expected the start token 49406"):
        adapted(model).encode_text(torch.cat([adapted(model).tokenize("a door"), torch.zeros(1, 77).long()]))


@pytest.mark.parametrize(("count", "words"), [(1, "a"), (2, "a photo"), (4, "a photo of a"), (6, "a photo of a")])
def test_the_first_text_layer_starts_from_the_context(model, count, words):
    clip = adapted(model, text_tokens=count)
    ids = clip.tokenizer.encode(words)
    tokens = clip.text_prompts.tokens.detach()
    assert tokens.shape == (3, count, 64)
    assert torch.equal(tokens[0, : len(ids)], model.token_embedding.weight[ids])
    assert tokens[0, len(ids) :].numel() == 0 or 0.01 < tokens[0, len(ids) :].std() < 0.03
    assert 0.015 < tokens[1:].std() < 0.025


def test_another_context_is_learnt_and_replaced(model):
    clip = adapted(model, context="an indoor photo of")
    ids, _ = placed(clip, "an indoor photo of the door")
    assert ids == clip.tokenizer.encode("the door")


def test_noise_has_the_asked_deviation_and_comes_from_its_seed_alone(model):
    def tokens(seed: int) -> torch.Tensor:
        clip = OpenDASCLIP(model, BackboneConfig("x"), PromptConfig(visual_tokens=64, init_std=0.1), seed=seed)
        return clip.visual_prompts.tokens.detach()

    before = torch.random.get_rng_state()
    assert torch.equal(tokens(3), tokens(3))
    assert not torch.equal(tokens(3), tokens(4))
    assert tokens(3).std().item() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("field", "value"),
    [("visual_tokens", -1), ("text_depth", 0), ("visual_depth", 4), ("deep_text_init", "ones"), ("init_std", 0.0)],
)
def test_a_setting_out_of_range_is_named(model, field, value):
    with pytest.raises(ConfigError, match=field):
        adapted(model, **{field: value})
