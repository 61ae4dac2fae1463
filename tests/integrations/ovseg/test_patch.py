"""An adapter in OVSeg's model, against the host alone, opendas_plugin's own CLIP, and forward passes written out."""

from __future__ import annotations

import copy
import logging
import pickle

import pytest
import torch
from safetensors.torch import load_file

from integrations.ovseg import OVSegError, patch
from opendas_plugin.crops import CropPolicy
from opendas_plugin.model.checkpoint import backbone_sha256
from tests.integrations.ovseg.conftest import NAMES, OVSEGS_CROPS, adapted, build, clip_state, make_inputs, segment

REGIONS = torch.randn(5, 3, 224, 224, generator=torch.Generator().manual_seed(3))
MASKS = (torch.rand(5, 1, 224, 224, generator=torch.Generator().manual_seed(4)) > 0.9).float()
MASKS[:, :, :100, :150] = 0.0


def test_identity_adapter_gives_the_hosts_numbers(model, identity):
    inputs = make_inputs(queries=24)  # more than a chunk
    before = segment(model, inputs)
    with patch(model, identity):
        assert torch.equal(segment(model, inputs), before)
    with patch(model, identity, chunk=2):
        torch.testing.assert_close(segment(model, inputs), before, atol=1e-4, rtol=1e-4)


def test_learnt_tokens_change_the_result_and_undoing_restores_it_exactly(model, adapter, inputs):
    before, state = segment(model, inputs), {k: v.clone() for k, v in model.state_dict().items()}
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    with patch(model, adapter):
        assert (segment(model, inputs) - before).abs().max() > 0.01
        assert model.state_dict().keys() == state.keys()
    assert torch.equal(segment(model, inputs), before)
    after = model.state_dict()
    assert list(after) == list(state)
    assert all(torch.equal(after[key], state[key]) for key in state)
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_undo_restores_an_empty_memory_of_text_too(model, adapter, inputs):
    with patch(model, adapter):
        segment(model, inputs)
    assert not model.clip_adapter.text_feature_buffer


