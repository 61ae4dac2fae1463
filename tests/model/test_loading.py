from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import opendas_plugin as opendas
from opendas_plugin.errors import AdapterError, BackboneError, ConfigError, MissingFileError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from tests.model.models import TEXTS, close, openai_state, pixels


@pytest.fixture
def openai_file(tmp_path) -> str:
    torch.save(openai_state(), tmp_path / "clip.pt")
    return str(tmp_path / "clip.pt")


def test_a_loaded_model_has_openais_interface(openai_file):
    model, preprocess = opendas.load(openai_file, device="cpu")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 40, 3), dtype=np.uint8))
    images = torch.stack([preprocess(image), preprocess(image.rotate(90))])
    tokens = model.tokenize(TEXTS)
    assert images.shape[1:] == (3, model.visual.input_resolution, model.visual.input_resolution)
    with torch.no_grad():
        per_image, per_text = model(images, tokens)
        features = model.encode_image(images), model.encode_text(tokens)
        units = [f / f.norm(dim=-1, keepdim=True) for f in features]
        assert close(per_image, model.logit_scale.exp() * units[0] @ units[1].T)
        assert torch.equal(per_text, per_image.T)
        assert close(features[0], model.clip.model.encode_image(images))
    assert model.dtype == torch.float32
    assert model.context_length == 77
    assert model.eval().half().encode_text(tokens).dtype == torch.float16


def test_an_adapter_is_loaded_by_its_folder(tmp_path, openai_file):
    clip = opendas.OpenDASCLIP.from_backbone(openai_file, prompts=opendas.PromptConfig())
    clip.save_pretrained(tmp_path / "adapter")
    model, _ = opendas.load(f"opendas:{tmp_path / 'adapter'}")
    images, tokens = pixels(clip.model), clip.tokenize(TEXTS)
    with torch.no_grad():
        assert torch.equal(model.encode_image(images), clip.encode_image(images))
        assert torch.equal(model.encode_text(tokens), clip.encode_text(tokens))
        assert not close(model.encode_image(images), clip.model.encode_image(images), 1e-3)


@pytest.mark.parametrize(
    ("name", "backbone"),
    [
        ("ViT-L/14@336px", ("ViT-L-14-336", "openai")),
        ("ViT-B/32", ("ViT-B-32", "openai")),
        ("ViT-L-14/openai", ("ViT-L-14", "openai")),
        ("ViT-L-14/weights/clip.safetensors", ("ViT-L-14", "weights/clip.safetensors")),
        ("office-tiny", ("office-tiny", None)),
    ],
)
def test_a_name_says_model_and_weights(monkeypatch, name, backbone):
    asked = []

    def from_backbone(*arguments, device, tokenizer):
        asked.append((*arguments, device))
        raise BackboneError("far enough")

    monkeypatch.setattr(opendas.OpenDASCLIP, "from_backbone", from_backbone)
    with pytest.raises(BackboneError, match="far enough"):
        opendas.load(name, "cuda")
    assert asked == [(*backbone, "cuda")]


def test_a_name_that_says_no_weights_or_none_that_exist_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="'ViT-B-32' does not say which weights"):
        opendas.load("ViT-B-32")
    with pytest.raises(MissingFileError, match="neither a file nor a tag"):
        opendas.load("ViT-B-32/weights.pt")
    with pytest.raises(MissingFileError, match="nowhere"):
        opendas.load(f"opendas:{tmp_path}/nowhere")


def test_an_adapter_without_text_features_of_its_own_is_refused_with_the_reason(tmp_path):
    prompts = opendas.PromptConfig(visual_tokens=0, text_tokens=4, text_depth=1, form="conditional")
    opendas.OpenDASCLIP.from_backbone("office-tiny", prompts=prompts).save_pretrained(
        tmp_path / "adapter", method="cocoop"
    )
    with pytest.raises(AdapterError, match="cocoop adapter has no text features of its own, since they depend"):
        opendas.load(f"opendas:{tmp_path / 'adapter'}")


def test_moved_weights_are_named_with_a_call_that_exists(tmp_path, tiny_backbone):
    """``opendas.load`` itself has no ``pretrained``."""
    weights = tmp_path / "w.pt"
    torch.save(OpenDASCLIP.from_backbone(tiny_backbone).model.state_dict(), weights)
    OpenDASCLIP.from_backbone(tiny_backbone, weights, prompts=PromptConfig(2, 2)).save_pretrained(tmp_path / "adapter")
    weights.rename(tmp_path / "moved.pt")
    with pytest.raises(MissingFileError, match=r"OpenDASCLIP\.from_pretrained\(ADAPTER, pretrained=FILE\)"):
        opendas.load(f"opendas:{tmp_path / 'adapter'}")
    assert OpenDASCLIP.from_pretrained(tmp_path / "adapter", pretrained=tmp_path / "moved.pt")
