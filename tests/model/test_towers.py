from __future__ import annotations

from functools import cache

import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opendas_plugin.errors import BackboneError
from opendas_plugin.model.config import PromptConfig
from tests.model.models import TEXTS, build, build_tiny, close, pixels, wrap

tiny = cache(build_tiny)

MAKES = [("ViT-B-32-quickgelu", False), ("ViT-B-16", False), ("ViT-L-14", False), ("ViT-B-32", True)]
NO_TOKENS = PromptConfig(visual_tokens=0, text_tokens=0)


def assert_equals_open_clip(model, texts=TEXTS) -> None:
    """No adapter, an identity adapter and a disabled adapter give the features of open_clip's own methods."""
    tokens, images = open_clip.tokenize(texts), pixels(model)
    adapted = wrap(model, PromptConfig())
    with torch.no_grad():
        image_features, text_features = model.encode_image(images), model.encode_text(tokens)
        for clip in (wrap(model), wrap(model, NO_TOKENS)):
            assert close(clip.encode_image(images), image_features)
            assert close(clip.encode_text(tokens), text_features)
        assert not close(adapted.encode_image(images), image_features, 1e-2)
        assert not close(adapted.encode_text(tokens), text_features, 1e-2)
        with adapted.prompts_disabled():
            assert close(adapted.encode_image(images), image_features)
            assert close(adapted.encode_text(tokens), text_features)


@pytest.mark.parametrize(("name", "custom_text"), MAKES)
def test_without_tokens_features_are_open_clips(name, custom_text):
    assert_equals_open_clip(build(name, layers=2, custom_text=custom_text))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "custom_text"), MAKES)
def test_without_tokens_features_are_open_clips_in_full_size(name, custom_text):
    assert_equals_open_clip(build(name, custom_text=custom_text))


@pytest.mark.parametrize(
    "changes",
    [
        {"vision_cfg": {"no_ln_pre": True, "final_ln_after_pool": True, "ls_init_value": 0.1}},
        {"vision_cfg": {"pos_embed_type": "sin_cos_2d", "patch_dropout": 0.5}},
        {"vision_cfg": {"image_size": (32, 64)}, "text_cfg": {"ls_init_value": 0.1, "norm_kwargs": {"eps": 1e-3}}},
        {"text_cfg": {"pool_type": "eos", "eos_id": 49407}},
        {"text_cfg": {"proj_bias": True}, "custom_text": True},
        {"text_cfg": {"context_length": 32}, "custom_text": True},
        {"quick_gelu": True, "init_logit_bias": -10.0, "nonscalar_logit_scale": True},
    ],
    ids=str,
)
def test_every_variant_of_open_clips_own_towers_is_reproduced(changes):
    model = build_tiny(**changes)
    clip, images = wrap(model), pixels(model)
    tokens = clip.tokenize(TEXTS)
    with torch.no_grad():
        assert close(clip.encode_image(images), model.encode_image(images))
        assert close(clip.encode_text(tokens), model.encode_text(tokens))


