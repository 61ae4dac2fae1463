"""The other forms of learnt tokens, and learnt weights, against plain loops over open_clip's own blocks."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import AdapterError, ConfigError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.checkpoint import backbone_sha256
from opendas_plugin.model.config import BackboneConfig, PromptConfig, WeightConfig
from opendas_plugin.model.weights import new_weights
from tests.model.models import TEXTS, build_tiny, close, pixels, wrap

COUPLED = PromptConfig(visual_tokens=2, text_tokens=2, form="coupled")
READ_ONLY = PromptConfig(visual_tokens=3, text_tokens=3, form="read_only")
CONDITIONAL = PromptConfig(visual_tokens=0, text_tokens=4, text_depth=1, form="conditional")
NONE = PromptConfig(visual_tokens=0, text_tokens=0)
LOW_RANK = WeightConfig(visual="low_rank", text="low_rank", rank=2)
ADAPTERS = {
    "coupled": (COUPLED, None),
    "read_only": (READ_ONLY, None),
    "conditional": (CONDITIONAL, None),
    "low_rank": (NONE, LOW_RANK),
    "low_rank_all": (PromptConfig(), WeightConfig(visual="low_rank_all", text="low_rank", rank=1)),
    "norm_bias": (NONE, WeightConfig(visual="norm_bias", text="norm_bias")),
    "joined": (NONE, WeightConfig(visual="norm_bias+low_rank_mlp_out", text="norm", rank=1)),
    "visual_tower": (NONE, WeightConfig(visual="all", mix=0.5)),
    "text_tower": (NONE, WeightConfig(text="all", mix=0.5)),
}
STARTS_AS_PLAIN_CLIP = ("low_rank", "norm_bias", "joined", "visual_tower", "text_tower")


def build(prompts: PromptConfig | None = None, weights: WeightConfig | None = None, noise: float = 0.3, **options):
    """A tiny CLIP whose adapter is ``noise`` away from its start."""
    layers = {"vision_cfg": {"layers": options.pop("visual_layers", 3)}}
    clip = OpenDASCLIP(build_tiny(**layers, **options), BackboneConfig("ViT-B-32"), prompts, weights)
    with torch.no_grad():
        for tensor in clip.prompt_parameters():
            tensor.add_(noise * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)))
    return clip


def embed(visual, images):
    x = visual.conv1(images).flatten(2).transpose(1, 2)
    return torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], dim=1) + visual.positional_embedding


def plain_text(model, ids, tokens_of_layer, mask=None):
    """All 77 positions of one text; ``tokens_of_layer`` gives what takes positions 1 to n at a layer's input."""
    x = model.token_embedding(ids)
    for i, block in enumerate(model.transformer.resblocks):
        if (tokens := tokens_of_layer(i)) is not None:
            x = torch.cat([x[:1], tokens, x[len(tokens) + 1 :]])
        if i == 0:
            x = x + model.positional_embedding
        x = block(x[None], attn_mask=model.attn_mask if mask is None else mask)[0]
    return model.ln_final(x) @ model.text_projection


def test_coupled_visual_tokens_are_linear_in_the_text_tokens_of_every_layer() -> None:
    clip = build(COUPLED, visual_layers=5)  # the text tower has 3: two text prompts reach the visual tower alone
    model, couplings, text = clip.model, clip.visual_prompts, clip.text_prompts.tokens
    assert text.shape[0] == 5
    visual, x = model.visual, embed(model.visual, pixels(model))
    for i, block in enumerate(visual.transformer.resblocks):
        tokens = torch.stack([couplings.weight[i] @ word + couplings.bias[i] for word in text[i]]).expand(2, -1, -1)
        x = torch.cat([x if i == 0 else x[:, :-2], tokens], dim=1)
        x = block(visual.ln_pre(x) if i == 0 else x)
    assert close(clip.encode_image(pixels(model)), visual.ln_post(x[:, 0]) @ visual.proj)
    ids = clip.tokenize(TEXTS)
    slow = [plain_text(model, row, lambda i: text[i])[row.argmax()] for row in ids]
    assert close(clip.encode_text(ids), torch.stack(slow))


def test_coupled_prompts_start_as_maple_does() -> None:
    clip = build(COUPLED, noise=0)
    words = clip.model.token_embedding(clip.tokenize("a photo")[0, 1:3])
    assert torch.equal(clip.text_prompts.tokens[0], words)
    weight = clip.visual_prompts.weight
    assert torch.equal(weight[1], weight[2]) and not torch.equal(weight[0], weight[1])
    assert weight.abs().max() <= 64**-0.5 and weight.std().item() == pytest.approx(64**-0.5 / 3**0.5, rel=0.05)


