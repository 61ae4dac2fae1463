"""``opendas.switched_on``: whoever loads the adapter's backbone gets it adapted, and nobody else does."""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip import create_model  # bound before the switch
from torch.nn.functional import normalize as unit

import opendas_plugin as opendas
from opendas_plugin.errors import AdapterError, ConfigError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from tests.model import families

TOKENS, WEIGHTS = "opendas", "opendas_plus"


@pytest.fixture(params=[TOKENS, WEIGHTS])
def adapter(request, make_adapter) -> Path:
    return make_adapter(request.param)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))


TEXTS = ["a photo of a door", "a red desk", "an open window in a wall"]


def features(model, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        found = model.encode_image(images), model.encode_text(open_clip.tokenize(TEXTS))
    return tuple(unit(one.float(), dim=-1) for one in found)


def close(found, expected, tolerance: float = 1e-6) -> bool:
    return all((a - b).abs().max() <= tolerance for a, b in zip(found, expected, strict=True))


def test_all_calls_of_open_clip_give_the_adapted_model(adapter, weights, tiny_backbone, images) -> None:
    expected = features(OpenDASCLIP.from_pretrained(adapter), images)
    plain = features(open_clip.create_model(tiny_backbone, str(weights)), images)
    assert not close(plain, expected, 1e-2)
    with opendas.switched_on(adapter) as switch:
        named = open_clip.create_model(tiny_backbone, pretrained=str(weights))
        models = [named, create_model(tiny_backbone, str(weights))]
        models.append(open_clip.create_model_and_transforms(tiny_backbone, str(weights))[0])
        models.append(open_clip.create_model_from_pretrained(tiny_backbone, str(weights))[0])
    assert len(switch.switched) == 4
    for model in models:
        assert isinstance(model, open_clip.CLIP)
        assert close(features(model, images), expected)
    assert close(features(open_clip.create_model(tiny_backbone, str(weights)), images), plain)


def test_the_model_is_to_its_program_what_it_asked_for(adapter, weights, tiny_backbone, images) -> None:
    plain = open_clip.create_model(tiny_backbone, str(weights), output_dict=True)
    with opendas.switched_on(adapter):
        model = open_clip.create_model(tiny_backbone, str(weights), output_dict=True)
    expected = features(OpenDASCLIP.from_pretrained(adapter), images)
    assert list(model.state_dict()) == list(plain.state_dict())
    for name in ("logit_scale", "positional_embedding", "vocab_size", "context_length", "attn_mask"):
        assert torch.equal(torch.as_tensor(getattr(model, name)), torch.as_tensor(getattr(plain, name)))
    assert type(model.ln_final) is type(plain.ln_final)
    assert model.training == plain.training
    seen = []
    model.visual.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        outputs = model(images, open_clip.tokenize(TEXTS))
        found = unit(model.visual(images), dim=-1)
        torch.testing.assert_close(model.encode_image(images, normalize=True), found)
    assert len(seen) == 3
    assert close((outputs["image_features"], outputs["text_features"]), expected)
    assert close((found,), expected[:1])


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 0.05), ("fp16", 5e-3), ("pure_fp16", 5e-3)])
def test_the_programs_precision_is_kept(adapter, weights, tiny_backbone, images, precision, tolerance) -> None:
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    plain = open_clip.create_model(tiny_backbone, str(weights), precision=precision)
    with opendas.switched_on(adapter):
        model = open_clip.create_model(tiny_backbone, str(weights), precision=precision)
    assert [p.dtype for p in model.parameters()] == [p.dtype for p in plain.parameters()]
    expected = features(OpenDASCLIP.from_pretrained(adapter), images)
    assert close(features(model, images.to(dtype)), expected, tolerance)
    assert not close(features(plain, images.to(dtype)), expected, 2 * tolerance)