def test_a_tower_without_projection_is_reproduced():
    model = build_tiny(text_cfg={"proj_type": "none", "width": 32, "heads": 1})
    model.visual.proj = None
    clip, images = wrap(model), pixels(model)
    with torch.no_grad():
        assert close(clip.encode_image(images), model.encode_image(images))
        assert close(clip.encode_text(clip.tokenize(TEXTS)), model.encode_text(clip.tokenize(TEXTS)))


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 49407), min_size=1, max_size=77), min_size=1, max_size=5), st.integers(0, 77))
def test_any_token_ids_give_open_clips_features(rows, alike):
    """Even ids that no tokenizer makes: other first tokens, no end of text, padding of any kind."""
    model = tiny()
    tokens = torch.zeros(len(rows), 77, dtype=torch.int64)
    for row, ids in zip(tokens, rows, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    tokens[:, :alike] = tokens[:1, :alike]
    with torch.no_grad():
        assert close(wrap(model).encode_text(tokens.int()), model.encode_text(tokens))


def mask_of(length: int) -> torch.Tensor:
    return torch.full((length, length), float("-inf")).triu(1)


def plain_layers(blocks, x, prompts, places, mask=None):
    """Runs layer after layer over whole sequences: each layer's own tokens overwrite what stands at their places."""
    for i, block in enumerate(blocks):
        if i < len(prompts):
            x = torch.cat([x[:, : places.start], prompts[i].expand(len(x), -1, -1), x[:, places.stop :]], dim=1)
        h = block.ln_1(x)
        x = x + block.ls_1(block.attn(h, h, h, need_weights=False, attn_mask=mask)[0])
        x = x + block.ls_2(block.mlp(block.ln_2(x)))
    return x


def plain_image_features(model, images, prompts):
    visual = model.visual
    x = visual.conv1(images).flatten(2).permute(0, 2, 1)
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], dim=1) + visual.positional_embedding
    n = prompts.shape[1]
    x = visual.ln_pre(torch.cat([x, prompts[0].expand(len(x), -1, -1)], dim=1))
    first = visual.ln_pre(prompts[0])
    x = plain_layers(visual.transformer.resblocks, x, [first, *prompts[1:]], range(x.shape[1] - n, x.shape[1]))
    return visual.ln_post(x[:, 0]) @ visual.proj


def plain_text_features(model, ids, begins, prompts):
    """``ids``: (77,) of one text; ``begins``: whether its words 1 to 4 are the ones that the tokens replace."""
    n = prompts.shape[1]
    words = model.token_embedding(ids)
    rest = words[1 + 4 :] if begins else words[1:]
    x = torch.cat([words[:1], prompts[0], rest])[:77]
    end = ids.argmax() + n - (4 if begins else 0)
    x = torch.cat([x, x.new_zeros(77 - len(x), x.shape[1])]) + model.positional_embedding
    first = prompts[0] + model.positional_embedding[1 : n + 1]
    x = plain_layers(model.transformer.resblocks, x[None], [first, *prompts[1:]], range(1, n + 1), mask_of(77))
    return model.ln_final(x[0, end]) @ model.text_projection


@pytest.mark.parametrize("depth", [None, 1, 2], ids=lambda depth: f"depth={depth}")
@pytest.mark.parametrize("count", [1, 8])
def test_visual_tokens_do_what_a_plain_forward_does(count, depth):
    model = build_tiny()
    clip = wrap(model, PromptConfig(visual_tokens=count, text_tokens=0, visual_depth=depth))
    images, learnt = pixels(model), clip.visual_prompts.tokens
    expected, features = plain_image_features(model, images, learnt), clip.encode_image(images)
    assert close(features, expected)
    (expected_gradient,) = torch.autograd.grad(expected.square().sum(), learnt)
    (gradient,) = torch.autograd.grad(features.square().sum(), learnt)
    assert expected_gradient.abs().max() > 1e-2
    assert close(gradient, expected_gradient)


@pytest.mark.parametrize("depth", [None, 1, 2], ids=lambda depth: f"depth={depth}")
@pytest.mark.parametrize("count", [4, 6])
def test_text_tokens_do_what_a_plain_forward_does(count, depth):
    model = build_tiny()
    clip = wrap(model, PromptConfig(visual_tokens=0, text_tokens=count, text_depth=depth))
    texts = dict.fromkeys(TEXTS, True) | {"a door": False, "a photo of the door in a big room": False}
    tokens, learnt = clip.tokenize(list(texts)), clip.text_prompts.tokens
    rows = [plain_text_features(model, ids, begins, learnt) for ids, begins in zip(tokens, texts.values(), strict=True)]
    expected, features = torch.stack(rows), clip.encode_text(tokens)
    assert close(features, expected)
    (expected_gradient,) = torch.autograd.grad(expected.square().sum(), learnt)
    (gradient,) = torch.autograd.grad(features.square().sum(), learnt)
    assert expected_gradient.abs().max() > 1e-2
    assert close(gradient, expected_gradient, 5e-5)


