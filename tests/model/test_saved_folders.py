"""Models that transformers or open_clip has saved, as backbones: against the library that saved them."""

from __future__ import annotations

import json
import subprocess
import sys

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

import opendas_plugin as opendas
from opendas_plugin.errors import AdapterError, BackboneError, MissingFileError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.checkpoint import backbone_sha256
from opendas_plugin.model.config import WeightConfig
from tests.conftest import TINY
from tests.model.models import close
from tests.model.saved_models import features, inputs, save, siglip_tokenizer

ACTIVATIONS = [
    ("clip", None, None),
    ("clip", "gelu", "gelu"),
    ("clip", "gelu", "quick_gelu"),
    ("siglip", None, None),
    ("siglip", "gelu", "gelu_pytorch_tanh"),
    ("siglip", "gelu_pytorch_tanh", "gelu"),
]


@pytest.mark.parametrize(("kind", "visual", "text"), ACTIVATIONS)
def test_features_are_those_of_transformers(tmp_path, kind, visual, text):
    theirs = save(kind, tmp_path, visual, text)
    pixels, ids = inputs(kind)
    clip = OpenDASCLIP.from_backbone(str(tmp_path))
    with torch.no_grad():
        ours = clip.encode_image(pixels, normalize=True), clip.encode_text(ids, normalize=True)
    assert all(map(close, ours, features(theirs, pixels, ids)))
    assert close(clip.logit_scale, theirs.logit_scale.detach().squeeze())
    wrong = OpenDASCLIP.from_backbone(str(tmp_path))
    for module in wrong.model.modules():
        for name, inner in module.named_children():
            if type(inner).__name__ in ("GELU", "QuickGELU"):
                setattr(module, name, torch.nn.ReLU())
    with torch.no_grad():
        assert not close(wrong.encode_image(pixels, normalize=True), ours[0])


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_weights_in_several_files_and_fields_left_out_are_read(tmp_path, kind):
    theirs = save(kind, tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    config = json.loads((tmp_path / "config.json").read_text())
    for field in ("hidden_act", "layer_norm_eps", "num_channels"):
        del config["vision_config"][field]  # older releases write what is no default alone
    (tmp_path / "config.json").write_text(json.dumps(config))
    pixels, ids = inputs(kind)
    with torch.no_grad():
        found = OpenDASCLIP.from_backbone(str(tmp_path)).encode_image(pixels, normalize=True)
    assert close(found, features(theirs, pixels, ids)[0])


def test_a_folder_is_read_where_transformers_is_not_installed(tmp_path):
    save("siglip", tmp_path)
    code = f"""
import sys
sys.modules["transformers"] = sys.modules["tokenizers"] = None
from opendas_plugin.model.adapted_clip import OpenDASCLIP
print(OpenDASCLIP.from_backbone({str(tmp_path)!r}).feature_width)
"""
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "32\n"


def test_pixels_size_and_tokenizer_are_the_folders_own(tmp_path):
    save("siglip", tmp_path)
    siglip_tokenizer(tmp_path)
    statistics = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "resample": 2}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**statistics, "size": {"height": 32, "width": 32}}))
    transformers = pytest.importorskip("transformers")
    clip = OpenDASCLIP.from_backbone(str(tmp_path))
    assert (clip.pixels.mean, clip.pixels.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert clip.pixels.interpolation == "bilinear" and clip.image_size == 32
    texts = ["a photo of a red desk", "the old globe"]
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    expected = theirs(texts, padding="max_length", max_length=16, truncation=True, return_tensors="pt").input_ids
    assert torch.equal(clip.tokenize(texts), expected)
    assert clip.config.backbone_facts.tokenizer.startswith("tokenizer.json ")
    with pytest.raises(opendas.OpenDASError, match="does not fit the context of 16 tokens"):
        clip.tokenize("desk " * 30)


def test_a_folder_without_the_tokenizer_of_a_siglip_takes_ids_alone(tmp_path):
    save("siglip", tmp_path)
    clip = OpenDASCLIP.from_backbone(str(tmp_path))
    with pytest.raises(BackboneError, match="holds no tokenizer"):
        clip.tokenize("a desk")


def test_the_tokenizer_of_a_clip_is_open_clips_own(tmp_path):
    transformers = pytest.importorskip("transformers")
    save("clip", tmp_path)
    clip = OpenDASCLIP.from_backbone(str(tmp_path))
    from opendas_plugin.model.tokenizer_files import write_clips_own

    write_clips_own(tmp_path, 77)
    texts = ["a photo of a fire extinguisher.", "It's 2 desks"]
    own = transformers.AutoTokenizer.from_pretrained(tmp_path)(texts).input_ids
    assert [row[row > 0].tolist() for row in clip.tokenize(texts)] == own
    assert OpenDASCLIP.from_backbone(str(tmp_path)).config.backbone_facts.tokenizer == "open_clip"


def test_an_adapter_on_a_folder_finds_it_again_where_it_has_moved(tmp_path):
    save("clip", tmp_path / "model")
    clip = OpenDASCLIP.from_backbone(str(tmp_path / "model"), weights=WeightConfig(visual="norm"))
    clip.save_pretrained(tmp_path / "adapter")
    assert opendas.Labeller(tmp_path / "adapter", ["desk"]).clip.backbone.name == str(tmp_path / "model")
    (tmp_path / "model").rename(tmp_path / "other")
    with pytest.raises(opendas.OpenDASError, match="needs its backbone"):
        OpenDASCLIP.from_pretrained(tmp_path / "adapter")
    moved = OpenDASCLIP.from_pretrained(tmp_path / "adapter", tmp_path / "other")
    assert backbone_sha256(moved) == backbone_sha256(clip)
    with pytest.raises(opendas.OpenDASError, match="is a backbone, not an adapter"):
        OpenDASCLIP.from_pretrained(tmp_path / "other")
    model, _ = opendas.load(tmp_path / "other")
    assert backbone_sha256(model.clip) == backbone_sha256(clip)


def test_weights_of_a_folder_go_into_the_architecture_that_is_named(tmp_path):
    name = "test-saved"
    config = {**TINY, "quick_gelu": True, "embed_dim": 20}
    config["vision_cfg"] = {"image_size": 32, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16}
    config["vision_cfg"]["mlp_ratio"] = 1.5
    config["text_cfg"] = {"width": 24, "heads": 2, "layers": 2, "mlp_ratio": 2.0}
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(config))
    open_clip.add_model_config(path)
    theirs = save("clip", tmp_path / "model", "gelu", "quick_gelu")
    clip = OpenDASCLIP.from_backbone(name, tmp_path / "model")
    pixels, ids = inputs("clip")
    with torch.no_grad():
        ours = clip.encode_image(pixels, normalize=True), clip.encode_text(ids, normalize=True)
    assert all(map(close, ours, features(theirs, pixels, ids)))
    with pytest.raises(BackboneError, match="does not fit ViT-B-32"):
        OpenDASCLIP.from_backbone("ViT-B-32", tmp_path / "model")