def read_only_by_masks(clip, images, ids):
    """RPO as its code does it: tokens in the sequence, and masks that let nothing read them."""
    model, visual, n = clip.model, clip.model.visual, 3
    x = torch.cat([embed(visual, images), clip.visual_prompts.tokens.expand(len(images), -1, -1)], dim=1)
    mask = torch.zeros(x.shape[1], x.shape[1])
    mask[:, -n:] = float("-inf")
    x = visual.ln_pre(x)
    for block in visual.transformer.resblocks:
        x = block(x, attn_mask=mask)
    image = visual.ln_post(x) @ visual.proj
    names = []
    for row in ids:
        end = int(row.argmax())
        x = model.token_embedding(row) + model.positional_embedding
        x = torch.cat([x[: end + 1], clip.text_prompts.tokens[0], x[end + 1 + n :]])
        mask = model.attn_mask.clone()
        mask[:, end + 1 :] = float("-inf")
        for block in model.transformer.resblocks:
            x = block(x[None], attn_mask=mask)[0]
        names.append((model.ln_final(x) @ model.text_projection)[end : end + 1 + n])
    return image, torch.stack(names)


def test_read_only_tokens_score_by_the_mean_of_their_cosines_and_leave_the_frozen_features_unchanged() -> None:
    clip = build(READ_ONLY)
    images, ids = pixels(clip.model), clip.tokenize(TEXTS[:3])
    image, names = read_only_by_masks(clip, images, ids)
    pairs = zip(image[:, -3:].unbind(1), names[:, 1:].unbind(1), strict=True)
    mean = torch.stack([unit(a, dim=-1) @ unit(b, dim=-1).T for a, b in pairs]).mean(dim=0)
    assert close(clip.classifier(ids)(clip.encode_image(images)), mean)
    assert clip.feature_width == 3 * 32 == 3 * build().feature_width
    assert clip.encode_image(images).shape == (2, 3 * 32) and clip.encode_text(ids).shape == (3, 3 * 32)
    assert close(image[:, 0], clip.model.encode_image(images)) and close(names[:, 0], clip.model.encode_text(ids))
    with clip.prompts_disabled():
        assert close(clip.encode_image(images), image[:, 0])


def test_read_only_tokens_start_a_tenth_away_from_class_and_end_token() -> None:
    clip = build(READ_ONLY, noise=0)
    end = clip.model.token_embedding.weight[49407]
    for tokens, centre in (
        (clip.visual_prompts.tokens, clip.model.visual.class_embedding),
        (clip.text_prompts.tokens, end),
    ):
        assert torch.allclose((tokens - centre).norm(dim=-1), torch.tensor(0.1))


def test_the_frozen_stream_of_read_only_tokens_has_no_gradient_and_the_texts_one_is_kept() -> None:
    clip = build(READ_ONLY)
    block, seen = clip.model.transformer.resblocks[0].ln_1, []
    hook = block.register_forward_hook(lambda module, inputs, output: seen.append(output.requires_grad))
    ids = clip.tokenize(TEXTS)
    for _ in range(3):
        clip.encode_text(ids).sum().backward()
    hook.remove()
    assert seen.count(True) == 3 and seen.index(True) == len(seen) - 3  # the texts once, the tokens at each call
    assert all(p.grad is None for p in clip.model.parameters()) and clip.text_prompts.tokens.grad.abs().sum() > 0


def test_conditional_tokens_are_moved_by_each_image() -> None:
    clip = build(CONDITIONAL)
    ids, image = clip.tokenize(TEXTS), clip.encode_image(pixels(clip.model))
    assert torch.equal(image, build().encode_image(pixels(clip.model)))
    net, ctx = clip.text_prompts.net, clip.text_prompts.tokens[0]
    rows = []
    for feature in unit(image, dim=-1):
        tokens = ctx + net[2](torch.relu(net[0](feature)))
        names = [plain_text(clip.model, row, lambda i, t=tokens: t if i == 0 else None)[row.argmax()] for row in ids]
        rows.append(unit(torch.stack(names), dim=-1) @ feature)
    assert close(clip.classifier(ids)(image), torch.stack(rows))
    with pytest.raises(AdapterError, match="depend on the image"):
        clip.encode_text(ids)
    with clip.prompts_disabled():
        assert close(clip.encode_text(ids), clip.model.encode_text(ids))


