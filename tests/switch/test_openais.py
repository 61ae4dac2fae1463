"""``clip.load`` of OpenAI's package below the switch, and packages of its name that are something else."""

from __future__ import annotations

import sys
import types
from pathlib import Path

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


@pytest.mark.parametrize("name", ["opendas", "opendas_plus"])
def test_the_model_of_clip_load_is_adapted(name, weights, tmp_path, openai_clip, caplog) -> None:
    method = methods.get(name)
    ours = OpenDASCLIP.from_backbone(str(weights), prompts=method.prompts, weights=method.weights)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in ours.prompt_parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    ours.save_pretrained(tmp_path / "adapter", method=name)

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
