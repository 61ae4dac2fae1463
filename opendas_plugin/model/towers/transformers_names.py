"""What the tensors of open_clip's models are called in transformers' ``CLIPModel`` and ``SiglipModel``, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from open_clip.transformer import VisionTransformer

from opendas_plugin.model.towers.parts import OpenCLIP, pool_type, text_module

Kind: TypeAlias = Literal["clip", "siglip"]
"""transformers' ``model_type`` of ``CLIPModel`` and of ``SiglipModel``."""
Part: TypeAlias = tuple[str, int]
"""A tensor's name, and its share of the rows of all parts."""
Change: TypeAlias = Literal["same", "transposed", "batched", "scalar"]

_LINEAR = ("weight", "bias")
_QKV = ("q", "k", "v")


@dataclass(frozen=True)
class _Pair:
    """Tensors that hold the same numbers: ours and theirs are each laid on top of one another, in this order."""

    ours: tuple[Part, ...]
    theirs: tuple[Part, ...]
    change: Change = "same"
    """transposed: ours is; batched: ours has a first axis of 1 more; scalar: theirs may have an axis of 1."""


def kind_of(model: OpenCLIP) -> Kind | None:
    """The class of transformers whose forward an open_clip model has, as far as its modules tell; None: neither."""
    visual, text = model.visual, text_module(model)
    if not hasattr(text, "token_embedding"):
        return None
    causal = text.attn_mask is not None
    if isinstance(visual, VisionTransformer):
        plain = visual.attn_pool is None and visual.pool_type == "tok"
        return "clip" if plain and causal and pool_type(text) in ("argmax", "eos") else None
    trunk = getattr(visual, "trunk", None)
    pools = getattr(trunk, "attn_pool", None) is not None and getattr(trunk, "cls_token", 0) is None
    return "siglip" if pools and not causal and pool_type(text) == "last" else None


def to_transformers(tensors: Mapping[str, torch.Tensor], kind: Kind) -> dict[str, torch.Tensor]:
    """Tensors of an open_clip model, as :func:`~.checkpoint.plain_name` names them, under transformers' names.

    Raises:
        KeyError: one that is lacking; its name is the first argument.
        ValueError: some that there is no place for.
    """
    tensors = dict(tensors)
    if kind == "siglip" and "text_projection.weight" not in tensors:  # theirs has one always
        width = tensors["ln_final.weight"].shape[0]
        tensors |= {"text_projection.weight": torch.eye(width), "text_projection.bias": torch.zeros(width)}

    def change(tensor: torch.Tensor, how: Change) -> torch.Tensor:
        if how == "scalar":
            return tensor.reshape(1) if kind == "siglip" else tensor
        return tensor.T if how == "transposed" else tensor[0] if how == "batched" else tensor

    pairs = ((pair.ours, pair.theirs, pair.change) for pair in _pairs(kind, *_depths(tensors, _OURS)))
    return _translated(tensors, pairs, change)


def to_open_clip(tensors: Mapping[str, torch.Tensor], kind: Kind) -> dict[str, torch.Tensor]:
    """Undoes :func:`to_transformers`; its errors are the same."""
    tensors = {key: value for key, value in tensors.items() if not key.endswith("position_ids")}  # 0, 1, 2, ...

    def change(tensor: torch.Tensor, how: Change) -> torch.Tensor:
        if how == "scalar":
            return tensor.reshape(())
        return tensor.T if how == "transposed" else tensor[None] if how == "batched" else tensor

    pairs = ((pair.theirs, pair.ours, pair.change) for pair in _pairs(kind, *_depths(tensors, _THEIRS)))
    return _translated(tensors, pairs, change)


_OURS = (r"visual\.(?:transformer\.resblocks|trunk\.blocks)\.(\d+)\.", r"transformer\.resblocks\.(\d+)\.")
_THEIRS = (r"vision_model\.encoder\.layers\.(\d+)\.", r"text_model\.encoder\.layers\.(\d+)\.")


def _depths(tensors: Mapping[str, torch.Tensor], patterns: tuple[str, str]) -> tuple[int, int]:
    """Layers of the visual and of the text tower."""
    found = ([re.match(pattern, key) for key in tensors] for pattern in patterns)
    visual, text = (len({match[1] for match in matches if match}) for matches in found)
    return visual, text