@pytest.mark.parametrize("kind", ["low_rank", "low_rank_all", "low_rank_mlp_out"])
def test_low_rank_updates_are_those_of_separate_matrices(kind: str) -> None:
    clip = build(NONE, WeightConfig(visual=kind, text=kind, rank=2))
    merged = copy.deepcopy(clip.model).requires_grad_(False)
    for tower, resblocks in (("visual", merged.visual.transformer.resblocks), ("text", merged.transformer.resblocks)):
        learnt = getattr(clip, f"{tower}_weights")
        matrices = [m for b in resblocks for m in b.attn.in_proj_weight.chunk(3)]  # query, key, value
        if kind == "low_rank_all":
            matrices = [
                m
                for b in resblocks
                for m in (
                    *b.attn.in_proj_weight.chunk(3), b.attn.out_proj.weight, b.mlp.c_fc.weight, b.mlp.c_proj.weight,
                )
            ]  # fmt: skip
        if kind == "low_rank_mlp_out":
            matrices = [b.mlp.c_proj.weight for b in resblocks]
        downs = [down for stacked in learnt.down for down in stacked]
        ups = [up for stacked in learnt.up for up in stacked]
        for matrix, down, up in zip(matrices, downs, ups, strict=True):
            matrix.add_(up.detach() @ down.detach() / 2**0.5)
    images, ids = pixels(merged), clip.tokenize(TEXTS)
    assert close(clip.encode_image(images), merged.encode_image(images))
    assert close(clip.encode_text(ids), merged.encode_text(ids))


def test_weights_of_two_kinds_are_learnt_side_by_side_and_mixed_alike() -> None:
    both = build(NONE, WeightConfig(visual="norm_bias+low_rank_mlp_out", text="norm", rank=1, mix=0.4))
    merged = copy.deepcopy(both.model).requires_grad_(False)
    vectors, updates = both.visual_weights.parts
    visual = {name for name, p in merged.named_parameters() if name.startswith("visual.") and p.ndim == 1}
    assert {*vectors.names} == visual - {"visual.class_embedding"}
    norms = ["ln_final", *(f"transformer.resblocks.{i}.ln_{n}" for i in range(3) for n in (1, 2))]
    assert {*both.text_weights.names} == {f"{norm}.{part}" for norm in norms for part in ("weight", "bias")}
    learnt = zip(vectors.names + both.text_weights.names, [*vectors.values, *both.text_weights.values], strict=True)
    for name, value in learnt:
        merged.get_parameter(name).mul_(0.6).add_(0.4 * value.detach())
    for block, down, up in zip(merged.visual.transformer.resblocks, updates.down, updates.up, strict=True):
        block.mlp.c_proj.weight.add_(0.4 * up[0].detach() @ down[0].detach())
    images, ids = pixels(merged), both.tokenize(TEXTS)
    assert close(both.encode_image(images), merged.encode_image(images))
    assert close(both.encode_text(ids), merged.encode_text(ids))
    assert not close(both.encode_image(images), both.model.encode_image(images))


def test_kinds_of_weights_that_do_not_exist_are_named() -> None:
    with pytest.raises(ConfigError, match=r"expected weights of the text tower to be one of .*'lowrank'"):
        WeightConfig(text="lowrank")


@pytest.mark.parametrize("tower", ["visual", "text"])
@pytest.mark.parametrize("mix", [0.0, 0.3, 0.5, 1.0])
def test_fine_tuned_weights_are_mixed_with_the_frozen_ones(tower, mix) -> None:
    clip = build(NONE, WeightConfig(**{tower: "all"}, mix=mix))
    frozen, other = clip.model, copy.deepcopy(clip.model)
    with torch.no_grad():
        learnt = getattr(clip, f"{tower}_weights")
        for name, value in zip(learnt.names, learnt.values, strict=True):
            mean = (1 - mix) * frozen.get_parameter(name) + mix * value
            other.get_parameter(name).copy_(mean)
    images, ids = pixels(frozen), clip.tokenize(TEXTS)
    assert close(clip.encode_image(images), other.encode_image(images))
    assert close(clip.encode_text(ids), other.encode_text(ids))
    if mix == 0:
        assert torch.equal(clip.encode_image(images), build().encode_image(images))
    changed = {name for name, p in other.named_parameters() if not torch.equal(p, frozen.get_parameter(name))}
    assert not mix or changed == {
        name for name, _ in frozen.named_parameters()
        if name.startswith("visual.") == (tower == "visual") and not name.startswith("logit_")
    }  # fmt: skip


@pytest.mark.parametrize("name", STARTS_AS_PLAIN_CLIP)
@torch.no_grad()
def test_learnt_weights_start_as_plain_clip(name) -> None:
    clip = build(*ADAPTERS[name], noise=0)
    images, ids = pixels(clip.model), clip.tokenize(TEXTS)
    assert close(clip.encode_image(images), clip.model.encode_image(images))
    assert close(clip.encode_text(ids), clip.model.encode_text(ids))