def test_half_and_float_reach_all_of_it(adapter, weights, tiny_backbone, images) -> None:
    with opendas.switched_on(adapter):
        model = open_clip.create_model(tiny_backbone, str(weights))
    expected = features(model, images)
    assert close(features(model.half(), images.half()), expected, 5e-3)
    assert close(features(model.float(), images), expected, 5e-3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert close(features(model, images), expected, 0.05)


def test_identity_gives_what_open_clip_does(adapter, weights, tiny_backbone, images) -> None:
    plain = features(open_clip.create_model(tiny_backbone, str(weights)), images)
    with opendas.switched_on(adapter, identity=True) as switch:
        model = open_clip.create_model(tiny_backbone, str(weights))
    assert switch.switched
    assert close(features(model, images), plain)


def test_other_weights_stay_as_they_are_and_a_switch_without_effect_is_an_error(
    adapter, tiny_backbone, images, caplog
) -> None:
    torch.manual_seed(5)
    plain = open_clip.create_model(tiny_backbone)
    torch.manual_seed(5)
    with pytest.raises(AdapterError, match="had no effect: it was learnt on test-tiny"), opendas.switched_on(adapter):
        model = open_clip.create_model(tiny_backbone)
    assert torch.equal(plain.encode_image(images), model.encode_image(images))
    assert "it stays as it is" in caplog.text
    with opendas.switched_on(adapter, check="warn"):
        open_clip.create_model(tiny_backbone)
    assert caplog.text.count("had no effect") == 1


def test_what_is_advised_can_be_followed_and_another_check_is_refused(adapter) -> None:
    with pytest.raises(AdapterError, match=r'\(in Python check="warn"\)$'), opendas.switched_on(adapter):
        pass
    with (
        pytest.raises(ConfigError, match="check to be strict or warn, got 'Strict'"),
        opendas.switched_on(adapter, "Strict"),
    ):
        pass


def test_two_adapters_at_once_are_refused(adapter, weights, tiny_backbone) -> None:
    with opendas.switched_on(adapter):
        open_clip.create_model(tiny_backbone, str(weights))
        with pytest.raises(ConfigError, match="an adapter is switched on already"), opendas.switched_on(adapter):
            pass


def test_the_same_weights_with_other_pixels_are_refused(adapter, weights, tiny_backbone, caplog) -> None:
    half = {"image_mean": (0.5, 0.5, 0.5)}
    with (
        pytest.raises(AdapterError, match=r"mean 0\.4815, .* and here 0\.5"),
        opendas.switched_on(adapter),
    ):
        open_clip.create_model_and_transforms(tiny_backbone, str(weights), **half)
    with opendas.switched_on(adapter, check="warn") as switch:
        open_clip.create_model_and_transforms(tiny_backbone, str(weights), **half)
    assert switch.switched and "and here 0.5" in caplog.text


def test_weights_can_be_scripted_and_walked_through_and_tokens_cannot(adapter, weights, tiny_backbone, images) -> None:
    with opendas.switched_on(adapter):
        model = open_clip.create_model(tiny_backbone, str(weights))
    state = torch.randn(5, 3, 64)
    if adapter.name.startswith(WEIGHTS):
        assert type(model) is open_clip.CLIP
        model.visual.transformer(state)
        model.visual.transformer.resblocks[0].register_forward_hook(lambda *a: None)
        assert type(copy.deepcopy(model)) is open_clip.CLIP
        with opendas.switched_on(adapter):
            scripted = open_clip.create_model(tiny_backbone, str(weights), jit=True)
        assert isinstance(scripted, torch.jit.ScriptModule)
        assert close(features(scripted, images), features(OpenDASCLIP.from_pretrained(adapter), images), 1e-5)
        return
    with pytest.raises(AdapterError, match="cannot be scripted"), opendas.switched_on(adapter):
        open_clip.create_model(tiny_backbone, str(weights), jit=True)
    for use in (
        lambda: copy.deepcopy(model),
        lambda: model.visual.transformer(state),
        lambda: model.transformer.resblocks[0](state),
        lambda: model.visual.transformer.resblocks[0].register_forward_hook(lambda *a: None),
        lambda: model.visual.conv1(images),
        lambda: model.transformer.resblocks[0].attn(state, state, state),
        lambda: model.ln_final.register_forward_hook(lambda *a: None),
    ):
        with pytest.raises(AdapterError, match=r"weights\s+alone, such as opendas_plus learns"):
            use()
    words = open_clip.tokenize(TEXTS)
    assert torch.equal(model.token_embedding(words), model.token_embedding.weight[words])


def test_cocas_features_are_adapted_and_its_decoder_which_reads_patches_is_refused(family_names, tmp_path) -> None:
    torch.save(OpenDASCLIP.from_backbone(family_names["coca"]).model.state_dict(), tmp_path / "coca.pt")
    tokens = PromptConfig(visual_tokens=2, text_tokens=0)
    clip = OpenDASCLIP.from_backbone(family_names["coca"], tmp_path / "coca.pt", prompts=tokens)
    with torch.no_grad():
        clip.visual_prompts.tokens += 0.3
    clip.save_pretrained(tmp_path / "adapter", method="vpt")
    with opendas.switched_on(tmp_path / "adapter"):
        model = open_clip.create_model(family_names["coca"], str(tmp_path / "coca.pt"))
    images, ids = torch.randn(2, 3, *clip.image_shape), families.token_ids("coca", 2)
    with torch.no_grad():
        assert torch.allclose(model.encode_image(images), clip.encode_image(images), atol=1e-5)
        assert torch.allclose(model.encode_text(ids), clip.model.encode_text(ids, normalize=False), atol=1e-5)
        for call in (lambda: model(images, ids), lambda: model.visual(images)):
            with pytest.raises(AdapterError, match="weights alone"):
                call()


def test_another_model_is_said_also_where_the_program_has_silenced_loggers(
    adapter, tiny_backbone, caplog, monkeypatch
) -> None:
    with opendas.switched_on(adapter, "warn"):
        monkeypatch.setattr(logging.getLogger("opendas_plugin.switch"), "disabled", True)  # as dictConfig does
        open_clip.create_model(tiny_backbone, jit=True)
    assert "it stays as it is" in caplog.text