def _translated(
    tensors: dict[str, torch.Tensor],
    pairs: Iterable[tuple[tuple[Part, ...], tuple[Part, ...], Change]],
    change: Callable[[torch.Tensor, Change], torch.Tensor],
) -> dict[str, torch.Tensor]:
    """Tensors under other names; of each of the ``pairs`` the first are taken, and all have to be."""
    left = dict(tensors)
    found: dict[str, torch.Tensor] = {}
    for source, target, how in pairs:
        parts = [left.pop(name) for name, _ in source]
        whole = change(torch.cat(parts) if len(parts) > 1 else parts[0], how)
        shares = [share for _, share in target]
        rows = whole.split([len(whole) * share // sum(shares) for share in shares]) if len(target) > 1 else (whole,)
        found |= {name: own.contiguous() for (name, _), own in zip(target, rows, strict=True)}
    if left:
        raise ValueError(", ".join(sorted(left)[:3]))
    return found


def _pairs(kind: Kind, visual_depth: int, text_depth: int) -> Iterator[_Pair]:
    """All tensors of a model."""
    yield _Pair((("logit_scale", 1),), (("logit_scale", 1),), "scalar")
    yield from (_clip_visual(visual_depth) if kind == "clip" else _siglip_visual(visual_depth))
    for ours, theirs in (
        ("token_embedding.weight", "embeddings.token_embedding.weight"),
        ("positional_embedding", "embeddings.position_embedding.weight"),
    ):
        yield _Pair(((ours, 1),), ((f"text_model.{theirs}", 1),))
    yield from _same("ln_final", "text_model.final_layer_norm")
    for layer in range(text_depth):
        yield from _block(f"transformer.resblocks.{layer}", f"text_model.encoder.layers.{layer}")
    if kind == "clip":
        yield _Pair((("text_projection", 1),), (("text_projection.weight", 1),), "transposed")
    else:
        yield from _same("text_projection", "text_model.head")
        yield _Pair((("logit_bias", 1),), (("logit_bias", 1),), "scalar")


def _clip_visual(depth: int) -> Iterator[_Pair]:
    for ours, theirs in (
        ("class_embedding", "embeddings.class_embedding"),
        ("conv1.weight", "embeddings.patch_embedding.weight"),
        ("positional_embedding", "embeddings.position_embedding.weight"),
    ):
        yield _Pair(((f"visual.{ours}", 1),), ((f"vision_model.{theirs}", 1),))
    yield from _same("visual.ln_pre", "vision_model.pre_layrnorm")  # so it is spelt there
    yield from _same("visual.ln_post", "vision_model.post_layernorm")
    for layer in range(depth):
        yield from _block(f"visual.transformer.resblocks.{layer}", f"vision_model.encoder.layers.{layer}")
    yield _Pair((("visual.proj", 1),), (("visual_projection.weight", 1),), "transposed")


def _siglip_visual(depth: int) -> Iterator[_Pair]:
    ours, theirs = "visual.trunk", "vision_model"
    yield from _same(f"{ours}.patch_embed.proj", f"{theirs}.embeddings.patch_embedding")
    yield _Pair(((f"{ours}.pos_embed", 1),), ((f"{theirs}.embeddings.position_embedding.weight", 1),), "batched")
    yield from _same(f"{ours}.norm", f"{theirs}.post_layernorm")
    for layer in range(depth):
        own, other = f"{ours}.blocks.{layer}", f"{theirs}.encoder.layers.{layer}"
        names = {"norm1": "layer_norm1", "norm2": "layer_norm2", "attn.proj": "self_attn.out_proj"}
        names |= {"mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
        for name, another in names.items():
            yield from _same(f"{own}.{name}", f"{other}.{another}")
        for end in _LINEAR:
            stacked = tuple((f"{other}.self_attn.{one}_proj.{end}", 1) for one in _QKV)
            yield _Pair(((f"{own}.attn.qkv.{end}", 1),), stacked)
    own, other = f"{ours}.attn_pool", f"{theirs}.head"
    yield _Pair(((f"{own}.latent", 1),), ((f"{other}.probe", 1),))
    for end in _LINEAR:
        yield _Pair(((f"{own}.q.{end}", 1), (f"{own}.kv.{end}", 2)), ((f"{other}.attention.in_proj_{end}", 1),))
    names = {"proj": "attention.out_proj", "norm": "layernorm", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
    for name, another in names.items():
        yield from _same(f"{own}.{name}", f"{other}.{another}")


def _block(ours: str, theirs: str) -> Iterator[_Pair]:
    """A layer of open_clip's own."""
    names = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj"}
    names |= {"mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
    for name, another in names.items():
        yield from _same(f"{ours}.{name}", f"{theirs}.{another}")
    for end in _LINEAR:
        stacked = tuple((f"{theirs}.self_attn.{one}_proj.{end}", 1) for one in _QKV)
        yield _Pair(((f"{ours}.attn.in_proj_{end}", 1),), stacked)


def _same(ours: str, theirs: str) -> Iterator[_Pair]:
    for end in _LINEAR:
        yield _Pair(((f"{ours}.{end}", 1),), ((f"{theirs}.{end}", 1),))
