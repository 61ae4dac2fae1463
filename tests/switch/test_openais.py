"""``clip.load`` of OpenAI's package below the switch, and packages of its name that are something else."""

from __future__ import annotations

import functools
import sys
import types
from pathlib import Path

import open_clip
import pytest
import torch
from torch.nn.functional import normalize as unit

import opendas_plugin as opendas
from opendas_plugin import methods
from opendas_plugin.errors import AdapterError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from tests.model.models import openai_state, pixels


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(openai_state(), tmp_path / "tiny.pt")
    return tmp_path / "tiny.pt"


def moved(name: str, weights: Path, folder: Path) -> OpenDASCLIP:
    """An adapter away from where it starts, saved in a folder."""
    method = methods.get(name)
    clip = OpenDASCLIP.from_backbone(str(weights), prompts=method.prompts, weights=method.weights)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    clip.save_pretrained(folder, method=name)
    return clip


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["opendas", "opendas_plus"])
def test_the_model_of_open_clips_own_loader_is_adapted(name, precision, weights, tmp_path, caplog) -> None:
    """``open_clip.load_openai_model`` does not go by ``create_model``."""
    ours, load = (
        moved(name, weights, tmp_path / "adapter"),
        functools.partial(open_clip.load_openai_model, device="cpu"),
    )
    plain = load(str(weights), precision)
    with opendas.switched_on(tmp_path / "adapter"):
        model = load(str(weights), precision)
    with opendas.switched_on(tmp_path / "adapter", identity=True):
        same = load(str(weights), precision)
    images, tokens = pixels(ours.model), open_clip.tokenize(["a photo of a door", "a red desk"])
    rounding = 1e-6 if precision == "fp32" else 2e-2
    with torch.no_grad():
        for encode, inputs in (("encode_image", images), ("encode_text", tokens)):
            given = inputs.to(plain.visual.conv1.weight.dtype) if encode == "encode_image" else inputs
            found, there, theirs = (unit(getattr(one, encode)(given).float(), dim=-1) for one in (model, same, plain))
            expected = unit(getattr(ours, encode)(inputs), dim=-1)
            torch.testing.assert_close(found, expected, atol=rounding, rtol=0)
            torch.testing.assert_close(there, theirs, atol=rounding, rtol=0)
            assert (found - theirs).abs().max() > 3 * rounding
    other = openai_state()
    other["text_projection"] = other["text_projection"] + 1
    torch.save(other, tmp_path / "other.pt")
    with pytest.raises(AdapterError, match="had no effect"), opendas.switched_on(tmp_path / "adapter"):
        load(str(tmp_path / "other.pt"), precision)
    assert f"{tmp_path / 'other.pt'}/openai has weights" in caplog.text


@pytest.mark.parametrize("name", ["opendas", "opendas_plus"])
def test_the_model_of_clip_load_is_adapted(name, weights, tmp_path, openai_clip, caplog) -> None:
    ours = moved(name, weights, tmp_path / "adapter")
    plain, _ = openai_clip.load(str(weights), "cpu")
    with opendas.switched_on(tmp_path / "adapter"):
        model, _ = openai_clip.load(str(weights), "cpu", jit=True)
    with opendas.switched_on(tmp_path / "adapter", identity=True):
        same, _ = openai_clip.load(str(weights), "cpu")
    images, tokens = pixels(ours.model), openai_clip.tokenize(["a photo of a door", "a red desk"])
    with torch.no_grad():
        for encode, inputs in (("encode_image", images), ("encode_text", tokens)):
            found, there, theirs, expected = (
                unit(getattr(one, encode)(inputs), dim=-1) for one in (model, same, plain, ours)
            )
            torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
            torch.testing.assert_close(there, theirs, atol=1e-6, rtol=0)
            assert (found - theirs).abs().max() > 1e-3
        logits, _ = model(images, tokens)
        assert logits.shape == (2, 2)
    assert "it is left out" in caplog.text
    assert model.visual.input_resolution == images.shape[-1]


def test_a_fork_passes_through_and_is_said(weights, tmp_path, monkeypatch, caplog) -> None:
    method = methods.get("opendas")
    OpenDASCLIP.from_backbone(str(weights), prompts=method.prompts).save_pretrained(tmp_path / "adapter")
    fork = types.ModuleType("clip.clip")
    exec("def load(name, device='cpu', jit=False, download_root=None, csa=False):\n    return 'theirs'", fork.__dict__)
    monkeypatch.setitem(sys.modules, "clip.clip", fork)
    with pytest.raises(AdapterError, match="had no effect"), opendas.switched_on(tmp_path / "adapter"):
        assert fork.load("ViT-B/16") == "theirs"
    assert "is not the package's own: it stays as it is" in caplog.text