@torch.no_grad()
def test_towers_are_those_of_opendas_plugin(model, adapter, learnt, host):
    texts = [f"a photo of a {name}." for name in NAMES] + ["There is a desk in the scene", "wall"]
    ids = host.clip.tokenize(texts)
    with patch(model, adapter):
        clip = model.clip_adapter.clip_model
        torch.testing.assert_close(clip.visual(REGIONS, None), learnt.encode_image(REGIONS), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(clip.encode_text(ids), learnt.encode_text(ids), atol=1e-5, rtol=1e-5)
        for row in ids:  # whatever stands beside it in a call
            torch.testing.assert_close(clip.encode_text(row[None]), learnt.encode_text(row[None]), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_tokens_of_the_first_layers_flow_on(host, clip_file, tmp_path):
    learnt = adapted(clip_file, visual_tokens=5, text_tokens=2, visual_depth=2, text_depth=1)
    learnt.save_pretrained(tmp_path / "adapter")
    model, ids = build(host, clip_file), host.clip.tokenize(["a photo of a desk.", "desk"])
    with patch(model, tmp_path / "adapter"):
        clip = model.clip_adapter.clip_model
        torch.testing.assert_close(clip.visual(REGIONS, None), learnt.encode_image(REGIONS), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(clip.encode_text(ids), learnt.encode_text(ids), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("method", ["coupled", "read_only", "interpolated"])
def test_other_adapters_give_the_features_of_opendas_plugin(host, clip_file, tmp_path, inputs, method):
    """MaPLe, RPO, and an adapter that carries its share."""
    pairs = {"visual_tokens": 3, "text_tokens": 3}
    learnt = adapted(clip_file, **({} if method == "interpolated" else {**pairs, "form": method}))
    if method == "interpolated":
        learnt.interpolate(visual=0.4, text=0.7)
    learnt.save_pretrained(tmp_path / "adapter", method=method)
    model, ids = build(host, clip_file), host.clip.tokenize(["a photo of a desk.", "desk", "a very long red sofa"])
    before = segment(model, inputs)
    with patch(model, tmp_path / "adapter", chunk=2):
        clip = model.clip_adapter.clip_model
        torch.testing.assert_close(clip.visual(REGIONS, None), learnt.encode_image(REGIONS), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(clip.encode_text(ids), learnt.encode_text(ids), atol=1e-5, rtol=1e-5)
        assert (segment(model, inputs) - before).abs().max() > 0.01
    assert torch.equal(segment(model, inputs), before)


@torch.no_grad()
def test_text_without_learnt_tokens_is_the_hosts(model, host, clip_file, tmp_path):
    adapted(clip_file, text_tokens=0).save_pretrained(tmp_path / "adapter")
    ids = host.clip.tokenize(["a photo of a desk.", "the wall behind the desk", "x"])
    before = model.clip_adapter.clip_model.encode_text(ids)
    with patch(model, tmp_path / "adapter"):
        torch.testing.assert_close(model.clip_adapter.clip_model.encode_text(ids), before, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_mask_prompts_and_learnt_tokens_work_together(model, adapter):
    visual = model.clip_adapter.clip_model.visual
    expected = masked_forward(visual, REGIONS, MASKS, load_file(adapter / "adapter.safetensors"))
    with patch(model, adapter, chunk=2):
        torch.testing.assert_close(visual(REGIONS, MASKS), expected, atol=1e-5, rtol=1e-5)


def masked_forward(visual, x, m, learnt):
    """OVSeg's mask prompts (Liang et al. 2023) with the learnt tokens left in the stream, behind the patches."""
    tokens = learnt["visual_prompts.tokens"]
    keep = torch.nn.functional.max_pool2d(m, 32).flatten(1)[:, :, None]  # a patch with any pixel of the mask stays
    patches = visual.conv1(x).flatten(2).transpose(1, 2)
    patches = patches * keep + visual.mask_embedding[0] * (1 - keep)
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), patches], dim=1) + visual.positional_embedding
    x = torch.cat([visual.ln_pre(x), visual.ln_pre(tokens[0]).expand(len(x), -1, -1)], dim=1)
    for layer, block in enumerate(visual.transformer.resblocks):
        if layer:
            x = torch.cat([x[:, :50], tokens[layer].expand(len(x), -1, -1)], dim=1)
        if layer == 1:
            masked = x[:, 1:50] * keep + visual.mask_embedding[1] * (1 - keep)
            x = torch.cat([x[:, :1], masked, x[:, 50:]], dim=1)
        x = block(x.transpose(0, 1)).transpose(0, 1)
    return visual.ln_post(x[:, 0]) @ visual.proj


def test_text_tokens_can_spare_the_maskformer_branch(host, clip_file, tmp_path, inputs):
    adapted(clip_file, visual_tokens=0).save_pretrained(tmp_path / "adapter")
    model = build(host, clip_file)
    stock = model.clip_adapter.get_text_features(NAMES)
    with patch(model, tmp_path / "adapter", text="both"):
        both = segment(model, inputs)
        prompted = model.clip_adapter.get_text_features(NAMES)
    assert (prompted - stock)[: len(NAMES)].abs().max() > 0.01
    with patch(model, tmp_path / "adapter", text="clip"):
        clip_only = segment(model, inputs)
        torch.testing.assert_close(model.clip_adapter.get_text_features(NAMES), stock, atol=1e-5, rtol=1e-5)
        image = torch.randint(0, 256, (3, 40, 52))
        logits = model.clip_adapter(image, NAMES, inputs["pred_masks"].sigmoid())[0]
    with patch(model, tmp_path / "adapter", text="both"):
        torch.testing.assert_close(model.clip_adapter(image, NAMES, inputs["pred_masks"].sigmoid())[0], logits)
    assert (both - clip_only).abs().max() > 0.001


def test_text_features_never_go_stale(model, adapter, clip_file, tmp_path, other_clip_file):
    features = model.clip_adapter.get_text_features
    adapted(clip_file, visual_tokens=0, text_tokens=2).save_pretrained(tmp_path / "other")
    with patch(model, adapter):
        first = features(NAMES)
        model.clip_adapter.clip_model.load_state_dict(torch.load(other_clip_file), strict=False)
        other_weights = features(NAMES)
    with patch(model, tmp_path / "other"):
        other_adapter = features(NAMES)
    assert (first - other_weights).abs().max() > 0.01
    assert (other_weights - other_adapter).abs().max() > 0.01


def test_adapter_survives_loading_without_a_word_about_keys(model, adapter, inputs):
    state = copy.deepcopy(model.state_dict())
    with patch(model, adapter):
        before = segment(model, inputs)
        result = model.load_state_dict(state, strict=True)
        assert not result.missing_keys and not result.unexpected_keys
        assert torch.equal(segment(model, inputs), before)


def test_base_clip_keeps_the_clip_and_takes_the_checkpoints_mask_tokens(host, model, adapter, other_clip_file, caplog):
    checkpoint = build(host, other_clip_file).state_dict()
    with patch(model, adapter, base="clip"):
        model.load_state_dict(checkpoint)
        model.clip_adapter.get_text_features(NAMES)
    clip = model.clip_adapter.clip_model
    assert torch.equal(clip.visual.mask_embedding, checkpoint["clip_adapter.clip_model.visual.mask_embedding"])
    assert not torch.equal(clip.visual.proj, checkpoint["clip_adapter.clip_model.visual.proj"])
    assert not caplog.records or "was learnt on" not in caplog.text


def test_other_weights_of_the_same_architecture_are_one_warning(host, other_clip_file, adapter, inputs, caplog):
    model = build(host, other_clip_file)
    with caplog.at_level(logging.WARNING), patch(model, adapter):
        segment(model, inputs)
        segment(model, inputs)
    assert len(caplog.records) == 1
    assert "--opendas-base" in caplog.text and backbone_sha256(adapted(other_clip_file))[:12] in caplog.text


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ({"width": 128}, "visual width"),
        ({"text_width": 128}, "text width"),
        ({"layers": 2}, "visual layers"),
        ({"text_layers": 3}, "text layers"),
    ],
)
def test_an_adapter_of_another_architecture_is_refused(host, adapter, tmp_path, difference, message):
    torch.save(clip_state(**difference), tmp_path / "clip.pt")
    model = build(host, tmp_path / "clip.pt")
    before = segment(model, make_inputs())
    with pytest.raises(OVSegError, match=message) as error:
        patch(model, adapter)
    assert "or the OVSeg model that has the adapter's" in str(error.value)
    assert torch.equal(segment(model, make_inputs()), before)


def test_maple_where_the_visual_tower_is_deeper(model, clip_file, tmp_path, host):
    """As on ViT-L/14: text tokens of layers that only the visual tower has move the visual tokens alone."""
    learnt = adapted(clip_file, visual_tokens=2, text_tokens=2, form="coupled")
    learnt.save_pretrained(tmp_path / "adapter")
    assert len(load_file(tmp_path / "adapter" / "adapter.safetensors")["text_prompts.tokens"]) == 3
    clip = model.clip_adapter.clip_model
    assert (len(clip.visual.transformer.resblocks), len(clip.transformer.resblocks)) == (3, 2)
    ids = host.clip.tokenize(["a photo of a desk.", "desk"])
    with patch(model, tmp_path / "adapter"), torch.no_grad():
        torch.testing.assert_close(clip.visual(REGIONS, None), learnt.encode_image(REGIONS), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(clip.encode_text(ids), learnt.encode_text(ids), atol=1e-5, rtol=1e-5)


def test_crops_other_than_ovsegs_are_one_warning_that_names_both(model, clip_file, tmp_path, caplog):
    learnt = adapted(clip_file)
    for name, policy in (("others", CropPolicy(expand=0.3, resize="center")), ("ovsegs", OVSEGS_CROPS)):
        learnt.save_pretrained(tmp_path / name, crop_policy=policy)
        with caplog.at_level(logging.WARNING), patch(model, tmp_path / name):
            pass
    (record,) = caplog.records
    differences = "background keep and here mean, expand 0.3 and here 0.0, resize center and here squash"
    assert f"({differences})" in record.getMessage() and "--recipe ovseg" in record.getMessage()


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        ({"mask_fill": "zero"}, r"background mean and here the colour [0.0, 0.0, 0.0]"),
        ({"mask_expand_ratio": 1.5}, "expand 0.0 and here 0.5"),
        ({"mask_matting": True}, "background mean and here mean, blended by the mask's probabilities"),
    ],
)
def test_crops_are_compared_with_the_hosts_settings(host, clip_file, adapter, settings, difference, caplog):
    with caplog.at_level(logging.WARNING), patch(build(host, clip_file, **settings), adapter):
        pass
    assert f"({difference})" in caplog.text


