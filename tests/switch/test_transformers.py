"""transformers' ``from_pretrained`` below the switch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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


@pytest.mark.parametrize("part", ["CLIPVisionModel", "CLIPVisionModelWithProjection", "CLIPTextModelWithProjection"])
def test_a_single_tower_stays_as_it_is_which_is_said(part, saved, tiny_backbone, tmp_path, caplog) -> None:
    folder, kind = adapter("ln_bias", tiny_backbone, tmp_path), getattr(transformers, part)
    plain = kind.from_pretrained(saved).state_dict()
    with opendas.switched_on(folder):
        transformers.CLIPModel.from_pretrained(saved)  # so that the adapter has an effect
        found = [kind.from_pretrained(saved).state_dict() for _ in range(2)]
    assert all(torch.equal(value, plain[key]) for key, value in found[1].items())
    said = f"{part} of {saved} is a single tower, on which no adapter is put: it stays as it is"
    assert [message for message in caplog.messages if "single tower" in message] == [said]
    with pytest.raises(AdapterError, match=rf"had no effect.*asked for {part} of"), opendas.switched_on(folder):
        kind.from_pretrained(saved)
    assert "from_pretrained" not in vars(kind)


def save_processor(folder: Path, **settings: object) -> Path:
    """A processor of CLIP's kind with other statistics than the tiny backbone's."""
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    transformers.CLIPImageProcessor(image_mean=[0.5] * 3, image_std=[0.25] * 3, **size, **settings).save_pretrained(
        folder
    )
    return folder


@pytest.mark.parametrize("first", ["model", "processor"])
def test_the_processor_of_an_adapted_model_has_the_statistics_that_the_adapter_was_learnt_with(
    first, saved, tiny_backbone, tmp_path, caplog
) -> None:
    folder = adapter("opendas_plus", tiny_backbone, tmp_path)
    other = save_processor(tmp_path / "other")
    save_processor(saved)
    pixels = OpenDASCLIP.from_pretrained(folder).pixels
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    steps = {
        "model": lambda: transformers.CLIPModel.from_pretrained(saved),
        "processor": lambda: transformers.AutoImageProcessor.from_pretrained(saved),
    }
    with opendas.switched_on(folder):
        found = {name: steps[name]() for name in sorted(steps, key=lambda name: name != first)}
        left = transformers.CLIPImageProcessor.from_pretrained(other)
    expected = pixels.normalise(torch.from_numpy(picture)[None])
    given = found["processor"](images=picture, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(given, expected, atol=1e-5, rtol=0)
    assert (
        "had image_mean 0.5/0.5/0.5, image_std 0.25/0.25/0.25; it gets what the adapter was learnt with" in caplog.text
    )
    assert list(left.image_mean) == [0.5] * 3
    assert f"the processor of {other} has image_mean 0.5/0.5/0.5" in caplog.text
    again = transformers.AutoImageProcessor.from_pretrained(saved)
    assert list(again.image_mean) == [0.5] * 3


def test_processors_stay_as_they_are_where_no_model_of_transformers_is_adapted(saved, tiny_backbone, tmp_path, caplog):
    save_processor(saved)
    weights = tmp_path / "tiny.pt"
    torch.save(OpenDASCLIP.from_backbone(tiny_backbone, seed=3).model.state_dict(), weights)
    with opendas.switched_on(adapter("opendas_plus", tiny_backbone, tmp_path)):
        open_clip.create_model(tiny_backbone, str(weights))
        processor = transformers.CLIPImageProcessor.from_pretrained(saved)
    assert list(processor.image_mean) == [0.5] * 3
    assert "processor of" not in caplog.text
