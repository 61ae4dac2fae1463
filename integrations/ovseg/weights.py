"""Learnt weights in OVSeg's CLIP: which of its tensors they stand in for, and a CLIP that has them.

An adapter stores what was learnt in the order of the backbone's weights, without their names; :func:`tower_names` is
that order, the one of open_clip's ``CLIP``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from integrations.ovseg.errors import OVSegError
from integrations.ovseg.model import Clip

BEFORE = {
    "visual": ("class_embedding", "positional_embedding", "proj", "conv1.weight", "ln_pre.weight", "ln_pre.bias"),
    "text": ("positional_embedding", "text_projection"),
}
LAYER = (
    "ln_1.weight", "ln_1.bias", "attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj.weight",
    "attn.out_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight",
    "mlp.c_proj.bias",
)  # fmt: skip
BEHIND = {
    "visual": ("ln_post.weight", "ln_post.bias"),
    "text": ("token_embedding.weight", "ln_final.weight", "ln_final.bias"),
}
MATRICES = {
    "low_rank": "in_proj_weight",
    "low_rank_mlp_out": "mlp.c_proj.weight",
    "low_rank_all": "weight",
}
"""How the names end of the matrices that a kind of low-rank update moves."""


def tower_names(clip_model: Clip, tower: str) -> list[str]:
    """Returns the names of a tower's weights, in the order in which adapters store what stands in for them."""
    prefix = "visual." if tower == "visual" else ""
    transformer = clip_model.visual.transformer if tower == "visual" else clip_model.transformer
    layers = [f"transformer.resblocks.{layer}.{name}" for layer in range(len(transformer.resblocks)) for name in LAYER]
    return [prefix + name for name in (*BEFORE[tower], *layers, *BEHIND[tower])]


def merge(
    clip_model: Clip, learnt: Mapping[str, torch.Tensor], config: Mapping[str, Any], tower: str
) -> dict[str, torch.Tensor]:
    """Merges what was learnt in one tower into a CLIP's weights, as ``opendas_plugin`` does.

    Args:
        clip_model: OVSeg's; it stays as it is.
        learnt: an adapter's tensors by name.
        config: its ``weights``: the kind of each tower, rank, alpha and mix.
        tower: visual or text.

    Returns:
        the merged tensors by their names in the CLIP, of its types and on its device.

    Raises:
        OVSegError: a tensor is missing or has another shape than the CLIP's.
    """
    merged, kinds = {}, config[tower].split("+")
    for place, kind in enumerate(kinds):
        prefix = f"{tower}_weights." + (f"parts.{place}." if len(kinds) > 1 else "")
        part = {key[len(prefix) :]: value for key, value in learnt.items() if key.startswith(prefix)}
        names = list(_names_of(clip_model, tower, kind))
        expected = {f"{field}.{i}" for field in (("down", "up") if kind in MATRICES else ("values",))
                    for i in range(len(names))}  # fmt: skip
        if part.keys() != expected:
            odd = sorted(part.keys() ^ expected)[0]
            raise OVSegError(
                f"the adapter's weights of the {tower} tower are not those of a {kind} update of OVSeg's CLIP, which "
                f"has {len(names)} such tensors ({prefix}{odd} is {'missing' if odd in expected else 'too many'}); "
                "use an adapter that was learnt on OVSeg's CLIP"
            )
        for i, name in enumerate(names):
            frozen = _tensor(clip_model, name)
            if kind in MATRICES:
                new = _low_rank(frozen, part[f"down.{i}"], part[f"up.{i}"], config, name)
            else:
                new = _whole(frozen, part[f"values.{i}"], config["mix"], name)
            merged[name] = new.to(frozen.dtype)
    return merged


def is_learnt(config: Mapping[str, Any] | None, tower: str) -> bool:
    """Whether an adapter's ``weights`` have learnt ones in a tower."""
    return bool(config) and config[tower] != "frozen"  # type: ignore[index]


class MergedClip:
    """A second CLIP on the tensors of OVSeg's own, all but those that were learnt.

    OVSeg's stays what it is: checkpoints are loaded into it and saved from it, its features without the adapter can be
    asked for at any time, and other threads may run it meanwhile.
    """

    def __init__(self, clip_model: Clip, learnt: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> None:
        """Makes it; the arguments are those of :func:`merge`."""
        self.own, self.learnt, self.config = clip_model, learnt, config
        shared = {id(tensor): tensor for tensor in (*clip_model.parameters(), *clip_model.buffers())}
        self.clip: Clip = copy.deepcopy(clip_model, shared)
        self.refresh()

    def refresh(self) -> None:
        """Takes OVSeg's tensors as they are now, and merges into them."""
        merged: dict[str, torch.Tensor] = {}
        with torch.no_grad():
            for tower in ("visual", "text"):
                if is_learnt(self.config, tower):
                    merged.update(merge(self.own, self.learnt, self.config, tower))
        for (name, theirs), ours in zip(self.own.named_modules(), self.clip.modules()):
            for key, parameter in theirs._parameters.items():
                new = merged.get(f"{name}.{key}" if name else key)
                ours._parameters[key] = parameter if new is None else nn.Parameter(new, requires_grad=False)
            ours._buffers.update(theirs._buffers)


def _names_of(clip_model: Clip, tower: str, kind: str) -> Iterator[str]:
    for name in tower_names(clip_model, tower):
        norm = any(part.startswith("ln_") for part in name.split("."))
        if kind in MATRICES:
            if ".resblocks." in name and not norm and name.endswith(MATRICES[kind]):
                yield name
        elif kind == "all" or norm or (kind == "norm_bias" and name.endswith("bias")):
            yield name


def _whole(frozen: torch.Tensor, value: torch.Tensor, mix: float, name: str) -> torch.Tensor:
    if value.shape != frozen.shape:
        raise _misfit(name, value.shape, frozen)
    value = value.to(frozen.device)
    return value if mix == 1 else torch.lerp(frozen.float(), value, mix)


def _low_rank(
    frozen: torch.Tensor, down: torch.Tensor, up: torch.Tensor, config: Mapping[str, Any], name: str
) -> torch.Tensor:
    scale = config["mix"] * (config["alpha"] / config["rank"] ** 0.5)
    try:
        update = scale * torch.bmm(up.to(frozen.device), down.to(frozen.device)).view(frozen.shape)
    except RuntimeError as error:
        raise _misfit(name, (*up.shape[:-1], down.shape[-1]), frozen) from error
    return frozen.float() + update


def _misfit(name: str, shape: Any, frozen: torch.Tensor) -> OVSegError:
    return OVSegError(
        f"the adapter's weights for {name} have shape {tuple(shape)}, where OVSeg's CLIP has {tuple(frozen.shape)}; "
        "use an adapter that was learnt on OVSeg's CLIP"
    )


def _tensor(clip_model: Clip, name: str) -> torch.Tensor:
    found: Any = clip_model
    for part in name.split("."):
        found = getattr(found, part)
    return found