def test_the_frozen_model_gets_no_gradient_and_gives_no_cost():
    clip = wrap(build_tiny(), PromptConfig()).train()
    (clip.encode_image(pixels(clip.model)).sum() + clip.encode_text(clip.tokenize(TEXTS)).sum()).backward()
    assert all(p.grad is None and not p.requires_grad for p in clip.model.parameters())
    assert all(p.grad.abs().sum() > 0 for p in clip.prompt_parameters())
    assert not any(module.training for module in clip.model.modules())


def test_zero_shot_start_leaves_texts_that_begin_with_the_context_as_they_are():
    model = build_tiny()
    prompts = PromptConfig(deep_text_init="zero_shot")
    clip = wrap(model, prompts)
    fresh = type(clip)(model, clip.backbone, prompts)
    tokens = fresh.tokenize(TEXTS)
    with torch.no_grad():
        assert close(fresh.encode_text(tokens), model.encode_text(tokens))
        normal = type(clip)(model, clip.backbone, PromptConfig())
        assert not close(normal.encode_text(tokens), model.encode_text(tokens), 1e-2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_cast_model_keeps_its_learnt_tokens_in_full_precision(dtype):
    model = build_tiny()
    clip = wrap(model, PromptConfig())
    images, tokens = pixels(model), clip.tokenize(TEXTS)
    with torch.no_grad():
        expected = clip.encode_image(images, True), clip.encode_text(tokens, True)
        learnt = [p.clone() for p in clip.prompt_parameters()]
        clip.to(dtype)
        assert clip.dtype == dtype
        assert all(torch.equal(a, b) for a, b in zip(learnt, clip.prompt_parameters(), strict=True))
        assert close(clip.encode_image(images, True).float(), expected[0], 0.05)
        assert close(clip.encode_text(tokens, True).float(), expected[1], 0.05)


def test_autocast_runs_both_towers_and_reaches_the_tokens():
    clip = wrap(build_tiny(), PromptConfig(visual_depth=2))
    images, tokens = pixels(clip.model), clip.tokenize(TEXTS)
    expected = clip.encode_image(images, True), clip.encode_text(tokens, True)
    with torch.autocast("cpu", torch.bfloat16):
        features = clip.encode_image(images, True), clip.encode_text(tokens, True)
    (features[0].sum() + features[1].sum()).backward()
    assert all(close(a.float(), b, 0.05) for a, b in zip(features, expected, strict=True))
    assert all(p.grad.dtype == torch.float32 for p in clip.prompt_parameters())


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [
        ({"vision_cfg": {"pool_type": "avg"}}, "class-token pooling"),
        ({"vision_cfg": {"attentional_pool": True, "attn_pooler_heads": 2}}, "class-token pooling"),
        ({"vision_cfg": {"qk_norm": True}}, "plain attention blocks"),
        ({"text_cfg": {"scale_heads": True}}, "plain attention blocks"),
        ({"text_cfg": {"no_causal_mask": True}}, "a causal mask"),
        ({"text_cfg": {"pool_type": "last"}}, "end-of-text token"),
        ({"text_cfg": {"embed_cls": True}, "custom_text": True}, "end-of-text token"),
    ],
    ids=str,
)
def test_tokens_that_only_read_are_refused_by_what_a_model_lacks(changes, lacking):
    model = build_tiny(**changes)
    with pytest.raises(BackboneError, match=f"ViT-B-32 cannot carry read-only tokens: it lacks .*{lacking}"):
        wrap(model, PromptConfig(2, 2, form="read_only"))
    wrap(model)


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [
        ({"text_cfg": {"embed_cls": True}, "custom_text": True}, "read at a token of the text"),
        ({"text_cfg": {"pool_type": "first"}, "custom_text": True}, "read at a token of the text"),
    ],
    ids=str,
)
def test_learnt_tokens_are_refused_by_what_a_model_lacks(changes, lacking):
    model = build_tiny(**changes)
    with pytest.raises(BackboneError, match=f"ViT-B-32 cannot carry learnt tokens: it lacks .*{lacking}"):
        wrap(model, PromptConfig())
    wrap(model)
