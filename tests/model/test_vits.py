"""Learnt tokens on a small model of every family with a ViT, against slow forwards of timm's and open_clip's blocks."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from opendas_plugin import methods
from opendas_plugin.errors import AdapterError, BackboneError, DataError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig

VITS = (
    "siglip", "siglip2", "siglip-i18n", "pe", "pe-bigG", "eva01", "eva02", "eva02-E", "vit-timm", "vit-gap",
    "mobileclip-B", "vitamin", "vitamin-XL", "clipa", "worldwide",
)  # fmt: skip
BOTH_WAYS = ("siglip", "siglip2", "siglip-i18n", "clipa", "vit-timm", "mobileclip")
"""Families whose texts read their padding."""
TEXTS = ["a photo of a red door.", "a photo of the green desk", "the long block", "a photo of a"]
BEGIN = [True, False, False, True]
"""Which of the texts begin with the words that four tokens start from."""


@pytest.fixture(params=VITS)
def family(request) -> str:
    return request.param


@pytest.fixture
def make(family_names, tokenizer_folders):
    """Builds a small model of a family with learnt tokens that are away from their start."""

    def build(family: str, prompts: PromptConfig | None, **options) -> OpenDASCLIP:
        folder = tokenizer_folders.get(family)
        clip = OpenDASCLIP.from_backbone(family_names[family], prompts=prompts, tokenizer=folder, **options)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for tensor in clip.prompt_parameters():
                tensor.add_(0.3 * torch.randn(tensor.shape, generator=generator))
        return clip

    return build


def awake(clip: OpenDASCLIP) -> OpenDASCLIP:
    """With scales of layers that are not next to nothing, as they are at random weights."""
    with torch.no_grad():
        for name, weight in clip.model.named_parameters():
            if name.endswith((".gamma", ".gamma_1", ".gamma_2")):
                weight.fill_(0.5)
    return clip


def images(clip: OpenDASCLIP) -> torch.Tensor:
    return torch.randn(2, 3, *clip.image_shape, generator=torch.Generator().manual_seed(2))


def assert_same(found: torch.Tensor, expected: torch.Tensor, learnt: torch.Tensor) -> None:
    """Compares unit features, and the gradients of a random combination of them."""
    pull = torch.randn(found.shape, generator=torch.Generator().manual_seed(3))
    pairs = []
    for features in (found, expected):
        one = normalize(features, dim=-1)
        pairs.append((one, *torch.autograd.grad((one * pull).sum(), learnt)))
    (ours, gradient), (theirs, reference) = pairs
    assert (ours - theirs).abs().max() <= 1e-5
    assert reference.flatten(1).any(dim=1).all()  # of every layer
    assert (gradient - reference).abs().max() <= 1e-5 * max(1.0, reference.abs().max().item())


def slow_image_features(model, pixels: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
    """The tokens stand before all others, as class tokens do, which rotary positions leave alone."""
    visual, n = copy.deepcopy(model.visual), prompts.shape[1]
    trunk, rope = getattr(visual, "trunk", None), {}
    if trunk is None:
        x, first, blocks = visual._embeds(pixels), visual.ln_pre(prompts[0]), visual.transformer.resblocks
    else:
        x, first, blocks = trunk._pos_embed(trunk.patch_embed(pixels)), trunk.norm_pre(prompts[0]), trunk.blocks
        if isinstance(x, tuple):
            x, turns = x
            rope = {} if turns is None else {"rope": turns}
        x = trunk.norm_pre(x)
    for layer, block in enumerate(blocks):
        if hasattr(block.attn, "num_prefix_tokens"):
            block.attn.num_prefix_tokens += n
        tokens = first if layer == 0 else prompts[layer] if layer < len(prompts) else None
        if tokens is not None:
            x = torch.cat([tokens.expand(len(x), -1, -1), x[:, 0 if layer == 0 else n :]], dim=1)
        x = block(x, **rope)
    x = x[:, n:]
    if trunk is None:
        return visual._pool(x)[0] @ visual.proj
    return visual.head(trunk.forward_head(trunk.norm(x)))


def slow_text_features(model, ids: torch.Tensor, begins: bool, prompts: torch.Tensor, pooled: str) -> torch.Tensor:
    """The feature of one text of ids (L,), all of its padding in it."""
    text, n = getattr(model, "text", model), prompts.shape[1]
    first = int(ids[0] in (101, 49406))
    words = text.token_embedding(ids)
    x = torch.cat([words[:first], prompts[0], words[first + 4 * begins :]])[: len(ids)] + text.positional_embedding
    mask = text.attn_mask
    for layer, block in enumerate(text.transformer.resblocks):
        if 0 < layer < len(prompts):
            x = torch.cat([x[:first], prompts[layer], x[first + n :]])
        x = block(x[None], attn_mask=mask)[0]
    end = {"last": len(ids) - 1, "argmax": int(ids.argmax()) + n - 4 * begins}
    end["eos"] = int((ids == 1).int().argmax()) + n - 4 * begins
    feature, projection = text.ln_final(x[end[pooled]]), text.text_projection
    if projection is None:
        return feature
    return projection(feature) if isinstance(projection, torch.nn.Linear) else feature @ projection


@pytest.mark.parametrize("depth", [None, 1])
@pytest.mark.parametrize("name", [*VITS, "coca"])
def test_visual_tokens_do_what_a_slow_forward_does(name, make, depth):
    clip = awake(make(name, PromptConfig(visual_tokens=3, text_tokens=0, visual_depth=depth)))
    learnt, pixels = clip.visual_prompts.tokens, images(clip)
    with torch.no_grad():
        plain, moved = (normalize(f, dim=-1) for f in (clip.model.encode_image(pixels), clip.encode_image(pixels)))
    assert (plain - moved).abs().max() > 1e-3
    assert_same(clip.encode_image(pixels), slow_image_features(clip.model, pixels, learnt), learnt)


@pytest.mark.parametrize("count", [4, 6])
@pytest.mark.parametrize("name", [*VITS, "mobileclip"])
def test_text_tokens_do_what_a_slow_forward_does(name, make, count):
    clip = make(name, PromptConfig(visual_tokens=0, text_tokens=count))
    learnt, ids = clip.text_prompts.tokens, clip.tokenize(TEXTS)
    rule = getattr(clip.model, "text_pool_type", None) or clip.model.text.pool_type
    rows = [slow_text_features(clip.model, row, begins, learnt, rule) for row, begins in zip(ids, BEGIN, strict=True)]
    assert_same(clip.encode_text(ids), torch.stack(rows), learnt)


def test_disabled_tokens_leave_the_features_of_open_clip_exactly(family, make):
    clip, none = awake(make(family, PromptConfig())), awake(make(family, PromptConfig(0, 0)))
    pixels, ids = images(clip), clip.tokenize(TEXTS)
    with torch.no_grad():
        expected = [normalize(f, dim=-1) for f in (clip.model.encode_image(pixels), clip.model.encode_text(ids))]
        learnt = clip.encode_image(pixels, True), clip.encode_text(ids, True)
        assert all((a - b).abs().max() > 1e-3 for a, b in zip(learnt, expected, strict=True))
        with clip.prompts_disabled():
            disabled = clip.encode_image(pixels, True), clip.encode_text(ids, True)
        identity = none.encode_image(pixels, True), none.encode_text(ids, True)
    for image, text in (disabled, identity):
        assert (image - expected[0]).abs().max() <= (1e-5 if family == "worldwide" else 0)  # open_clip's plain ViT
        assert (text - expected[1]).abs().max() <= (0 if family in BOTH_WAYS else 1e-5)


@pytest.mark.parametrize("method", ["opendas", "vpt", "maple", "promptsrc", "opendas_joint"])
def test_a_step_gives_all_that_is_learnt_a_gradient(family, make, method):
    clip = make(family, methods.get(method).prompts).train()
    similar = clip.encode_image(images(clip), True) @ clip.encode_text(clip.tokenize(TEXTS), True).T
    cross_entropy(clip.logit_scale.exp() * similar, torch.tensor([0, 2])).backward()
    learnt = list(clip.prompt_parameters())
    assert learnt and all(p.grad is not None and p.grad.flatten(1).any(dim=1).all() for p in learnt)
    assert all(p.grad is None for p in clip.model.parameters())


@pytest.mark.parametrize("layers", [(3, 2), (2, 3)], ids=["deeper visual tower", "deeper text tower"])
def test_coupled_tokens_reach_as_many_layers_as_each_tower_has(layers):
    """MaPLe's depth is the visual tower's: what the text tower has not is the visual one's alone, and the other way
    round the last tokens flow on."""
    from tests.model.models import build_tiny, pixels, wrap

    visual, text = layers
    model = build_tiny(vision_cfg={"pool_type": "avg", "layers": visual, "width": 96}, text_cfg={"layers": text})
    clip = wrap(model, PromptConfig(2, 2, form="coupled", deep_text_init="zero_shot"))
    tokens = clip.text_prompts.tokens
    assert tokens.shape == (visual, 2, 64) and clip.visual_prompts.tokens.shape == (visual, 2, 96)
    made = torch.stack([
        t @ w.T + b for t, w, b in zip(tokens, clip.visual_prompts.weight, clip.visual_prompts.bias, strict=True)
    ])  # fmt: skip
    images = pixels(model)
    assert_same(clip.encode_image(images), slow_image_features(model, images, made), tokens)
    ids = clip.tokenize(["a photo of a door"])
    slow = slow_text_features(model, ids[0, [0, 1, 2, *range(1, 75)]], False, tokens[:text], "argmax")
    assert slow.shape == (32,)
    (gradient,) = torch.autograd.grad(clip.encode_text(ids).sum(), tokens)
    assert gradient.flatten(1).any(dim=1).tolist() == [layer < text for layer in range(visual)]


def test_adapters_are_saved_and_loaded_strictly_with_their_tokenizer(family, make, tmp_path, tokenizer_folders):
    clip = make(family, PromptConfig())
    pixels, ids = images(clip), clip.tokenize(TEXTS)
    clip.save_pretrained(tmp_path / "adapter")
    loaded = OpenDASCLIP.from_pretrained(tmp_path / "adapter")
    with torch.no_grad():
        assert torch.equal(loaded.tokenize(TEXTS), ids)
        assert torch.equal(loaded.encode_image(pixels), clip.encode_image(pixels))
        assert torch.equal(loaded.encode_text(ids), clip.encode_text(ids))
    given = tokenizer_folders.get(family)
    assert loaded.config.tokenizer == (None if given is None else str(given))
    other = make(family, None, seed=1)
    with pytest.raises(AdapterError, match=r"was learnt on .* with weights"):
        OpenDASCLIP.from_pretrained(tmp_path / "adapter", backbone=other)


@pytest.mark.parametrize("name", ["siglip", "clipa", "pe", "eva02", "vitamin"])
def test_low_precision_keeps_what_is_learnt_in_float32(name, make):
    clip = make(name, PromptConfig())
    pixels, ids = images(clip), clip.tokenize(TEXTS)
    with torch.no_grad():
        expected = clip.encode_image(pixels, True), clip.encode_text(ids, True)
    with torch.autocast("cpu", torch.bfloat16):
        found = clip.encode_image(pixels, True), clip.encode_text(ids, True)
    (found[0].sum() + found[1].sum()).backward()
    assert all(p.dtype == p.grad.dtype == torch.float32 for p in clip.prompt_parameters())
    assert all((a - b).abs().max() < 0.1 for a, b in zip(found, expected, strict=True))
    with torch.no_grad():
        clip.to(torch.bfloat16)
        found = clip.encode_image(pixels, True), clip.encode_text(ids, True)
    assert clip.dtype == found[0].dtype == torch.bfloat16
    assert all(p.dtype == torch.float32 for p in clip.prompt_parameters())
    assert all((a.float() - b).abs().max() < 0.1 for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", ["openai", "siglip"])
@pytest.mark.parametrize("prompts", [None, PromptConfig(visual_tokens=2, text_tokens=4)])
def test_no_texts_have_no_features_and_ids_of_another_tokenizer_are_refused(name, prompts, make):
    clip = make(name, prompts)
    ids = clip.tokenize(TEXTS)
    assert clip.encode_text(ids[:0]).shape == clip.model.encode_text(ids[:0]).shape
    known = (
        clip.model.token_embedding.num_embeddings
        if name == "openai"
        else clip.model.text.token_embedding.num_embeddings
    )
    for odd in (-1, known):
        with pytest.raises(DataError, match=f"from 0 to {known - 1}, got {odd}"):
            clip.encode_text(torch.where(ids == ids[0, 3], odd, ids))


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_a_text_that_reads_its_padding_fits_by_its_last_pad(name, make):
    clip = make(name, PromptConfig(visual_tokens=0, text_tokens=4))
    room, start = clip.context_length, name in ("clipa", "vit-timm", "mobileclip")
    longest = " ".join(["a", *["red"] * (room - 4 - 2 - start)])
    ids = clip.tokenize([longest, f"{longest} red", "a photo of a " + " ".join(["red"] * (room - 5 - start))])
    assert clip.encode_text(ids[[0, 2]]).isfinite().all()
    with pytest.raises(DataError, match=rf"red' has {room + 1} tokens with 4 learnt tokens inserted, .* {room}; short"):
        clip.encode_text(ids)
    with pytest.raises(DataError, match=rf"expected token ids of the whole context, \(N, {room}\)"):
        clip.encode_text(ids[:, :-1])


@pytest.mark.parametrize("name", ["resnet", "convnext", "swin", "mobileclip", "relpos"])
def test_a_visual_tower_without_a_place_for_tokens_is_refused_and_its_text_tower_is_not(name, make):
    with pytest.raises(BackboneError, match=r"cannot carry learnt tokens: it lacks a (transformer|place) .*; choose"):
        make(name, PromptConfig(2, 0))
    assert make(name, PromptConfig(0, 2)).encode_text(make(name, None).tokenize(TEXTS)).shape[0] == 4


@pytest.mark.parametrize("changes", [
    {"vision_cfg": {"pool_type": "avg"}},
    {"vision_cfg": {"attentional_pool": True, "attn_pooler_heads": 2}},
    {"vision_cfg": {"qk_norm": True, "ls_init_value": 0.1}},
    {"text_cfg": {"scale_heads": True, "scale_fc": True}, "custom_text": True},
    {"text_cfg": {"pool_type": "last"}},
], ids=str)  # fmt: skip
def test_other_poolings_and_blocks_of_open_clips_own_towers_have_room_for_tokens(changes):
    from tests.model.models import build_tiny, pixels, wrap

    model = build_tiny(**changes)
    clip, pictures = wrap(model, PromptConfig()), pixels(model)
    tokens = clip.visual_prompts.tokens
    assert_same(clip.encode_image(pictures), slow_image_features(model, pictures, tokens), tokens)
    ids = clip.tokenize(["a photo of a door", "the door"])
    rule = changes.get("text_cfg", {}).get("pool_type", "argmax")
    tokens = clip.text_prompts.tokens
    rows = [
        slow_text_features(model, row, begins, tokens, rule) for row, begins in zip(ids, (True, False), strict=True)
    ]
    assert_same(clip.encode_text(ids), torch.stack(rows), tokens)
