from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from opendas_plugin.crops import CropPolicy
from opendas_plugin.errors import AdapterError, ConfigError, MissingFileError, OutputError
from opendas_plugin.files import write_json
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.adapter import save_adapter
from opendas_plugin.model.adapter_config import FORMAT_VERSION
from opendas_plugin.model.checkpoint import backbone_sha256
from opendas_plugin.model.config import PromptConfig
from tests.model.models import TEXTS, openai_state, pixels

PROMPTS = PromptConfig(visual_tokens=3, text_tokens=2, visual_depth=1)


def adapted(backbone: str, pretrained: Path | None = None, prompts: PromptConfig = PROMPTS, **options) -> OpenDASCLIP:
    return OpenDASCLIP.from_backbone(backbone, pretrained, prompts=prompts, prompt_seed=7, **options)


@pytest.fixture
def folder(tmp_path, tiny_backbone) -> Path:
    """A saved adapter on random weights of seed 3."""
    adapted(tiny_backbone, seed=3).save_pretrained(tmp_path / "adapter", template="a picture of a {}.")
    return tmp_path / "adapter"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def edit(folder: Path, **changes) -> None:
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | changes))


def test_a_loaded_adapter_gives_the_same_features_and_metadata(tmp_path, tiny_backbone):
    clip = adapted(tiny_backbone, seed=3)
    metadata = {
        "method": "opendas",
        "template": "a picture of a {}.",
        "crop_policy": CropPolicy("mean", size=32),
        "base_names": ("door", "wall"),
        "training": {"dataset": "blocks", "seeds": [1, 2], "before": {"w_f1": 12.5}},
    }
    clip.save_pretrained(tmp_path / "adapter", **metadata)
    loaded = OpenDASCLIP.from_pretrained(tmp_path / "adapter")
    images, tokens = pixels(clip.model), clip.tokenize(TEXTS)
    with torch.no_grad():
        assert torch.equal(loaded.encode_image(images), clip.encode_image(images))
        assert torch.equal(loaded.encode_text(tokens), clip.encode_text(tokens))
    assert {key: getattr(loaded.config, key) for key in metadata} == metadata
    assert loaded.config.prompts == PROMPTS
    assert loaded.config.backbone_sha256 == backbone_sha256(clip)
    loaded.save_pretrained(tmp_path / "again")
    for name in ("adapter_config.json", "adapter.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "adapter" / name).read_bytes()


def test_the_folder_holds_sorted_json_and_the_learnt_tensors_alone(folder):
    assert names(folder) == ["README.md", "adapter.safetensors", "adapter_config.json"]
    text = (folder / "adapter_config.json").read_text()
    config = json.loads(text)
    assert list(config) == sorted(config)
    assert config["backbone_seed"] == 3
    assert config["pretrained"] is None
    assert config["template"] == "a picture of a {}."
    tensors = load_file(folder / "adapter.safetensors")
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    assert shapes == {"visual_prompts.tokens": (1, 3, 64), "text_prompts.tokens": (2, 2, 32)}
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_an_adapter_of_vit_l_14_is_smaller_than_a_megabyte(tmp_path):
    clip = OpenDASCLIP.from_backbone("ViT-L-14", prompts=PromptConfig(), device="meta")
    tensors = {key: torch.zeros(value.shape) for key, value in clip.learnt_state().items()}
    save_adapter(tmp_path / "adapter", clip.config, tensors)
    assert sum(tensor.numel() for tensor in tensors.values()) == 233_472
    assert 900_000 < sum(path.stat().st_size for path in (tmp_path / "adapter").iterdir()) < 1_000_000


def test_an_identity_adapter_can_be_saved_and_no_adapter_cannot(tmp_path, tiny_backbone):
    adapted(tiny_backbone, prompts=PromptConfig(0, 0)).save_pretrained(tmp_path / "identity")
    assert OpenDASCLIP.from_pretrained(tmp_path / "identity").learnt_state() == {}
    with pytest.raises(AdapterError, match="no adapter to save"):
        OpenDASCLIP.from_backbone(tiny_backbone).save_pretrained(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"expected metadata among .*, got colour"):
        adapted(tiny_backbone).save_pretrained(tmp_path / "none", colour="red")
    assert not (tmp_path / "none").exists()


def test_saving_replaces_an_adapter_and_leaves_a_folder_of_other_files_alone(tmp_path, folder, tiny_backbone):
    clip = adapted(tiny_backbone, seed=4)
    clip.save_pretrained(folder)
    assert OpenDASCLIP.from_pretrained(folder).config.backbone_seed == 4
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("precious")
    with pytest.raises(OutputError, match=r"holds other files \(thesis\.tex\)"):
        clip.save_pretrained(tmp_path / "home")
    assert names(tmp_path / "home") == ["thesis.tex"]


def test_a_failed_write_leaves_the_old_adapter(folder, tiny_backbone, monkeypatch):
    def full_disk(tensors):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        adapted(tiny_backbone, seed=9).save_pretrained(folder)
    assert OpenDASCLIP.from_pretrained(folder).config.backbone_seed == 3
    assert names(folder.parent) == ["adapter"]


def test_a_half_precision_model_saves_the_same_adapter(tmp_path, tiny_backbone):
    clip = adapted(tiny_backbone, seed=3)
    clip.save_pretrained(tmp_path / "full")
    clip.half().save_pretrained(tmp_path / "half")
    for name in ("adapter_config.json", "adapter.safetensors"):
        assert (tmp_path / "full" / name).read_bytes() == (tmp_path / "half" / name).read_bytes()


def test_other_weights_are_refused_with_both_hashes(folder, tmp_path, tiny_backbone):
    other = OpenDASCLIP.from_backbone(tiny_backbone, seed=4)
    torch.save(other.model.state_dict(), tmp_path / "other.pt")
    mine = json.loads((folder / "adapter_config.json").read_text())["backbone_sha256"]
    expected = (
        rf"with weights {mine[:12]}, but {tiny_backbone} with .*other\.pt has weights {backbone_sha256(other)[:12]}"
    )
    with pytest.raises(AdapterError, match=expected):
        OpenDASCLIP.from_pretrained(folder, pretrained=tmp_path / "other.pt")
    edit(folder, backbone_seed=4)
    with pytest.raises(AdapterError, match=f"{mine[:12]}.*random weights of seed 4.*{backbone_sha256(other)[:12]}"):
        OpenDASCLIP.from_pretrained(folder)


def test_moved_weights_are_found_where_they_are_said_to_be(tmp_path, tiny_backbone):
    (tmp_path / "old").mkdir()
    weights = tmp_path / "old" / "weights.pt"
    torch.save(OpenDASCLIP.from_backbone(tiny_backbone, seed=5).model.state_dict(), weights)
    adapted(tiny_backbone, weights).save_pretrained(tmp_path / "adapter")
    weights.rename(tmp_path / "moved.pt")
    with pytest.raises(
        MissingFileError, match=r"needs its backbone: .*old/weights\.pt is neither a file.*pretrained=FILE"
    ):
        OpenDASCLIP.from_pretrained(tmp_path / "adapter")
    clip = OpenDASCLIP.from_pretrained(tmp_path / "adapter", pretrained=tmp_path / "moved.pt")
    assert clip.backbone.pretrained == str(tmp_path / "moved.pt")


def test_an_adapter_on_an_openai_file_finds_it_again(tmp_path):
    torch.save(openai_state(), tmp_path / "openai.pt")
    adapted(str(tmp_path / "openai.pt")).save_pretrained(tmp_path / "adapter")
    assert OpenDASCLIP.from_pretrained(tmp_path / "adapter").backbone.name == str(tmp_path / "openai.pt")
    (tmp_path / "openai.pt").rename(tmp_path / "moved.pt")
    with pytest.raises(MissingFileError, match=r"needs its backbone: .*openai\.pt does not exist"):
        OpenDASCLIP.from_pretrained(tmp_path / "adapter")
    clip = OpenDASCLIP.from_pretrained(tmp_path / "adapter", pretrained=tmp_path / "moved.pt")
    assert clip.backbone.name == str(tmp_path / "moved.pt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": FORMAT_VERSION + 1}, r"has format 5, but this package reads format 4; upgrade"),
        ({"format_version": None}, "it has no format_version"),
        ({"colour": "red"}, "unknown fields colour"),
        ({"prompts": {"visual_tokens": 3}}, "prompts lacks context"),
        ({"prompts": 5}, "prompts is 5; the adapter is damaged"),
        ({"base_names": None}, "base_names is None"),
        ({"backbone_sha256": "0" * 64}, "with weights 000000000000, but"),
        (
            {"crop_policy": {"background": "grey"}},
            r"adapter_config\.json: crop background must be .*'grey'; the adapter",
        ),
        ({"crop_policy": {"expand": "much"}}, r"adapter_config\.json: .*; the adapter is damaged"),
        ({"crop_policy": {"colour": "red"}}, r"adapter_config\.json: a crop policy has .*; got colour; the adapter is"),
        ({"crop_policy": None}, "crop_policy is None; the adapter is damaged"),
        ({"cache": {"entries": -1, "strength": 1.0, "sharpness": 5.5}}, "cache.entries to be 0 or more, got -1"),
        ({"cache": {"entries": 2, "strength": 1.0, "sharpness": 5.5}}, r"lacks cache\.keys"),
    ],
    ids=str,
)
def test_a_configuration_that_cannot_be_right_is_refused(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(AdapterError, match=message):
        OpenDASCLIP.from_pretrained(folder)


@pytest.mark.parametrize("crops", [{}, {"background": "mean", "expand": 0.2, "resize": "center", "size": 32}])
def test_a_crop_policy_that_was_written_as_plain_values_is_read_and_written_alike(folder, tmp_path, crops):
    """As all adapters have it: nothing, or every field of the policy."""
    config = json.loads((folder / "adapter_config.json").read_text())
    write_json(folder / "adapter_config.json", {**config, "crop_policy": crops})
    loaded = OpenDASCLIP.from_pretrained(folder)
    assert loaded.config.crop_policy == (CropPolicy(**crops) if crops else None)
    loaded.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "adapter_config.json").read_bytes() == (folder / "adapter_config.json").read_bytes()


