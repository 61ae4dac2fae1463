"""Features of patches from one pass: by open_clip's own modules and attention written out."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import BackboneError, ConfigError, DataError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig, WeightConfig

SIZES = [(32, 32), (32, 64), (80, 48)]


def heads_of(x: torch.Tensor, count: int) -> torch.Tensor:
    return x.unflatten(-1, (count, -1)).transpose(1, 2)


def positions(table: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """As SCLIP's code makes them."""
    side = int((len(table) - 1) ** 0.5)
    if rows == columns == side:
        return table
    grid = table[1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    factor = ((rows + 0.1) / side, (columns + 0.1) / side)
    grid = torch.nn.functional.interpolate(grid, scale_factor=factor, mode="bicubic")
    assert grid.shape[-2:] == (rows, columns)
    return torch.cat([table[:1], grid.permute(0, 2, 3, 1).reshape(rows * columns, -1)])


@torch.no_grad()
def reference(visual, pixels: torch.Tensor, attention: str, tokens: torch.Tensor | None = None) -> torch.Tensor:
    """(B, 1 + h * w, D): learnt tokens stand beside the patches in each layer, and are thrown away behind it."""
    x = visual.conv1(pixels)
    rows, columns = x.shape[-2:]
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], dim=1)
    x = visual.ln_pre(x + positions(visual.positional_embedding, rows, columns))
    *earlier, last = visual.transformer.resblocks
    count = x.shape[1]

    def beside(x: torch.Tensor, layer: int) -> torch.Tensor:
        if tokens is None:
            return x
        own = visual.ln_pre(tokens[layer]) if layer == 0 else tokens[layer]
        return torch.cat([x, own.expand(len(x), -1, -1)], dim=1)

    for layer, block in enumerate(earlier):
        x = block(beside(x, layer))[:, :count]
    h = last.ln_1(beside(x, len(earlier)))
    q, k, v = torch.nn.functional.linear(h, last.attn.in_proj_weight, last.attn.in_proj_bias).chunk(3, dim=-1)
    q, k, v = (heads_of(part, last.attn.num_heads) for part in (q, k, v))
    scale = q.shape[-1] ** -0.5
    similar = {name: (a @ b.transpose(-1, -2) * scale).softmax(-1) for name, a, b in
               (("qq", q, q), ("kk", k, k), ("qk", q, k))}  # fmt: skip
    similar |= {"value": torch.eye(h.shape[1]), "qq+kk": similar["qq"] + similar["kk"]}
    found = (similar[attention] @ v).transpose(1, 2).flatten(2)[:, :count]
    x = x + last.attn.out_proj(found)
    x = x + last.mlp(last.ln_2(x))
    return visual.ln_post(x) @ visual.proj


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("attention", ["qq+kk", "value", "qq", "kk", "qk"])
@pytest.mark.parametrize("adapted", [False, True])
def test_patch_features_equal_those_written_out(tiny_backbone, size, attention, adapted) -> None:
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig(init_std=0.5) if adapted else None)
    pixels = torch.randn(2, 3, *size)
    tokens = clip.visual_prompts.tokens.detach() if adapted else None
    expected = reference(clip.model.visual, pixels, attention, tokens)[:, 1:]
    with torch.no_grad():
        found = clip.encode_dense(pixels, attention=attention)
        assert found.shape == (2, size[0] // 16, size[1] // 16, 32)
        torch.testing.assert_close(found.flatten(1, 2), expected, atol=1e-5, rtol=0)
        with clip.prompts_disabled():
            plain = reference(clip.model.visual, pixels, attention)[:, 1:]
            torch.testing.assert_close(clip.encode_dense(pixels, attention=attention).flatten(1, 2), plain)
        norms = clip.encode_dense(pixels, attention=attention, normalize=True).norm(dim=-1)
        torch.testing.assert_close(norms, torch.ones_like(norms))


@torch.no_grad()
def test_learnt_weights_and_shares_are_at_work(tiny_backbone) -> None:
    clip = OpenDASCLIP.from_backbone(tiny_backbone, weights=WeightConfig(visual="norm_bias"))
    for parameter in clip.prompt_parameters():
        parameter.add_(0.3)
    pixels = torch.randn(1, 3, 32, 64)
    merged = OpenDASCLIP.from_backbone(tiny_backbone)
    plain = merged.encode_dense(pixels, normalize=True)
    for name, value in clip.merged_weights().items():
        merged.model.get_parameter(name).copy_(value)
    adapted = merged.encode_dense(pixels, normalize=True)
    torch.testing.assert_close(clip.encode_dense(pixels, normalize=True), adapted)
    assert (adapted - plain).abs().max() > 1e-2
    clip.interpolate(visual=0.25)
    expected = unit(0.25 * adapted + 0.75 * plain, dim=-1)
    torch.testing.assert_close(clip.encode_dense(pixels, normalize=True), expected)


def test_what_it_cannot_do_is_said(tiny_backbone, family_names) -> None:
    clip = OpenDASCLIP.from_backbone(tiny_backbone)
    with pytest.raises(DataError, match="multiples of the patch, 16, got 32x40"):
        clip.encode_dense(torch.zeros(1, 3, 32, 40))
    with pytest.raises(DataError, match=r"expected pixels of shape \(B, 3, H, W\)"):
        clip.encode_dense(torch.zeros(3, 32, 32))
    with pytest.raises(ConfigError, match="expected attention to be one of value"):
        clip.encode_dense(torch.zeros(1, 3, 32, 32), attention="vv")  # type: ignore[arg-type]
    pairs = dataclasses.replace(PromptConfig(), visual_tokens=4, form="read_only")
    with pytest.raises(BackboneError, match="read-only"):
        OpenDASCLIP.from_backbone(tiny_backbone, prompts=pairs).encode_dense(torch.zeros(1, 3, 32, 32))
    other = next(name for name in family_names.values() if OpenDASCLIP.from_backbone(name).towers.visual.no_grid)
    with pytest.raises(BackboneError, match="has no features of patches"):
        OpenDASCLIP.from_backbone(other).encode_dense(torch.zeros(1, 3, 32, 32))
