"""``encode_dense`` against SCLIP's and MaskCLIP's own code; ``HOSTS_ROOT`` names a folder of their checkouts."""

from __future__ import annotations

import ast
import os
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import open_clip
import pytest
import torch

from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig

HOSTS = Path(os.environ.get("HOSTS_ROOT", "/nonexistent"))
SCLIP, MASKCLIP = HOSTS / "SCLIP/clip/model.py", HOSTS / "MaskCLIP/mmseg/models/backbones/vit.py"
IDENTITY = PromptConfig(visual_tokens=0, text_tokens=0)

pytestmark = pytest.mark.slow


@pytest.fixture
def clip(tmp_path) -> OpenDASCLIP:
    """A ViT-B-16 of three layers, as OpenAI's package saves it."""
    torch.manual_seed(0)
    vision = {"image_size": 224, "layers": 3, "width": 768, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 512, "width": 64, "heads": 1, "layers": 1}
    model = open_clip.CLIP(512, vision, text, quick_gelu=True)
    torch.save(model.state_dict(), tmp_path / "clip.pt")
    return OpenDASCLIP.from_backbone(str(tmp_path / "clip.pt"), prompts=IDENTITY)


@pytest.mark.skipif(not SCLIP.is_file(), reason="HOSTS_ROOT names no folder with a checkout of SCLIP")
@pytest.mark.parametrize("size", [(224, 224), (224, 320), (336, 336)])
@torch.no_grad()
def test_patch_features_are_those_of_sclips_own_call(clip, size) -> None:
    state = {name: value for name, value in clip.model.state_dict().items() if name != "attn_mask"}
    theirs = runpy.run_path(str(SCLIP))["build_model"](dict(state)).float()  # which rounds them
    theirs.load_state_dict(state)
    pixels = torch.randn(1, 3, *size)
    found = clip.encode_dense(pixels).flatten(1, 2)
    expected = theirs.encode_image(pixels, return_all=True, csa=True)[:, -found.shape[1] :]
    print(f"\nSCLIP, {size}: {(found - expected).abs().max():.1e}")
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.skipif(not MASKCLIP.is_file(), reason="HOSTS_ROOT names no folder with a checkout of MaskCLIP")
@torch.no_grad()
def test_patch_features_are_those_of_maskclips_last_layer(clip) -> None:
    """Its own function of a layer, whose modules of mmcv are open_clip's here."""
    layer = next(
        node
        for node in ast.parse(MASKCLIP.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "TransformerEncoderLayer"
    )
    forward = next(node for node in layer.body if isinstance(node, ast.FunctionDef) and node.name == "forward")
    space: dict[str, Any] = {"F": torch.nn.functional}
    exec(compile(ast.Module([forward], []), str(MASKCLIP), "exec"), space)
    visual: Any = clip.model.visual
    *_, block = visual.transformer.resblocks
    heard: list[torch.Tensor] = []
    block.register_forward_pre_hook(lambda module, inputs: heard.append(inputs[0]))
    pixels = torch.randn(2, 3, 224, 224)
    clip.model.encode_image(pixels)

    class Attention:
        attn = block.attn

        def __call__(self, x, identity):
            return identity + self.attn(x, x, x, need_weights=False)[0]

    host = SimpleNamespace(norm1=block.ln_1, norm2=block.ln_2, attn=Attention())
    host.ffn = lambda x, identity: identity + block.mlp(x)
    _, _, _, values = space["forward"](host, heard[0], return_qkv=True)
    expected = visual.ln_post(values)[:, 1:] @ visual.proj
    found = clip.encode_dense(pixels, attention="value").flatten(1, 2)
    print(f"\nMaskCLIP: {(found - expected).abs().max():.1e}")
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
