"""Methods: the ways an adapter is learnt, by name."""

from __future__ import annotations

from opendas_plugin.methods.registry import get, names
from opendas_plugin.methods.stages import Method, Stage
from opendas_plugin.model.adapted_clip import OpenDASCLIP

__all__ = ["Method", "Stage", "get", "names", "parameter_count"]


def parameter_count(method: str, backbone: str) -> int:
    """How many values a method learns on an open_clip model, e.g. 233,472 for ``("opendas", "ViT-L-14")``.

    Raises:
        ConfigError, BackboneError: there is no such method, or no such model that can carry it.
    """
    found = get(method)
    clip = OpenDASCLIP.from_backbone(backbone, prompts=found.prompts, weights=found.weights, device="meta")
    return sum(tensor.numel() for tensor in clip.prompt_parameters())
