"""What a backbone is beside its tensors comes from the checkpoint, is stored in adapters, and compared on loading."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from opendas_plugin.crops import CropPolicy, PixelFormat
from opendas_plugin.data.loader import SegmentCrops
from opendas_plugin.errors import AdapterError, BackboneError, ConfigError
from opendas_plugin.labeller import Labeller
from opendas_plugin.model import downloads
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.model.openai_format import save_openai_clip

HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "interpolation": "bilinear", "resize_mode": "squash"}
PROMPTS = PromptConfig(2, 2)


@pytest.fixture
def weights(tmp_path, tiny_backbone) -> Path:
    """Weights of the tiny model, as a tag's that wants 0.5 and 0.5."""
    torch.save(OpenDASCLIP.from_backbone(tiny_backbone, seed=2).model.state_dict(), tmp_path / "half-4b79k.pt")
    return tmp_path / "half-4b79k.pt"


@pytest.fixture
def tag(monkeypatch, weights, tiny_backbone) -> str:
    """The tag of these weights in open_clip's table."""
    entry = {"url": f"https://host/{weights.name}", "hf_hub": "team/half/", **HALF}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, tiny_backbone, {"half": entry})
    monkeypatch.setattr(downloads, "unreachable", lambda address: None)
    monkeypatch.setattr(open_clip, "download_pretrained", lambda tag, **options: str(weights))
    return "half"


def edit(folder: Path, **changes) -> None:
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["backbone_facts"] |= changes
    path.write_text(json.dumps(config))


def test_crops_are_normalised_as_the_tag_says(tag, tiny_backbone):
    clip = OpenDASCLIP.from_backbone(tiny_backbone, tag)
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    right = (torch.from_numpy(image).permute(2, 0, 1) / 255 - 0.5) / 0.5
    labeller = Labeller(clip, ["a door", "a wall"], crops=CropPolicy(expand=0))
    seen = []
    clip.encode_image = lambda pixels, **_: seen.append(pixels) or torch.ones(len(pixels), clip.feature_width)
    labeller.features(image, np.ones((1, 32, 32), bool))
    assert torch.allclose(seen[0][0], right, atol=1e-6)
    assert torch.allclose(clip.preprocess(Image.fromarray(image)), right, atol=1e-6)


def test_a_siglips_tag_says_that_pictures_are_squashed(monkeypatch, tmp_path, family_names):
    """As open_clip's own transform of the tag does; without a tag the architecture has OpenAI's pixels."""
    entry = open_clip.get_pretrained_cfg("ViT-B-16-SigLIP", "webli")
    torch.save(OpenDASCLIP.from_backbone(family_names["siglip"]).model.state_dict(), tmp_path / "w.pt")
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, family_names["siglip"], {"webli": entry})
    monkeypatch.setattr(downloads, "unreachable", lambda address: None)
    monkeypatch.setattr(open_clip, "download_pretrained", lambda tag, **options: str(tmp_path / "w.pt"))
    picture = Image.effect_noise((90, 40), 80).convert("RGB")
    squashed = np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC), dtype=np.float32) / 255
    clip, plain = (OpenDASCLIP.from_backbone(family_names["siglip"], tag) for tag in ("webli", None))
    assert clip.pixels == PixelFormat((0.5,) * 3, (0.5,) * 3, "bicubic") != plain.pixels
    assert np.allclose(clip.preprocess(picture).permute(1, 2, 0), (squashed - 0.5) / 0.5, atol=1e-6)


def test_facts_are_stored_and_compared(tag, weights, tmp_path, tiny_backbone):
    clip = OpenDASCLIP.from_backbone(tiny_backbone, tag, prompts=PROMPTS)
    clip.save_pretrained(tmp_path / "adapter")
    said = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["backbone_facts"]
    assert said == {
        **{name: list(value) if isinstance(value, tuple) else value for name, value in HALF.items()},
        "image_size": [32, 32],
        "context_length": 77,
        "tokenizer": "open_clip",
        "visual_activation": "quick_gelu",
        "text_activation": "quick_gelu",
        "visual_heads": 2,
        "text_heads": 2,
        "text_end": "at the largest token",
        "precision": "float32",
    }
    assert OpenDASCLIP.from_pretrained(tmp_path / "adapter").pixels == clip.pixels
    plain = OpenDASCLIP.from_backbone(tiny_backbone, seed=2)  # the same tensors, OpenAI's pixels
    with pytest.raises(AdapterError, match=r"mean 0\.5, 0\.5, 0\.5 and here 0\.4815, .*the weights are the same"):
        OpenDASCLIP.from_pretrained(tmp_path / "adapter", backbone=plain)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", [0.4, 0.5, 0.5]),
        ("interpolation", "bicubic"),
        ("resize_mode", "shortest"),
        ("image_size", [32, 64]),
        ("context_length", 64),
        ("tokenizer", "team/words"),
        ("visual_activation", "gelu"),
        ("text_heads", 1),
        ("text_end", "at token 3"),
        ("precision", "bfloat16"),
    ],
)
def test_any_other_fact_is_refused_by_name(tag, tmp_path, tiny_backbone, name, value):
    OpenDASCLIP.from_backbone(tiny_backbone, tag, prompts=PROMPTS).save_pretrained(tmp_path / "adapter")
    edit(tmp_path / "adapter", **{name: value})
    with pytest.raises(AdapterError, match=f"learnt on a backbone with {name} .* and here "):
        OpenDASCLIP.from_pretrained(tmp_path / "adapter")


