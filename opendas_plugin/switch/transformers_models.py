"""Models of transformers as open_clip's, and back: what an adapter needs to be put on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from opendas_plugin.model.construct import plain_name
from opendas_plugin.model.towers.parts import OpenCLIP
from opendas_plugin.model.towers.transformers_names import to_open_clip, to_transformers
from opendas_plugin.model.transformers_config import kind_in
from opendas_plugin.model.transformers_format import build


def as_open_clips(model: Any, pixels: Mapping[str, Any], name: str) -> OpenCLIP:
    """Returns open_clip's model of the weights of transformers' ``CLIPModel`` or ``SiglipModel``, float32 on the CPU.

    Args:
        model: transformers'.
        pixels: what it takes, which such a model does not say, as open_clip's ``preprocess_cfg``.
        name: for messages.

    Raises:
        BackboneError: a configuration that cannot be followed.
        KeyError, ValueError: parts that open_clip's model has not.
    """
    config = {**model.config.to_dict(), "architectures": [type(model).__name__]}
    kind = kind_in(config, name)
    ours = build(config, kind, pixels, name)
    state = {key: value.detach().float().cpu() for key, value in model.state_dict().items()}
    named = {plain_name(key): key for key in ours.state_dict()}
    ours.load_state_dict({named[key]: value for key, value in to_open_clip(state, kind).items()})
    return ours.eval()


@torch.no_grad()
def write_back(model: Any, merged: Mapping[str, torch.Tensor], plain: OpenCLIP, name: str) -> None:
    """Writes weights, by their names in ``plain``, into the model of transformers that it was made of."""
    kind = kind_in({**model.config.to_dict(), "architectures": [type(model).__name__]}, name)
    state = {plain_name(key): value for key, value in {**plain.state_dict(), **merged}.items()}
    own = model.state_dict()
    for key, value in to_transformers(state, kind).items():
        own[key].copy_(value)
