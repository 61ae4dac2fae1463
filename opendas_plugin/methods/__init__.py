"""Methods: the ways an adapter is learnt, by name."""

from __future__ import annotations

from opendas_plugin.errors import ConfigError
from opendas_plugin.methods import opendas
from opendas_plugin.methods.stages import Method, Stage, Tower

__all__ = ["METHODS", "Method", "Stage", "Tower", "get", "parameter_count"]

METHODS: dict[str, Method] = {"opendas": opendas}


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
    return get(method).parameter_count(backbone)
