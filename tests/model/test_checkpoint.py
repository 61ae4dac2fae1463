from __future__ import annotations

import argparse
import json
import pickle

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transformer import QuickGELU
from safetensors.torch import save_file
from torch import nn
from torch.serialization import get_safe_globals

from opendas_plugin.errors import BackboneError, ConfigError, MissingFileError
from opendas_plugin.model import tiny_clips
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.checkpoint import backbone_sha256, build_backbone, rebuild_token_table
from opendas_plugin.model.config import PromptConfig
from tests.model.models import TEXTS, WIDE_HEADS, build_tiny, close, openai_state, pixels


def has_quick_gelu(model) -> bool:
    return {type(m) for m in model.modules() if isinstance(m, QuickGELU | nn.GELU)} == {QuickGELU}


class Holder(nn.Module):
    """Tensors under dotted names, as the submodules of OpenAI's TorchScript archives hold them."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        for name in dict.fromkeys(key.split(".")[0] for key in tensors if "." in key):
            inner = {key.removeprefix(f"{name}."): v for key, v in tensors.items() if key.startswith(f"{name}.")}
            self.add_module(name, Holder(inner))
        for name, value in tensors.items():
            if "." not in name:
                self.register_buffer(name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def save_archive(path, state: dict[str, torch.Tensor]) -> None:
    sizes = {"input_resolution": 32, "context_length": 77, "vocab_size": 49408}
    holder = Holder(state | {key: torch.tensor(value) for key, value in sizes.items()})
    torch.jit.trace(holder, torch.zeros(1)).save(str(path))


def test_the_same_weights_in_any_container_have_the_same_hash(tmp_path, tiny_backbone):
    model, _ = build_backbone(tiny_backbone, seed=5)
    digest = backbone_sha256(model)
    state = model.state_dict()
    torch.save(state, tmp_path / "plain.pt")
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "training.pt")
    save_file(state, tmp_path / "file.safetensors")
    custom = {k if k.startswith(("visual", "logit")) else f"text.{k}": v for k, v in state.items()}
    save_file(custom, tmp_path / "custom.safetensors")
    for path in tmp_path.iterdir():
        loaded, source = build_backbone(tiny_backbone, path)
        assert backbone_sha256(loaded) == digest, path.name
        assert (source.pretrained, source.seed) == (str(path), None)
    config = open_clip.get_model_config(tiny_backbone)
    as_custom = open_clip.CustomTextCLIP(**config)
    as_custom.load_state_dict(custom)
    assert backbone_sha256(as_custom) == digest
    assert backbone_sha256(OpenDASCLIP.from_backbone(tiny_backbone, seed=5, prompts=PromptConfig())) == digest


def test_the_hash_notices_a_value_a_name_and_a_shape():
    model = build_tiny()
    digest = backbone_sha256(model)
    with torch.no_grad():
        model.ln_final.bias[3] += 1e-7
    assert backbone_sha256(model) != digest
    assert backbone_sha256(build_tiny(vision_cfg={"patch_size": 8})) != digest


def test_random_weights_come_from_their_seed_alone(tiny_backbone):
    before = torch.random.get_rng_state()
    digests = [backbone_sha256(build_backbone(tiny_backbone, seed=seed)[0]) for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("container", ["plain.pt", "archive.pt", "file.safetensors", "full_precision.pt"])
def test_an_openai_file_is_read_from_any_container(tmp_path, container):
    state, path = openai_state(), tmp_path / container
    if container == "archive.pt":
        save_archive(path, state)
    elif container == "file.safetensors":
        save_file(state, path)
    else:
        torch.save({k: v.float() for k, v in state.items()} if container == "full_precision.pt" else state, path)
    clip = OpenDASCLIP.from_backbone(str(path), prompts=PromptConfig())
    assert clip.dtype == torch.float32
    assert has_quick_gelu(clip.model)
    assert clip.image_size == 32
    assert clip.preprocess.transforms[0].size == (32, 32) or clip.preprocess.transforms[0].size == 32
    reference = build_tiny(quick_gelu=True, **WIDE_HEADS)
    reference.load_state_dict(state)
    assert clip.config.backbone_sha256 == backbone_sha256(reference)
    tokens, images = clip.tokenize(TEXTS), pixels(reference)
    with torch.no_grad(), clip.prompts_disabled():
        assert close(clip.encode_image(images), reference.encode_image(images))
        assert close(clip.encode_text(tokens), reference.encode_text(tokens))


@pytest.mark.parametrize("full_precision", [False, True])
def test_an_openai_file_gives_the_features_of_openais_own_package(tmp_path, openai_clip, full_precision):
    state, path = openai_state(), tmp_path / "model.pt"
    if full_precision:  # with values that half precision cannot hold: the package rounds them when it loads
        state = {key: value.float() * 1.0001 for key, value in state.items()}
    torch.save(state, path)
    theirs, _ = openai_clip.load(str(path), device="cpu", jit=False)
    clip = OpenDASCLIP.from_backbone(str(path))
    images, tokens = pixels(clip.model), openai_clip.tokenize(TEXTS)
    with torch.no_grad():
        assert close(clip.encode_image(images), theirs.encode_image(images).float(), 1e-4)
        assert close(clip.encode_text(tokens), theirs.encode_text(tokens).float(), 1e-4)


def test_an_openai_archive_as_weights_of_a_named_model_turns_quick_gelu_on(tmp_path):
    config = {"embed_dim": 32, "vision_cfg": {"image_size": 32, "layers": 3, "width": 64, "patch_size": 16}}
    config["text_cfg"] = {"width": 64, "heads": 1, "layers": 3}
    (tmp_path / "named-tiny.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "named-tiny.json")
    save_archive(tmp_path / "archive.pt", openai_state())
    torch.save(openai_state(), tmp_path / "plain.pt")
    archive, _ = build_backbone("named-tiny", tmp_path / "archive.pt")
    plain, _ = build_backbone("named-tiny", tmp_path / "plain.pt")
    assert has_quick_gelu(archive)
    assert not has_quick_gelu(plain)
    assert (
        backbone_sha256(archive)
        == backbone_sha256(plain)
        == backbone_sha256(build_backbone(str(tmp_path / "plain.pt"))[0])
    )


def test_the_tag_openai_turns_quick_gelu_on(tmp_path, monkeypatch, tiny_backbone):
    """Without a network: the download is replaced by a file of random weights."""
    config = open_clip.get_model_config(tiny_backbone) | {"quick_gelu": False}
    (tmp_path / "tagged-tiny.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "tagged-tiny.json")
    save_file(open_clip.CLIP(**config).state_dict(), tmp_path / "weights.safetensors")
    tags = {"openai": {"quick_gelu": True}, "other": {"mean": (0, 0, 0)}}
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda name, tag: tags[tag])
    monkeypatch.setattr(open_clip, "download_pretrained", lambda tag: str(tmp_path / "weights.safetensors"))
    assert has_quick_gelu(build_backbone("tagged-tiny", "openai")[0])
    other, source = build_backbone("tagged-tiny", "other")
    assert not has_quick_gelu(other)
    assert other.visual.preprocess_cfg["mean"] == (0, 0, 0)
    assert source.title == "tagged-tiny with other"


class Malicious:
    def __reduce__(self):
        return print, ("unpickled",)


@pytest.mark.parametrize("content", ["text", "truncated", "pickle", "other tensors", "not tensors"])
def test_a_file_that_holds_no_clip_is_named(tmp_path, capsys, content):
    path = tmp_path / "weights.pt"
    if content == "text":
        path.write_text("hello")
    elif content == "truncated":
        torch.save(openai_state(), path)
        path.write_bytes(path.read_bytes()[:-5000])
    elif content == "pickle":
        path.write_bytes(pickle.dumps(Malicious()))
    else:
        torch.save({"a": torch.zeros(2)} if content == "other tensors" else [1, 2], path)
    with pytest.raises(BackboneError, match=r"weights\.pt") as caught:
        build_backbone(str(path))
    assert "\n" not in str(caught.value)
    assert "unpickled" not in capsys.readouterr().out


def test_weights_of_another_size_are_named(tmp_path, tiny_backbone):
    path = tmp_path / "weights.pt"
    torch.save(build_tiny().state_dict(), path)
    with pytest.raises(BackboneError, match=rf"weights.pt does not fit {tiny_backbone} \(.*\); check"):
        build_backbone(tiny_backbone, path)


def test_what_does_not_exist_is_named(tmp_path, tiny_backbone):
    with pytest.raises(BackboneError, match="unknown backbone 'ViT-Q-7'; expected"):
        build_backbone("ViT-Q-7")
    with pytest.raises(MissingFileError, match=r"nowhere/clip\.pt does not exist"):
        build_backbone("nowhere/clip.pt")
    with pytest.raises(
        MissingFileError, match=r"no-such-tag is neither a file nor a tag of ViT-B-32 .*laion2b_s34b_b79k"
    ):
        build_backbone("ViT-B-32", "no-such-tag")
    with pytest.raises(ConfigError, match="office-tiny brings its own weights"):
        build_backbone("office-tiny", "openai")


def test_a_model_with_other_token_ids_takes_ids_but_no_words(tmp_path):
    path = tmp_path / "small.pt"
    model = build_tiny(quick_gelu=True, vision_cfg={"head_width": 64}, text_cfg={"heads": 1, "vocab_size": 100})
    torch.save(model.state_dict(), path)
    clip = OpenDASCLIP.from_backbone(str(path))
    assert clip.encode_text(torch.tensor([[1, 5, 99]])).shape == (1, 32)
    with pytest.raises(BackboneError, match="knows 100 tokens"):
        clip.tokenize("a door")
    with pytest.raises(BackboneError, match="knows 100 tokens"):
        OpenDASCLIP.from_backbone(str(path), prompts=PromptConfig())


def test_a_rebuilt_token_table_keeps_stored_rows_and_repeats_the_others():
    ids, values = torch.tensor([3, 49407], dtype=torch.int32), torch.full((2, 8), 0.5, dtype=torch.float16)
    table = rebuild_token_table(ids, values, 49408, 8)
    assert table.dtype == torch.float32
    assert torch.equal(table[ids.long()], values.float())
    bare = rebuild_token_table(ids[:0], values[:0], 49408, 8)
    others = torch.ones(49408, dtype=torch.bool)
    others[ids.long()] = False
    assert torch.equal(table[others], bare[others])
    assert torch.equal(bare, bare.half().float())
    assert bare.std().item() == pytest.approx(0.02, rel=0.01)
    assert bare.abs().max() <= 0.03466
    first = np.random.PCG64(0).random_raw(1)[0]
    assert bare[0, 0].item() == np.float16((int(first) / 2**63 - 1) * 0.02 * np.sqrt(3))
    assert not torch.equal(bare, rebuild_token_table(ids[:0], values[:0], 49408, 8, seed=1))


@pytest.fixture
def office_tiny(tmp_path, monkeypatch) -> open_clip.CLIP:
    """A stand-in for the package's own files, written as the pre-training writes them; returns the model in them."""
    model = build_tiny(quick_gelu=True, **WIDE_HEADS).half()
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    rows = torch.tensor([320, 1125, 49407], dtype=torch.int32)
    state |= {"token_rows": rows, "token_values": state.pop("token_embedding.weight")[rows.long()].clone()}
    config = {
        "embed_dim": 32,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 32, "layers": 3, "width": 64, "patch_size": 16, "head_width": 64},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 3},
    }
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text(json.dumps(config))
    save_file(state, tmp_path / "tiny" / "weights.safetensors")
    monkeypatch.setattr(tiny_clips, "FOLDER", tmp_path / "tiny")
    return model


