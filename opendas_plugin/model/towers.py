"""The towers of a model: the one place that tells families of models apart."""

from __future__ import annotations

from opendas_plugin.model.openclip.plain import OpenCLIP, require_promptable
from opendas_plugin.model.openclip.text import OpenCLIPText
from opendas_plugin.model.openclip.visual import OpenCLIPVisual
from opendas_plugin.model.tower import Towers


def find_towers(model: OpenCLIP, name: str = "this model") -> Towers:
    """Returns the towers of an open_clip model; ``name`` is its name in messages.

    Raises:
        BackboneError: they cannot carry learnt tokens; the message says what the model lacks.
    """
    require_promptable(model, name)
    return Towers(OpenCLIPVisual(model), OpenCLIPText(model))
