"""Methods: the ways an adapter is learnt, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opendas_plugin.errors import BackboneError
from opendas_plugin.methods.registry import get, names
from opendas_plugin.methods.stages import Method, Stage

if TYPE_CHECKING:
    from opendas_plugin.model.adapted_clip import OpenDASCLIP


__all__ = ["Learnt", "Method", "Stage", "get", "learnt_values", "names", "parameter_count"]


@dataclass(frozen=True)
class Learnt:
    """How many values a method learns in each tower."""

    visual: int
    text: int


def parameter_count(method: str, backbone: str) -> int:
    """How many values a method learns on an open_clip model, e.g. 233,472 for ``("opendas", "ViT-L-14")``.

    Raises:
        ConfigError, BackboneError: there is no such method, or no such model that can carry it.
    """
    from opendas_plugin.model.adapted_clip import OpenDASCLIP

    found = learnt_values(method, OpenDASCLIP.from_backbone(backbone, device="meta"))
    return found.visual + found.text


def learnt_values(method: str, clip: OpenDASCLIP) -> Learnt:
    """How many values a method learns in each tower of a CLIP; neither tokenizer nor weights are needed.

    Args:
        method: its name.
        clip: its frozen model is looked at; on ``meta`` nothing is allocated.

    Raises:
        ConfigError, BackboneError: there is no such method, or the model cannot carry it.
    """
    from opendas_plugin.model.adapted_clip import OpenDASCLIP

    found = get(method)
    adapted = OpenDASCLIP(clip.model, clip.backbone, found.prompts, found.weights)
    visual, text = (
        sum(tensor.numel() for module in adapted.learnt_modules(tower) for tensor in module.parameters())
        for tower in ("visual", "text")
    )
    if found.stages and not visual + text:
        raise BackboneError(f"{clip.backbone.name} has nothing that {method} learns; choose another method")
    return Learnt(visual, text)
