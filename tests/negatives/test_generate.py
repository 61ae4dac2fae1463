"""Related names found offline are the nearest words, and never training names."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from opendas_plugin.errors import DataError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.negatives.generate import offline
from opendas_plugin.negatives.words import word_list
from opendas_plugin.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("desk", "office chair", "mug"), novel=("mug",))


@pytest.fixture(scope="module")
def clip(tiny_backbone: str) -> OpenDASCLIP:
    return OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig())


def test_they_are_the_nearest_words_by_the_frozen_tower(clip: OpenDASCLIP) -> None:
    words = ["table", "mug", "bench", "Desks", "stool", "a desk", "lamp", "globe", "sofa", "table"]
    database = offline(VOCABULARY, clip, words)
    left = ["table", "mug", "bench", "stool", "lamp", "globe", "sofa"]
    text = clip.model.encode_text(clip.tokenizer([f"a photo of a {name}." for name in ["desk", "office chair", *left]]))
    cosines = normalize(text[:2], dim=-1) @ normalize(text[2:], dim=-1).T
    for name, row in zip(VOCABULARY.base, cosines, strict=True):
        nearest = [left[i] for i in row.argsort(descending=True)[:5]]
        assert [item.name for item in database.entries[name]] == nearest
        assert {item.source for item in database.entries[name]} == {"offline"}


def test_novel_names_are_not_looked_at(clip: OpenDASCLIP) -> None:
    unmarked = Vocabulary(VOCABULARY.base)
    words = ["table", "mug", "bench", "stool", "lamp", "globe", "sofa"]
    assert offline(VOCABULARY, clip, words) == offline(unmarked, clip, words)


def test_the_built_in_word_list_makes_a_sound_database(clip: OpenDASCLIP) -> None:
    database = offline(VOCABULARY, clip, word_list())
    database.validate(VOCABULARY)
    assert database == offline(VOCABULARY, clip, word_list())


def test_too_few_words_are_an_error(clip: OpenDASCLIP) -> None:
    with pytest.raises(DataError, match="at least 5 words that are no training names, got 4"):
        offline(VOCABULARY, clip, ["table", "bench", "Desk", "office chairs", "stool", "lamp"])


def test_prompts_are_left_out(clip: OpenDASCLIP) -> None:
    before = offline(VOCABULARY, clip, word_list())
    with torch.no_grad():
        clip.text_prompts.tokens.add_(1.0)
    assert offline(VOCABULARY, clip, word_list()) == before