def test_a_crop_policy_is_saved_as_the_type_it_is(tmp_path, tiny_backbone):
    with pytest.raises(ConfigError, match=r"expected crop_policy to be a CropPolicy, got \{'background'"):
        adapted(tiny_backbone).save_pretrained(tmp_path / "adapter", crop_policy={"background": "mean"})
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize(
    ("field", "value"), [("visual_tokens", -1), ("visual_tokens", "three"), ("deep_text_init", "ones")]
)
def test_a_prompt_setting_that_cannot_be_right_is_refused(folder, field, value):
    config = json.loads((folder / "adapter_config.json").read_text())
    edit(folder, prompts=config["prompts"] | {field: value})
    with pytest.raises(AdapterError, match="adapter_config"):
        OpenDASCLIP.from_pretrained(folder)


def test_a_configuration_that_is_no_json_or_missing_is_refused(folder):
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(AdapterError, match="the adapter is damaged"):
        OpenDASCLIP.from_pretrained(folder)
    (folder / "adapter_config.json").unlink()
    with pytest.raises(MissingFileError, match=r"adapter_config\.json does not exist"):
        OpenDASCLIP.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("text_prompts.tokens"), r"lacks text_prompts\.tokens"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "holds extra"),
        (
            lambda tensors: tensors.update({"visual_prompts.tokens": torch.zeros(2, 3, 64)}),
            r"visual_prompts\.tokens has shape \(2, 3, 64\), expected \(1, 3, 64\)",
        ),
    ],
    ids=["missing", "extra", "shape"],
)
def test_other_tensors_are_refused(folder, change, message):
    path = folder / "adapter.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(AdapterError, match=message):
        OpenDASCLIP.from_pretrained(folder)


def test_a_truncated_or_missing_tensor_file_is_refused(folder):
    path = folder / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(AdapterError, match=r"adapter\.safetensors could not be read"):
        OpenDASCLIP.from_pretrained(folder)
    path.unlink()
    with pytest.raises(AdapterError, match=r"adapter\.safetensors could not be read"):
        OpenDASCLIP.from_pretrained(folder)


def test_a_folder_that_is_nowhere_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"there is no adapter .*nowhere"):
        OpenDASCLIP.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(
        MissingFileError, match="some-team/office-adapter is neither a folder nor an adapter on the hub"
    ):
        OpenDASCLIP.from_pretrained("some-team/office-adapter", local_files_only=True)
