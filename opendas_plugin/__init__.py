"""OpenDAS-plugin: adapters that teach a frozen CLIP a new domain.

``OpenDASCLIP`` stands in for an open_clip model, ``load`` for OpenAI's ``clip.load``. The names are imported when
they are first used, so that a look at the package does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from opendas_plugin.version import __version__

if TYPE_CHECKING:
    from opendas_plugin import methods
    from opendas_plugin.crops import CropPolicy
    from opendas_plugin.errors import OpenDASError
    from opendas_plugin.model.adapted_clip import OpenDASCLIP
    from opendas_plugin.model.config import PromptConfig
    from opendas_plugin.model.loading import load
    from opendas_plugin.vocabulary import Vocabulary

__all__ = ["CropPolicy", "OpenDASCLIP", "OpenDASError", "PromptConfig", "Vocabulary", "__version__", "load", "methods"]

_HOMES = {
    "CropPolicy": "opendas_plugin.crops",
    "OpenDASCLIP": "opendas_plugin.model.adapted_clip",
    "OpenDASError": "opendas_plugin.errors",
    "PromptConfig": "opendas_plugin.model.config",
    "Vocabulary": "opendas_plugin.vocabulary",
    "load": "opendas_plugin.model.loading",
}


def __getattr__(name: str) -> Any:
    if name == "methods":
        return import_module("opendas_plugin.methods")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'opendas_plugin' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