def test_an_adapter_without_crops_is_said(model, clip_file, tmp_path, caplog):
    adapted(clip_file).save_pretrained(tmp_path / "adapter")
    with caplog.at_level(logging.WARNING), patch(model, tmp_path / "adapter"):
        pass
    assert "does not say which crops it was trained on" in caplog.text


@pytest.mark.parametrize(
    ("prompts", "text", "message"),
    [
        ({"text_tokens": 0}, "both", "has no effect: it learnt nothing for the texts"),
        ({}, "clip", "has no effect: .*--opendas-text both"),
        ({"visual_tokens": 0}, "clip", "has no effect: .*--opendas-text both"),
        ({"visual_tokens": 3, "text_tokens": 3, "form": "read_only"}, "both", "has no effect: it learnt nothing for"),
    ],
)
def test_an_adapter_for_a_branch_that_is_off_is_refused(host, clip_file, tmp_path, prompts, text, message):
    adapted(clip_file, **prompts).save_pretrained(tmp_path / "adapter")
    model = build(host, clip_file, ensemble=False)
    before = segment(model, make_inputs())
    with pytest.raises(OVSegError, match=message):
        patch(model, tmp_path / "adapter", text=text)
    assert torch.equal(segment(model, make_inputs()), before)


def test_what_has_no_effect_while_a_branch_is_off_is_said(host, clip_file, adapter, caplog):
    model = build(host, clip_file, ensemble=False)
    before = segment(model, make_inputs())
    with caplog.at_level(logging.WARNING), patch(model, adapter):
        assert (segment(model, make_inputs()) - before).abs().max() > 1e-3
    assert "CLIP_ENSEMBLE False), so that what the adapter learnt in the visual tower has no effect" in caplog.text


