"""Methods: the ways an adapter is learnt, by name."""

from __future__ import annotations

from opendas_plugin.errors import ConfigError
from opendas_plugin.methods import (
    cocoop,
    ln_bias,
    lora,
    maple,
    opendas,
    opendas_joint,
    opendas_plus,
    promptsrc,
    rpo,
    vpt,
    wise_ft_image,
    wise_ft_text,
    zero_shot,
)
from opendas_plugin.methods.stages import Method, Stage, Tower
from opendas_plugin.model.adapted_clip import OpenDASCLIP

__all__ = ["METHODS", "Method", "Stage", "Tower", "get", "parameter_count"]

_MODULES = (
    opendas,
    opendas_plus,
    zero_shot,
    cocoop,
    vpt,
    rpo,
    maple,
    wise_ft_text,
    wise_ft_image,
    promptsrc,
    lora,
    ln_bias,
    opendas_joint,
)
METHODS: dict[str, Method] = {module.__name__.rpartition(".")[2]: module.METHOD for module in _MODULES}


def get(name: str) -> Method:
    """Finds a method by its name.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in METHODS:
        raise ConfigError(f"there is no method {name!r}; choose one of {', '.join(METHODS)}")
    return METHODS[name]


def parameter_count(method: str, backbone: str) -> int:
    """How many values a method learns on an open_clip model, e.g. 233,472 for ``("opendas", "ViT-L-14")``.

    Raises:
        ConfigError, BackboneError: there is no such method, or no such model that can carry it.
    """
    found = get(method)
    clip = OpenDASCLIP.from_backbone(backbone, prompts=found.prompts, weights=found.weights, device="meta")
    return sum(tensor.numel() for tensor in clip.prompt_parameters())