def test_office_tiny_is_read_from_the_packages_own_files(tmp_path, monkeypatch, office_tiny):
    loaded, source = build_backbone("office-tiny")
    stored = torch.tensor([320, 1125, 49407])
    assert torch.equal(loaded.token_embedding.weight[stored], office_tiny.token_embedding.weight[stored].float())
    assert torch.equal(loaded.visual.proj, office_tiny.visual.proj.float())
    assert has_quick_gelu(loaded)
    assert (source.name, source.pretrained, source.seed) == ("office-tiny", None, None)
    monkeypatch.setattr(tiny_clips, "FOLDER", tmp_path / "nowhere")
    with pytest.raises(MissingFileError, match=r"config\.json"):
        build_backbone("office-tiny")


def test_an_adapter_on_office_tiny_fits_the_same_weights_in_openais_format(tmp_path, office_tiny):
    clip = OpenDASCLIP.from_backbone("office-tiny", prompts=PromptConfig())
    clip.save_pretrained(tmp_path / "adapter")
    open_clip.convert_weights_to_fp16(clip.model)
    torch.save(clip.model.state_dict(), tmp_path / "openai.pt")
    loaded = OpenDASCLIP.from_pretrained(tmp_path / "adapter", pretrained=tmp_path / "openai.pt")
    images = pixels(loaded.model)
    with torch.no_grad():
        assert torch.equal(loaded.encode_image(images), clip.float().encode_image(images))