def test_a_second_adapter_is_refused_until_the_first_is_undone(model, adapter):
    handle = patch(model, adapter)
    with pytest.raises(OVSegError, match="undo"):
        patch(model, adapter)
    handle.undo()
    handle.undo()
    patch(model, adapter).undo()


def test_something_else_than_ovseg_is_refused(adapter):
    with pytest.raises(OVSegError, match="Linear"):
        patch(torch.nn.Linear(2, 2), adapter)


def test_wrapped_model_and_clip_adapter_alone_are_accepted(model, adapter, inputs):
    with patch(model, adapter):
        expected = segment(model, inputs)
    wrapper = torch.nn.Module()
    wrapper.module = model
    for door in (wrapper, model.clip_adapter):
        with patch(door, adapter):
            assert torch.equal(segment(model, inputs), expected)


def test_a_copy_of_a_patched_model_stands_on_its_own(model, adapter, inputs):
    with patch(model, adapter):
        expected = segment(model, inputs)
        twin = copy.deepcopy(model)
    assert torch.equal(segment(twin, inputs), expected)
    with torch.no_grad():
        twin.clip_adapter.clip_model.visual.opendas_tokens.zero_()
    assert not torch.equal(segment(twin, inputs), expected)
    assert pickle.dumps(twin)


def test_text_too_long_for_the_learnt_tokens_is_named(model, adapter, host):
    ids = host.clip.tokenize("There is a " + "desk " * 70)
    with patch(model, adapter), pytest.raises(OVSegError, match="79 tokens"):
        model.clip_adapter.clip_model.encode_text(ids)


@pytest.mark.parametrize("words", [70, 90])
def test_the_class_whose_text_is_too_long_is_named(model, adapter, words):
    name = ("very " * words) + "long desk"
    with patch(model, adapter), pytest.raises(OVSegError, match=f"the class '{name}'"):
        model.clip_adapter.get_text_features(["wall", name, "office chair"])


def test_where_learnt_text_tokens_stand_is_logged(model, adapter, caplog):
    with caplog.at_level(logging.INFO, logger="integrations.ovseg"), patch(model, adapter):
        pass
    assert "'a photo of a' in 2 of 3 templates" in caplog.text


def test_settings_are_checked(model, adapter):
    for wrong in ({"base": "mine"}, {"text": "none"}, {"chunk": -1}):
        with pytest.raises(OVSegError, match=next(iter(wrong))):
            patch(model, adapter, **wrong)