def test_a_file_says_what_it_is_by_its_name_its_neighbour_or_its_adapter(tag, weights, tmp_path, tiny_backbone, caplog):
    half = PixelFormat(HALF["mean"], HALF["std"], "bilinear")
    assert OpenDASCLIP.from_backbone(tiny_backbone, weights).pixels == half  # a tag's download, by its name
    hub = tmp_path / "models--team--half" / "snapshots" / "1" / "open_clip_pytorch_model.bin"
    hub.parent.mkdir(parents=True)
    hub.write_bytes(weights.read_bytes())
    assert OpenDASCLIP.from_backbone(tiny_backbone, hub).pixels == half
    OpenDASCLIP.from_backbone(tiny_backbone, tag, prompts=PROMPTS).save_pretrained(tmp_path / "adapter")
    moved = weights.rename(tmp_path / "w.pt")
    with caplog.at_level(logging.WARNING):
        assert OpenDASCLIP.from_pretrained(tmp_path / "adapter", pretrained=moved).pixels == half
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert OpenDASCLIP.from_backbone(tiny_backbone, moved).pixels == PixelFormat()
        assert "does not say what pixels it takes" in caplog.text and "half" in caplog.text
    beside = tmp_path / "open_clip_config.json"
    beside.write_text(json.dumps({"model_cfg": {"quick_gelu": True}, "preprocess_cfg": HALF | {"size": 32}}))
    assert OpenDASCLIP.from_backbone(tiny_backbone, moved).pixels == half
    beside.write_text("[]")
    with pytest.raises(BackboneError, match="does not describe weights"):
        OpenDASCLIP.from_backbone(tiny_backbone, moved)


def test_an_adapter_without_facts_loads_and_says_so(tag, tmp_path, tiny_backbone, caplog):
    OpenDASCLIP.from_backbone(tiny_backbone, tag, prompts=PROMPTS).save_pretrained(tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    config = json.loads(path.read_text())
    del config["backbone_facts"]
    path.write_text(json.dumps(config | {"format_version": 1}))
    loaded = OpenDASCLIP.from_pretrained(tmp_path / "adapter")
    assert "does not say how the backbone reads pixels and texts" in caplog.text
    loaded.save_pretrained(tmp_path / "again")  # what was not known is not made up
    assert json.loads((tmp_path / "again" / "adapter_config.json").read_text())["format_version"] == 1


def test_crops_for_another_backbone_are_refused(tag, tiny_backbone):
    clip = OpenDASCLIP.from_backbone(tiny_backbone, tag)
    labeller = Labeller(clip, ["a door", "a wall"])
    with pytest.raises(ConfigError, match="the crops are made for"):
        next(iter(labeller.pixels(SegmentCrops([], labeller.crops))))


def test_openais_format_cannot_hold_other_pixels(tmp_path, monkeypatch):
    entry = {"url": "https://host/w.pt", **HALF, "quick_gelu": True}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "ViT-B-32", {"half": entry})
    state = OpenDASCLIP.from_backbone("ViT-B-32").model.state_dict()
    torch.save(state, tmp_path / "w.pt")
    monkeypatch.setattr(downloads, "unreachable", lambda address: None)
    monkeypatch.setattr(open_clip, "download_pretrained", lambda tag, **options: str(tmp_path / "w.pt"))
    with pytest.raises(BackboneError, match="lacks OpenAI's pixel mean"):
        save_openai_clip("ViT-B-32", tmp_path / "out.pt", "half")
    assert not (tmp_path / "out.pt").exists()
