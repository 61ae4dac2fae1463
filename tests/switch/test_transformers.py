"""transformers' ``from_pretrained`` below the switch."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch
from torch.nn.functional import normalize as unit

import opendas_plugin as opendas
from opendas_plugin import methods
from opendas_plugin.errors import AdapterError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.transformers_export import save_transformers

transformers = pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.fixture
def saved(tiny_backbone: str, tmp_path: Path) -> Path:
    """The tiny backbone as transformers keeps it."""
    save_transformers(OpenDASCLIP.from_backbone(tiny_backbone, seed=3), tmp_path / "saved")
    return tmp_path / "saved"


def adapter(method: str, backbone: str, folder: Path) -> Path:
    found = methods.get(method)
    clip = OpenDASCLIP.from_backbone(backbone, prompts=found.prompts, weights=found.weights, seed=3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    clip.save_pretrained(folder / method, method=method)
    return folder / method


def features(model, images: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        found = model.get_image_features(pixel_values=images), model.get_text_features(input_ids=ids)
    return tuple(unit(getattr(one, "pooler_output", one).float(), dim=-1) for one in found)


@pytest.mark.parametrize("method", ["opendas", "opendas_plus"])
def test_clip_model_is_adapted_by_any_of_its_names(method, saved, tiny_backbone, tmp_path) -> None:
    folder = adapter(method, tiny_backbone, tmp_path)
    images, ids = torch.randn(2, 3, 32, 32), open_clip.tokenize(["a photo of a door", "a red desk"])
    ours = OpenDASCLIP.from_pretrained(folder)
    with torch.no_grad():
        expected = ours.encode_image(images, normalize=True), ours.encode_text(ids, normalize=True)
    plain = features(transformers.CLIPModel.from_pretrained(saved), images, ids)
    with opendas.switched_on(folder) as switch:
        models = [transformers.CLIPModel.from_pretrained(saved), transformers.AutoModel.from_pretrained(saved)]
        half = transformers.CLIPModel.from_pretrained(saved, dtype=torch.float16)
    with opendas.switched_on(folder, identity=True):
        same = features(transformers.CLIPModel.from_pretrained(saved), images, ids)
    assert len(switch.switched) == 3
    for model in models:
        for found, wanted, before in zip(features(model, images, ids), expected, plain, strict=True):
            torch.testing.assert_close(found, wanted, atol=2e-6, rtol=0)
            assert (found - before).abs().max() > 1e-3
    for found, wanted in zip(features(half, images.half(), ids), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=5e-3, rtol=0)
    for found, wanted in zip(same, plain, strict=True):
        torch.testing.assert_close(found, wanted, atol=2e-6, rtol=0)
    again = features(transformers.CLIPModel.from_pretrained(saved), images, ids)
    assert all(torch.equal(*pair) for pair in zip(again, plain, strict=True))


def test_other_weights_of_transformers_pass_through(tiny_backbone, tmp_path) -> None:
    folder = adapter("opendas", tiny_backbone, tmp_path)
    save_transformers(OpenDASCLIP.from_backbone(tiny_backbone, seed=4), tmp_path / "other")
    with pytest.raises(AdapterError, match="had no effect"), opendas.switched_on(folder):
        assert type(transformers.CLIPModel.from_pretrained(tmp_path / "other")) is transformers.CLIPModel
