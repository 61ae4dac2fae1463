"""Writing a CLIP as OpenAI's package reads it: a TorchScript archive of tensors, matrices in half precision."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import open_clip
import torch
from open_clip.model import convert_weights_to_fp16
from open_clip.transformer import QuickGELU
from torch import nn

from opendas_plugin.crops import OPENAI_PIXELS, PixelFormat
from opendas_plugin.errors import BackboneError
from opendas_plugin.files import atomic_file
from opendas_plugin.model.checkpoint import build_backbone
from opendas_plugin.model.towers.facts import OWN_TOKENIZER, tokenizer_name
from opendas_plugin.model.towers.find import find_towers
from opendas_plugin.model.towers.parts import text_blocks, visual_blocks

HEAD_WIDTH = 64
"""OpenAI's format does not store the number of heads: its reader takes one for every 64 values of a tower's width."""


def save_openai_clip(
    name: str,
    path: str | Path,
    pretrained: str | Path | None = None,
    *,
    seed: int = 0,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Writes a backbone as one file that ``clip.load(path)`` reads, as OVSeg and OpenMask3D do.

    Convolutions, matrices and projections are rounded to half precision, as in OpenAI's own archives; ``office-tiny``
    is stored in half precision, so for it nothing changes.

    Args:
        name: as in :func:`~opendas_plugin.model.checkpoint.build_backbone`.
        path: the file to write, whole or not at all.
        pretrained: likewise.
        seed: likewise.
        weights: tensors to write in the place of the backbone's of the same names, such as merged ones.

    Raises:
        BackboneError: the model cannot be said in OpenAI's format.
        OutputError: the file cannot be written.
    """
    model, _ = build_backbone(name, pretrained, seed=seed)
    if lacking := _lacking(model, name):
        raise BackboneError(
            f"{name} cannot be written in OpenAI's format: it lacks {lacking}; export it with `to` open-clip or "
            "`to` transformers, which say such things, or with `to` onnx"
        )
    model.load_state_dict(dict(weights or {}), strict=False)
    convert_weights_to_fp16(model)
    sizes = {
        "input_resolution": model.visual.image_size[0],
        "context_length": model.context_length,
        "vocab_size": model.vocab_size,
    }
    tensors = dict(model.state_dict()) | {key: torch.tensor(value) for key, value in sizes.items()}
    with atomic_file(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces TorchScript's end; clip.load reads nothing else by path
        torch.jit.trace(_Tensors(tensors), torch.zeros(1)).save(str(temporary))


def _lacking(model: nn.Module, name: str) -> str | None:
    if not isinstance(model, open_clip.CLIP):
        return f"text modules at the top level (it is a {type(model).__name__})"
    towers = find_towers(model)
    if lacking := towers.visual.no_readers or towers.text.no_readers:
        return lacking
    blocks = [*visual_blocks(model), *text_blocks(model)]
    if any(block.attn.embed_dim != HEAD_WIDTH * block.attn.num_heads for block in blocks):
        return f"heads of width {HEAD_WIDTH} in both towers"
    if not all(isinstance(block.mlp.gelu, QuickGELU) for block in blocks):
        return "QuickGELU in both towers, which clip.load's models have whatever a file says"
    pixels = model.visual.preprocess_cfg
    if PixelFormat(tuple(pixels["mean"]), tuple(pixels["std"]), pixels["interpolation"]) != OPENAI_PIXELS:
        return "OpenAI's pixel mean, standard deviation and interpolation, which clip.load's preprocessing has"
    if pixels["resize_mode"] != "shortest" or tokenizer_name(name) != OWN_TOKENIZER:
        return "OpenAI's resizing and tokenizer, which clip.load brings"
    return None


class _Tensors(nn.Module):
    """Tensors under dotted names, as the submodules of OpenAI's archives hold them."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        for name in dict.fromkeys(key.split(".")[0] for key in tensors if "." in key):
            inner = {key.removeprefix(f"{name}."): v for key, v in tensors.items() if key.startswith(f"{name}.")}
            self.add_module(name, _Tensors(inner))
        for name, value in tensors.items():
            if "." not in name:
                self.register_buffer(name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Does nothing: an archive needs a function, its readers take the tensors."""
        return x
