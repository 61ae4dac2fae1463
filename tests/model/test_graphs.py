"""Compiled, exported and ONNX towers of every kind of adapter, against the same in Python."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from opendas_plugin.errors import AdapterError, ConfigError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import BackboneConfig, Interpolation, PromptConfig, WeightConfig
from opendas_plugin.model.graphs import ImageGraph, TextGraph, baked
from opendas_plugin.model.onnx_format import save_onnx
from tests.model.families import token_ids
from tests.model.models import TEXTS, build_tiny, close

BATCH = torch.export.Dim.DYNAMIC
SLOW = pytest.mark.slow
NONE = PromptConfig(visual_tokens=0, text_tokens=0)
MIXED = ["a photo of a red door.", "window", *TEXTS]  # learnt tokens replace words, and are inserted
KINDS = {
    "plain": (None, None),
    "tokens": (PromptConfig(text_depth=1), None),
    "coupled": (PromptConfig(visual_tokens=2, text_tokens=2, form="coupled"), None),
    "read_only": (PromptConfig(visual_tokens=2, text_tokens=2, form="read_only"), None),
    "low_rank": (NONE, WeightConfig(visual="low_rank", text="low_rank_all")),
    "joined": (NONE, WeightConfig(visual="norm_bias+low_rank_mlp_out", text="norm", rank=1)),
    "both": (PromptConfig(), WeightConfig(visual="all", text="norm_bias", mix=0.5)),
}


@pytest.fixture(autouse=True)
def no_traces_of_torch():
    logging.getLogger("torch").setLevel(logging.ERROR)
    torch._dynamo.reset()


def build(kind: str) -> OpenDASCLIP:
    """A CLIP of two layers in each tower whose adapter is away from its start."""
    model = build_tiny(vision_cfg={"layers": 2}, text_cfg={"layers": 2})
    clip = OpenDASCLIP(model, BackboneConfig("ViT-B-32"), *KINDS[kind])
    with torch.no_grad():
        for tensor in clip.prompt_parameters():
            tensor.add_(0.2 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)))
    return clip.requires_grad_(False)


def towers(clip: OpenDASCLIP):
    """Each tower as a module, its inputs, and fewer of them."""
    pixels, ids = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(2)), clip.tokenize(MIXED)
    return [(ImageGraph(clip), pixels, pixels[:2]), (TextGraph(clip), ids, ids[1:3])]


@torch.no_grad()
def check(found, tower, *inputs) -> None:
    for one in inputs:
        assert close(found(one), tower(one))


QUICK_OR_SLOW = [kind if kind in ("tokens", "joined") else pytest.param(kind, marks=SLOW) for kind in KINDS]


@pytest.mark.parametrize("kind", QUICK_OR_SLOW)
def test_both_towers_are_exported_with_any_batch(kind):
    for tower, inputs, fewer in towers(build(kind)):
        found = torch.export.export(tower, (inputs,), dynamic_shapes=({0: BATCH},), strict=False)
        check(found.module(), tower, inputs, fewer)


def test_a_text_tower_of_tokens_and_weights_is_compiled_without_a_break():
    tower, inputs, fewer = towers(build("both"))[1]
    check(torch.compile(tower, dynamic=True, fullgraph=True, backend="eager"), tower, inputs, fewer)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_both_towers_are_compiled_and_exported_strictly(kind):
    for tower, inputs, fewer in towers(build(kind)):
        check(torch.compile(tower, dynamic=True, fullgraph=True), tower, inputs, fewer)
        found = torch.export.export(tower, (inputs,), dynamic_shapes=({0: BATCH},), strict=True)
        check(found.module(), tower, inputs, fewer)


def test_the_text_tower_is_exported_with_any_length_and_refuses_what_does_not_fit():
    clip = build("tokens")
    tower, ids, _ = towers(clip)[1]
    shapes = ({0: BATCH, 1: torch.export.Dim("length", min=5, max=77)},)
    found = torch.export.export(tower, (ids[:, :40].clone(),), dynamic_shapes=shapes, strict=False).module()
    check(found, tower, ids, ids[:, :30].clone())
    long = clip.tokenizer(["door " * 80])
    with pytest.raises(ValueError, match="the context holds 77"):
        clip.encode_text(long)
    with pytest.raises(RuntimeError, match="does not fit the context of 77 tokens"):
        found(long)


@pytest.mark.slow
def test_a_compiled_clip_itself_answers_as_before():
    clip = build("tokens")
    encode = torch.compile(clip.encode_text, backend="eager")
    with torch.no_grad():
        assert close(encode(clip.tokenize(MIXED)), clip.encode_text(clip.tokenize(MIXED)))


def test_tracing_by_torch_jit_is_refused_for_texts():
    tower, ids, _ = towers(build("plain"))[1]
    with pytest.raises(ConfigError, match=r"torch.jit.trace would keep the lengths"):
        torch.jit.trace(tower, ids)


def test_baked_weights_are_the_adapters_and_shares_of_plain_clip_stay():
    clip = build("both")
    pixels = torch.randn(2, 3, 32, 32)
    for visual in (1.0, 0.4):
        clip.interpolate(visual=visual)
        twin = baked(clip)
        kept = [name for name in twin.learnt_state() if "weights" in name]
        assert bool(kept) == (clip.config.interpolation != Interpolation())
        with torch.no_grad():
            assert close(twin.encode_image(pixels), clip.encode_image(pixels))


def session(path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("kind", ["tokens", *(pytest.param(kind, marks=SLOW) for kind in KINDS if kind != "tokens")])
def test_onnxruntime_gives_the_cosines_of_the_adapter(tmp_path, kind):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    clip = build(kind)
    save_onnx(clip, tmp_path / "graphs", {})
    image, text = (session(tmp_path / "graphs" / f"{name}.onnx") for name in ("image", "text"))
    pixels, ids = torch.randn(5, 3, 32, 32), clip.tokenize(MIXED)
    with torch.no_grad():
        expected = clip.encode_image(pixels, normalize=True) @ clip.encode_text(ids, normalize=True).T
    for count, length in ((1, 77), (5, 30)):
        (images,) = image.run(None, {"pixels": pixels[:count].numpy()})
        (names,) = text.run(None, {"ids": ids[:, :length].numpy()})
        assert np.abs(images @ names.T - expected[:count].numpy()).max() <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tokens", "both"])
def test_half_precision_rounds_weights_and_nothing_else_at_half_the_size(tmp_path, kind):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    clip = build(kind)
    save_onnx(clip, tmp_path / "fp32", {})
    save_onnx(clip, tmp_path / "fp16", {}, precision="fp16")
    twin, pixels, ids = baked(clip), torch.randn(5, 3, 32, 32), clip.tokenize(MIXED)
    with torch.no_grad():
        for weight in twin.parameters():
            if weight.ndim > 1 and weight.numel() >= 4096:
                weight.copy_(weight.half())
        expected = twin.encode_image(pixels, normalize=True) @ twin.encode_text(ids, normalize=True).T
        before = clip.encode_image(pixels, normalize=True) @ clip.encode_text(ids, normalize=True).T
    image, text = (session(tmp_path / "fp16" / f"{name}.onnx") for name in ("image", "text"))
    for count in (1, 5):
        (images,) = image.run(None, {"pixels": pixels[:count].numpy()})
        (names,) = text.run(None, {"ids": ids.numpy()})
        assert images.dtype == names.dtype == np.float32
        assert max(np.abs(np.linalg.norm(one, axis=1) - 1).max() for one in (images, names)) < 1e-6
        assert np.abs(images @ names.T - expected[:count].numpy()).max() < 1e-5
        assert np.abs(images @ names.T - before[:count].numpy()).max() < 1e-3  # the weights' own rounding
    sizes = [(tmp_path / form / "text.onnx").stat().st_size for form in ("fp16", "fp32")]
    assert sizes[0] < 0.55 * sizes[1]


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [0, 2])
def test_texts_that_read_their_padding_are_exported_at_their_whole_length(
    tmp_path, family_names, tokenizer_folders, tokens
):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    if tokens:
        prompts = PromptConfig(visual_tokens=tokens, text_tokens=tokens, text_depth=1)
        words = tokenizer_folders["siglip"]
        clip = OpenDASCLIP.from_backbone(family_names["siglip"], prompts=prompts, prompt_seed=1, tokenizer=words)
    else:
        clip = OpenDASCLIP.from_backbone(family_names["siglip"], weights=WeightConfig(visual="norm", text="low_rank"))
    save_onnx(clip, tmp_path / "graphs", {})
    ids = token_ids("siglip")
    (found,) = session(tmp_path / "graphs" / "text.onnx").run(None, {"ids": ids.numpy()})
    with torch.no_grad():
        assert close(torch.from_numpy(found), clip.encode_text(ids, normalize=True))


def test_an_adapter_whose_texts_depend_on_the_image_has_no_graphs(tmp_path):
    conditional = PromptConfig(visual_tokens=0, text_tokens=4, text_depth=1, form="conditional")
    clip = OpenDASCLIP(build_tiny(), BackboneConfig("ViT-B-32"), conditional)
    with pytest.raises(AdapterError, match="depend on the image, so there are no two graphs"):
        save_onnx(clip, tmp_path / "graphs", {})
    assert not (tmp_path / "graphs").exists()
