"""State that is shared: what a thread, a copy, a mode of torch or another block does never shows in one's features."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from opendas_plugin.classifier import TextClassifier
from opendas_plugin.errors import ConfigError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.cache import FeatureCache
from opendas_plugin.model.config import PromptConfig, WeightConfig
from opendas_plugin.model.hashes import checksum
from tests.model.models import TEXTS, build_tiny, close, pixels, wrap

KINDS = {
    "tokens": (PromptConfig(visual_tokens=3, text_tokens=2), None),
    "coupled": (PromptConfig(2, 2, form="coupled"), None),
    "read_only": (PromptConfig(2, 2, form="read_only"), None),
    "low_rank": (PromptConfig(0, 0), WeightConfig("low_rank_all", "low_rank", mix=0.5)),
    "whole": (PromptConfig(0, 0), WeightConfig("all", "norm", mix=0.5)),
    "both": (PromptConfig(), WeightConfig("norm_bias+low_rank_mlp_out", "norm+low_rank")),
}
CONDITIONAL = (PromptConfig(0, 4, text_depth=1, form="conditional"), None)
"""Its text features are of an image each, so that it is asked for scores alone."""


def make(kind: str) -> OpenDASCLIP:
    prompts, weights = (KINDS | {"conditional": CONDITIONAL})[kind]
    clip = wrap(build_tiny(), prompts, weights=weights)
    if kind == "tokens":
        generator = torch.Generator().manual_seed(4)
        keys, values = (torch.randn(5, 32, generator=generator) for _ in range(2))
        clip.keep(FeatureCache.of(keys, values, 0.5, 3.0))
    if kind in ("tokens", "both"):
        clip.interpolate(visual=0.6, text=0.3)
    return clip


@torch.no_grad()
def ask(clip: OpenDASCLIP, how: str, images: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    blocks = {
        "as it is": clip.prompts_disabled(visual=False, text=False),
        "disabled": clip.prompts_disabled(),
        "text alone": clip.prompts_disabled(text=False),
        "unmixed": clip.unmixed(),
        "at 0.2": clip.weights_at(0.2),
    }
    with blocks[how]:
        features = clip.encode_image(images)
        return features, clip.classifier(tokens)(features) if clip.is_conditional else clip.encode_text(tokens)


HOW = ("as it is", "disabled", "text alone", "unmixed", "at 0.2")


def hammer(kind: str, seconds: float) -> int:
    """Eight threads on one adapter, and a plain CLIP on its model, each in its way; returns how often they asked."""
    clip = make(kind)
    images, tokens = pixels(clip.model), clip.tokenize(TEXTS)
    expected = {how: ask(clip, how, images, tokens) for how in HOW}
    plain, own = clip.plain(), expected["disabled"]
    end = time.monotonic() + seconds

    def work(number: int) -> int:
        rounds = 0
        while time.monotonic() < end:
            if number == 0:
                found, right = ask(plain, "as it is", images, tokens), own
            else:
                how = HOW[(number + rounds) % len(HOW)]
                found, right = ask(clip, how, images, tokens), expected[how]
            assert all(torch.equal(a, b) for a, b in zip(found, right, strict=True)), (kind, number, rounds)
            rounds += 1
        return rounds

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(work, range(8)))


@pytest.mark.parametrize("kind", [*KINDS, "conditional"])
def test_features_asked_from_eight_threads_are_those_of_one(kind):
    assert hammer(kind, 0.5) > 8


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, "conditional"])
def test_features_asked_from_eight_threads_for_a_minute_are_those_of_one(kind):
    assert hammer(kind, 60) > 100


def test_ways_of_asking_differ():
    """Otherwise the tests above say nothing."""
    clip = make("both")
    images, tokens = pixels(clip.model), clip.tokenize(TEXTS)
    found = [torch.cat([t.flatten() for t in ask(clip, how, images, tokens)]) for how in HOW]
    assert all(not close(a, b, 1e-4) for place, a in enumerate(found) for b in found[:place])


WRITES = {
    "data.copy_": lambda p: p.data.copy_(p.flip(0) + 0.1),
    "places changed": lambda p: p.data.copy_(p.flatten().flip(0).view(p.shape)),
    "numpy": lambda p: p.detach().numpy().__imul__(1.5),
    "in place": lambda p: p.detach().add_(0.1),
    "data replaced": lambda p: setattr(p, "data", p.data * 2),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", WRITES)
@torch.no_grad()
def test_what_was_learnt_may_be_written_in_any_way(kind, how):
    clip = make(kind)
    images, tokens = pixels(clip.model), clip.tokenize(TEXTS)
    names = TextClassifier(clip, ["door", "wall", "chair"])
    before = clip.encode_image(images), names.features
    for parameter in clip.prompt_parameters():
        WRITES[how](parameter)
    fresh = make(kind)
    fresh.load_state_dict(clip.state_dict())
    assert torch.equal(clip.encode_image(images), fresh.encode_image(images))
    assert torch.equal(clip.encode_text(tokens), fresh.encode_text(tokens))
    assert torch.equal(names.features, TextClassifier(fresh, ["door", "wall", "chair"]).features)
    assert not torch.equal(clip.encode_image(images), before[0]) and not torch.equal(names.features, before[1])


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_weights_that_were_cast_and_back_are_the_ones_in_use(kind):
    clip = make(kind)
    images, tokens = pixels(clip.model), clip.tokenize(TEXTS)
    names = TextClassifier(clip, ["door", "wall"])
    ask(clip, "as it is", images, tokens)
    clip.half().float()
    fresh = make(kind)
    fresh.half().float()
    found, right = (ask(c, "as it is", images, tokens) for c in (clip, fresh))
    assert all(torch.equal(a, b) for a, b in zip(found, right, strict=True))
    assert torch.equal(names.features, TextClassifier(fresh, ["door", "wall"]).features)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mode_of_torch_leaves_nothing_to_those_who_ask_next(kind):
    clip, reference = make(kind), make(kind)
    images, tokens = pixels(clip.model), clip.tokenize(TEXTS)
    with torch.inference_mode():
        names = TextClassifier(clip, ["door", "wall"])
        ask(clip, "as it is", images, tokens)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert names.features.dtype == torch.float32
        ask(clip, "as it is", images, tokens)
        clip.encode_text(tokens)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        clip.encode_text(tokens)  # with gradient, where states of texts are kept
    image, text = clip.encode_image(images), clip.encode_text(tokens)
    assert torch.equal(image, reference.encode_image(images)) and torch.equal(text, reference.encode_text(tokens))
    assert torch.equal(names.features, TextClassifier(reference, ["door", "wall"]).features)
    (
        image.sum() + text.sum() + (names.features @ torch.ones(names.features.shape[1], requires_grad=True)).sum()
    ).backward()


def test_texts_that_are_changed_in_place_are_read_anew():
    clip = make("read_only")
    tokens = clip.tokenize(TEXTS)
    clip.encode_text(tokens)
    tokens.copy_(tokens.flip(0))
    assert torch.equal(clip.encode_text(tokens), make("read_only").encode_text(tokens))


@torch.no_grad()
def test_blocks_may_overlap_and_end_in_any_order_and_thread():
    clip = make("both")
    images = pixels(clip.model)
    full, plain = clip.encode_image(images), clip.plain().encode_image(images)
    first, second = clip.prompts_disabled(), clip.unmixed()
    first.__enter__()
    second.__enter__()
    assert torch.equal(clip.encode_image(images), plain)
    first.__exit__(None, None, None)
    with clip.unmixed():
        assert torch.equal(clip.encode_image(images), clip.encode_image(images))
    second.__exit__(None, None, None)
    assert torch.equal(clip.encode_image(images), full)
    third = clip.prompts_disabled()
    third.__enter__()
    ending = threading.Thread(target=third.__exit__, args=(None, None, None))
    ending.start()
    ending.join()
    assert torch.equal(clip.encode_image(images), full)
    with clip.prompts_disabled():
        clip.interpolate()  # stays
        clip.weight_mix = 0.5
    assert clip.config.interpolation.visual == 1 and clip.weight_mix == 0.5


@torch.no_grad()
def test_a_block_is_of_its_thread_and_not_of_a_copy():
    clip = make("tokens")
    images = pixels(clip.model)
    full = clip.encode_image(images)
    with clip.prompts_disabled(), ThreadPoolExecutor(1) as pool:
        assert not torch.equal(clip.encode_image(images), full)
        assert torch.equal(pool.submit(lambda: torch.no_grad()(clip.encode_image)(images)).result(), full)
        assert torch.equal(copy.deepcopy(clip).encode_image(images), full)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_pickles_of_a_clip_and_its_tower_stand_alone(kind):
    clip = make(kind)
    images, tokens = pixels(clip.model), clip.tokenize(TEXTS)
    assert clip.tokenizer
    expected, text = clip.encode_image(images), clip.encode_text(tokens)
    for duplicate in (copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))):  # noqa: S301
        twin, tower = duplicate(clip), duplicate(clip.visual)
        assert torch.equal(tower(images), expected) and tower.input_resolution == 32
        for parameter in twin.prompt_parameters():
            parameter.mul_(2)
        twin.weight_mix = 0.9
        assert torch.equal(clip.encode_image(images), expected) and torch.equal(clip.encode_text(tokens), text)
        assert not torch.equal(twin.encode_image(images), expected)
    with pytest.raises(AttributeError, match="has no __deepcopy__"):
        _ = clip.visual.__deepcopy__


def test_data_parallel_is_refused_with_what_to_use():
    with pytest.raises(ConfigError, match="DistributedDataParallel"):
        make("tokens")._replicate_for_data_parallel()


def test_checksums_tell_any_change_apart():
    tensor = torch.arange(100_001, dtype=torch.float32)
    seen = {checksum(tensor), checksum(tensor.flip(0)), checksum(tensor + 1), checksum(tensor[1:]), checksum(-tensor)}
    swapped = tensor.clone()
    swapped[[3, 70_000]] = swapped[[70_000, 3]]
    assert len(seen | {checksum(swapped)}) == 6
    assert checksum(tensor) == checksum(tensor.clone())
    assert checksum(tensor[1:]) == checksum(tensor[1:].clone()) and checksum(torch.zeros(0)) == checksum(torch.zeros(0))