class Anything:
    """Some class of a training's own."""


def ovsegs(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What a checkpoint of OVSeg holds: CLIP with mask tokens among other modules."""
    clip = {**state, "visual.mask_embedding": torch.randn(3, 4, 8)}
    return {**{f"clip_adapter.clip_model.{k}": v for k, v in clip.items()}, "sem_seg_head.weight": torch.ones(2)}


@pytest.mark.parametrize("wrap", [lambda s: {"model": s}, lambda s: {"model": s, "iteration": 5}, lambda s: s])
@pytest.mark.parametrize("named", [False, True])
def test_the_clip_of_ovsegs_checkpoint_is_read_as_it_is_stored(tmp_path, tiny_backbone, wrap, named):
    state = build_backbone(tiny_backbone, seed=3)[0].state_dict() if named else openai_state()
    state = {key: value.float() + 1e-5 for key, value in state.items()}  # not of half precision
    file = tmp_path / "ovseg.pth"
    torch.save(wrap(ovsegs(state)), file)
    model, _ = build_backbone(tiny_backbone, file) if named else build_backbone(str(file))
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert has_quick_gelu(model)


def test_mask_tokens_are_left_out_of_a_file_that_clip_load_rounds(tmp_path):
    state = openai_state()
    torch.save(state, tmp_path / "plain.pt")
    torch.save({**state, "visual.mask_embedding": torch.randn(3, 4, 8)}, tmp_path / "masks.pt")
    plain, masks = (build_backbone(str(tmp_path / name))[0] for name in ("plain.pt", "masks.pt"))
    assert backbone_sha256(plain) == backbone_sha256(masks)


def test_a_training_checkpoint_is_read_with_its_namespace_which_is_not_executed(tmp_path, monkeypatch):
    state = openai_state()
    arguments = argparse.Namespace(lr=0.1, name="run", nested=argparse.Namespace(epochs=5))
    training = {"epoch": 3, "args": arguments, "loss": np.float64(0.5), "optimizer": {"state": {}}}
    torch.save({**training, "state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "training.pt")
    torch.save(state, tmp_path / "plain.pt")
    monkeypatch.setattr(argparse.Namespace, "__init__", lambda *given, **named: pytest.fail("executed"))
    plain, read = (build_backbone(str(tmp_path / name))[0] for name in ("plain.pt", "training.pt"))
    assert backbone_sha256(read) == backbone_sha256(plain)
    assert not any(isinstance(kind, type) and kind.__name__ == "Namespace" for kind in get_safe_globals())


def test_a_training_checkpoint_with_another_class_is_refused(tmp_path):
    torch.save({"args": Anything(), "state_dict": openai_state()}, tmp_path / "training.pt")
    with pytest.raises(BackboneError, match="could not be read as weights"):
        build_backbone(str(tmp_path / "training.pt"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.to(torch.int8), "visual.proj holds torch.int8, which no weights are"),
        (lambda t: t.to(torch.complex64), "visual.proj holds torch.complex64"),
        (lambda t: t * torch.nan, "visual.proj holds values that are no numbers"),
    ],
)
def test_weights_that_are_no_finite_numbers_are_refused(tmp_path, change, said) -> None:
    state = openai_state()
    state["visual.proj"] = change(state["visual.proj"].float())
    torch.save(state, tmp_path / "odd.pt")
    with pytest.raises(BackboneError, match=said):
        build_backbone(str(tmp_path / "odd.pt"))
