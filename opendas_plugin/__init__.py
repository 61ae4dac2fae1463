"""OpenDAS-plugin: adapters that teach a frozen CLIP a new domain.

``Labeller`` names the masks of an image, ``adapt`` learns an adapter, ``OpenDASCLIP`` stands in for an open_clip model
and ``load`` for OpenAI's ``clip.load``. The names are imported when they are first used, so that a look at the package
does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from opendas_plugin.version import __version__

if TYPE_CHECKING:
    from opendas_plugin import methods, runs
    from opendas_plugin.crops import CropPolicy
    from opendas_plugin.errors import OpenDASError
    from opendas_plugin.labeller import Labeller
    from opendas_plugin.model.adapted_clip import OpenDASCLIP
    from opendas_plugin.model.config import PromptConfig
    from opendas_plugin.model.loading import load
    from opendas_plugin.runs.adaptation import adapt
    from opendas_plugin.runs.classification import evaluate_classification as evaluate
    from opendas_plugin.switch.block import switched_on
    from opendas_plugin.vocabulary import Vocabulary

__all__ = [
    "CropPolicy",
    "Labeller",
    "OpenDASCLIP",
    "OpenDASError",
    "PromptConfig",
    "Vocabulary",
    "__version__",
    "adapt",
    "evaluate",
    "load",
    "methods",
    "runs",
    "switched_on",
]

_MODULES = ("methods", "runs")
_HOMES = {
    "CropPolicy": ("crops", "CropPolicy"),
    "Labeller": ("labeller", "Labeller"),
    "OpenDASCLIP": ("model.adapted_clip", "OpenDASCLIP"),
    "OpenDASError": ("errors", "OpenDASError"),
    "PromptConfig": ("model.config", "PromptConfig"),
    "Vocabulary": ("vocabulary", "Vocabulary"),
    "adapt": ("runs.adaptation", "adapt"),
    "evaluate": ("runs.classification", "evaluate_classification"),
    "load": ("model.loading", "load"),
    "switched_on": ("switch.block", "switched_on"),
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        module, attribute = _HOMES[name]
        return getattr(import_module(f"{__name__}.{module}"), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