@pytest.mark.parametrize(("change", "message"), [
    ({"model_type": "siglip2", "architectures": ["Siglip2Model"]}, r"is a Siglip2Model \(NaFlex\)"),
    ({"model_type": "bert", "architectures": ["BertModel"]}, "is of BertModel, expected a CLIPModel or a SiglipModel"),
    ({"model_type": "clip_vision_model", "architectures": ["CLIPVisionModel"]}, "is of CLIPVisionModel, expected"),
    ({"architectures": ["CLIPForImageClassification"]}, "is of CLIPForImageClassification, expected"),
    ({"vision_config": {"hidden_act": "mish"}}, r"config.json cannot be followed \('mish' is not known\)"),
    ({"vision_config": {"patch_size": [8, 16]}}, "it is not square"),
    ({"vision_config": 3}, "cannot be followed"),
    ({"text_config": {"hidden_size": 0}}, "cannot be followed"),
    ({"vision_config": {"layer_norm_eps": "small"}}, "cannot be followed"),
    ({"text_config": {"num_hidden_layers": 1000000}}, "num_hidden_layers to be at most 1000"),
])  # fmt: skip
def test_other_classes_and_configurations_are_refused_in_a_sentence(tmp_path, change, message):
    save("clip", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(BackboneError, match=message):
        OpenDASCLIP.from_backbone(str(tmp_path))


def test_weights_that_lack_something_or_hold_more_are_refused(tmp_path):
    save("clip", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    lost = tensors.pop("vision_model.encoder.layers.1.self_attn.k_proj.bias")
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(BackboneError, match=r"lacks vision_model.encoder.layers.1.self_attn.k_proj.bias"):
        OpenDASCLIP.from_backbone(str(tmp_path))
    tensors |= {"vision_model.encoder.layers.1.self_attn.k_proj.bias": lost, "classifier.weight": lost.clone()}
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(BackboneError, match=r"holds classifier.weight"):
        OpenDASCLIP.from_backbone(str(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(MissingFileError, match="holds no weights"):
        OpenDASCLIP.from_backbone(str(tmp_path))


def test_a_folder_that_is_neither_is_no_backbone(tmp_path):
    with pytest.raises(opendas.OpenDASError, match="is a folder without a model"):
        OpenDASCLIP.from_backbone(str(tmp_path))
    with pytest.raises((AdapterError, MissingFileError)):
        opendas.load(tmp_path)


def test_open_clips_own_folder_is_read_with_its_pixels(tmp_path, tiny_backbone):
    model = OpenDASCLIP.from_backbone(tiny_backbone, seed=3).model
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    pixels = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": pixels}))
    theirs = open_clip.create_model(f"local-dir:{tmp_path}")
    clip = OpenDASCLIP.from_backbone(str(tmp_path))
    image, ids = torch.randn(1, 3, 32, 32), clip.tokenize("a desk")
    with torch.no_grad():
        assert close(clip.encode_image(image), theirs.encode_image(image))
        assert close(clip.encode_text(ids), theirs.encode_text(ids))
    assert clip.pixels.interpolation == "bilinear" and clip.pixels.mean == (0.5,) * 3
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": {}, "preprocess_cfg": pixels}))
    with pytest.raises(BackboneError, match="does not describe a model of open_clip"):
        OpenDASCLIP.from_backbone(str(tmp_path))


ABSURD = [
    (("vision_cfg", "layers", 1_000_000), "layers of vision_cfg to be at most 1000"),
    (("text_cfg", "layers", 2.5), "expected layers of text_cfg to be 1 or more, got 2.5"),
    (("vision_cfg", "width", 1 << 20), r"describes a model of [\d,]{17,} values, but the weights beside it hold"),
    (("vision_cfg", "image_size", 1 << 22), r"describes a model of [\d,]{11,} values"),
    (("text_cfg", "vocab_size", 1 << 40), r"describes a model of [\d,]{17,} values"),
    (("text_cfg", "context_length", 1 << 62), "does not describe a model of open_clip"),
    (("vision_cfg", "timm_model_name", "vit_giant_patch14_clip_224"), r"describes a model of 1,[\d,]{11} values"),
    (
        ("vision_cfg", "timm_model_name", "hf-hub:timm/vit_base_patch16_siglip_224"),
        "got 'hf-hub:.*which lies elsewhere",
    ),
]


@pytest.mark.parametrize(("change", "message"), ABSURD, ids=lambda value: str(value[1:])[:40])
def test_a_folder_that_describes_more_than_its_weights_hold_is_refused_before_it_is_built(
    tmp_path, tiny_backbone, change, message
):
    model, (part, field, value) = OpenDASCLIP.from_backbone(tiny_backbone).model, change
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    config = {**TINY, part: {**TINY[part], field: value}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    with pytest.raises(BackboneError, match=message):
        OpenDASCLIP.from_backbone(str(tmp_path))


def test_a_configuration_of_transformers_that_is_larger_than_its_weights_is_refused(tmp_path):
    save("siglip", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for tower, size in (("vision_config", "image_size"), ("text_config", "vocab_size")):
        changed = config | {tower: config[tower] | {size: 1 << 30}}
        (tmp_path / "config.json").write_text(json.dumps(changed))
        with pytest.raises(BackboneError, match=r"config.json describes a model of [\d,]{13,} values, but the weights"):
            OpenDASCLIP.from_backbone(str(tmp_path))