@pytest.mark.parametrize("custom_text", [False, True])
@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_learns_without_touching_the_backbone_and_comes_back_from_its_folder(
    name, custom_text, tmp_path
) -> None:
    clip = build(*ADAPTERS[name], custom_text=custom_text)
    before, start = backbone_sha256(clip), {k: v.clone() for k, v in clip.learnt_state().items()}
    images, ids = pixels(clip.model), clip.tokenize(TEXTS)
    optimiser = torch.optim.SGD(clip.prompt_parameters(), lr=0.1)
    clip.classifier(ids)(clip.encode_image(images)).square().sum().backward()
    optimiser.step()
    assert backbone_sha256(clip) == before
    moved = [key for key, value in clip.learnt_state().items() if not torch.equal(value, start[key])]
    assert moved
    clip.save_pretrained(tmp_path / "adapter", method=name)
    backbone = OpenDASCLIP(build_tiny(custom_text=custom_text), BackboneConfig("ViT-B-32"))
    again = OpenDASCLIP.from_pretrained(tmp_path / "adapter", backbone=backbone)
    assert again.config == clip.config
    with torch.no_grad():
        expected, found = (c.classifier(ids)(c.encode_image(images)) for c in (clip, again))
        assert torch.equal(expected, found)
        assert torch.equal(found, again.classifier(ids)(again.encode_image(images)))  # merged weights that were kept


def test_what_was_merged_is_merged_again_when_it_changes() -> None:
    clip = build(NONE, LOW_RANK)
    images = pixels(clip.model)
    with torch.no_grad():
        first = clip.encode_image(images)
        next(clip.visual_weights.parameters()).add_(0.5)
        assert not torch.equal(clip.encode_image(images), first)
        clip.half()
        assert {p.dtype for p in clip.prompt_parameters()} == {torch.float32}
        assert {w.dtype for w in clip.visual_weights.merged(clip.towers.visual).values()} == {torch.float16}


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"form": "coupled"}, "coupled prompts are pairs"),
        ({"form": "read_only", "visual_tokens": 0, "text_tokens": 0}, "read_only prompts are pairs"),
        ({"form": "conditional"}, "conditional prompts are text tokens of the first layer"),
    ],
)
def test_prompts_that_cannot_be_are_refused(prompts, message) -> None:
    with pytest.raises(ConfigError, match=message):
        PromptConfig(**prompts)
    with pytest.raises(ConfigError, match="expected rank to be 1 or more"):
        WeightConfig(rank=0)


def test_interpolated_features_are_plain_at_0_adapted_at_1_and_between_them_in_between(tmp_path) -> None:
    clip = build(PromptConfig())
    images, ids = pixels(clip.model), clip.tokenize(TEXTS)
    with torch.no_grad():
        adapted = clip.encode_image(images), clip.encode_text(ids)
        with clip.prompts_disabled():
            frozen = clip.encode_image(images), clip.encode_text(ids)
        clip.interpolate(visual=0.0, text=0.0)
        assert torch.equal(clip.encode_image(images), frozen[0]) and torch.equal(clip.encode_text(ids), frozen[1])
        clip.interpolate(visual=0.3, text=0.6)
        for share, features, a, b in zip(
            (0.3, 0.6), (clip.encode_image(images), clip.encode_text(ids)), adapted, frozen, strict=True
        ):
            assert close(features, unit(share * unit(a, dim=-1) + (1 - share) * unit(b, dim=-1), dim=-1))
        clip.interpolate()
        assert torch.equal(clip.encode_image(images), adapted[0]) and torch.equal(clip.encode_text(ids), adapted[1])
    with pytest.raises(ConfigError, match=r"interpolation\.text to be from 0 to 1"):
        clip.interpolate(text=1.5)
    with pytest.raises(ConfigError, match="read_only prompts have no features to interpolate"):
        build(READ_ONLY).interpolate(0.5)


@pytest.mark.parametrize("norms", ["norm", "norm_bias"])
@pytest.mark.parametrize("updates", ["low_rank", "low_rank_all", "low_rank_mlp_out"])
def test_norms_and_any_low_rank_updates_are_learnt_together(norms, updates):
    clip = wrap(build_tiny(), PromptConfig(0, 0), weights=WeightConfig(f"{norms}+{updates}", f"{norms}+{updates}"))
    for tower in ("visual", "text"):
        frozen = getattr(clip.towers, tower)
        parts = (new_weights(frozen, kind, WeightConfig(), torch.Generator()) for kind in (norms, updates))
        alone = [set(part.merged(frozen)) for part in parts]
        joined = getattr(clip, f"{tower}_weights").merged(frozen)
        assert set(joined) == alone[0] | alone[1] and not alone[0] & alone[1]
    with pytest.raises(ConfigError, match=r"norm\+low_rank"):
        WeightConfig("all+low_rank")
