"""An open_clip model with an adapter at work, that is to its program the model it asked for.

An adapter that is weights alone is written into the model, which stays open_clip's plain module. Tokens change what the
towers do, so the model and its towers get classes of their own: what encodes, encodes with the adapter; what would go
past it, such as a program's own walk through the layers, is refused. Parameters, buffers, the names in ``state_dict``
and ``half()``, ``to()`` and ``eval()`` are the model's own.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, cast

import open_clip
import torch
from open_clip.openai import build_model_from_openai_state_dict
from open_clip.transform import PreprocessCfg, merge_preprocess_dict
from torch import nn
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import AdapterError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.towers.parts import text_module

_WATCHES = ("register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook")


@torch.no_grad()
def write_weights(model: nn.Module, clip: OpenDASCLIP) -> None:
    """Writes what an adapter of weights alone has learnt into a model of the same names, in its types."""
    for name, value in clip.merged_weights().items():
        model.get_parameter(name).copy_(value)


def as_open_clips(model: Any) -> Any:
    """Returns open_clip's model of the same weights as one of OpenAI's package, float32 on the CPU."""
    state = {key: value.detach().float().cpu() for key, value in model.state_dict().items()}
    found = build_model_from_openai_state_dict(state, cast_dtype=None)  # None: as they are
    open_clip.set_model_preprocess_cfg(found, merge_preprocess_dict(PreprocessCfg(), {"size": found.visual.image_size}))
    return found.float()


def put_on(model: Any, clip_on: Callable[[Any], OpenDASCLIP], *, identity: bool = False) -> None:
    """Gives a model an adapter that cannot be written into its weights.

    Args:
        model: open_clip's, in any type and on any device.
        clip_on: puts the adapter on a model like it, which shares its weights.
        identity: nothing of the adapter is at work, though all goes the same way.
    """
    twin = _twin(model)
    clip = clip_on(twin)
    working = clip.prompts_disabled if identity else contextlib.nullcontext
    object.__setattr__(model, "opendas", (clip, working))  # in a tuple: no part of the model's state
    _become(model, _ModelWithAdapter)
    _become(model.visual, _TowerWithAdapter, encode=lambda x: _encode(model, "image", x))
    if (text := text_module(model)) is not model:
        _become(text, _TowerWithAdapter, encode=lambda x: _encode(model, "text", x))
    parts = {id(part): part for tower in (model.visual, text) for part in tower.modules()}
    for part in parts.values():
        if not isinstance(part, _ModelWithAdapter | _TowerWithAdapter):
            _refuse(part, clip)


class _ModelWithAdapter(nn.Module):
    """What is put before a model's own class."""

    opendas: tuple[OpenDASCLIP, Callable[[], AbstractContextManager[Any]]]

    def encode_image(self, image: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        features = _features(self, "image", self.visual, image)
        return unit(features, dim=-1) if normalize else features

    def encode_text(self, text: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        features = _features(self, "text", getattr(self, "text", None), text)
        return unit(features, dim=-1) if normalize else features

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        clip, _ = self.opendas
        for tower in ("visual", "text"):
            for module in clip.learnt_modules(tower):
                module._apply(fn)
        if clip.cache is not None:
            clip.cache._apply(fn)
        return super()._apply(fn, recurse)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        raise AdapterError(
            "a model with an adapter of tokens cannot be copied; load it once more, or use an adapter of weights "
            "alone, such as opendas_plus learns"
        )


class _TowerWithAdapter(nn.Module):
    """A tower whose features are the adapter's; hooks on it are called as ever."""

    opendas_encode: Callable[[torch.Tensor], torch.Tensor]

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if args or kwargs:
            raise AdapterError(_advice(type(self).__name__, "with arguments of its own"))
        if getattr(self, "output_tokens", False):  # CoCa's decoder reads them beside the feature
            raise AdapterError(_advice(type(self).__name__, "for the features of all its tokens"))
        return self.opendas_encode(x)


def _features(model: Any, what: str, tower: Any, inputs: torch.Tensor) -> torch.Tensor:
    """By the tower, so that hooks on it are called, but where its call gives more than features."""
    if tower is None or getattr(tower, "output_tokens", False):
        return _encode(model, what, inputs)
    return cast(torch.Tensor, tower(inputs))


def _encode(model: Any, what: str, inputs: torch.Tensor) -> torch.Tensor:
    clip, working = model.opendas
    with working():
        return clip.encode_image(inputs) if what == "image" else clip.encode_text(inputs)


def _twin(model: Any) -> Any:
    """The same weights, in their own classes, where the adapter finds them whatever becomes of ``model``."""
    twin = copy.copy(model)
    twin._modules = dict(model._modules)
    for name, part in model._modules.items():
        if part is not None:
            twin._modules[name] = _copied(part)
    return twin


def _copied(module: nn.Module) -> nn.Module:
    """A module of the same tensors, of which no part is the same object."""
    other = copy.copy(module)
    other._modules = {name: None if part is None else _copied(part) for name, part in module._modules.items()}
    return other


def _become(module: nn.Module, front: type, **attributes: Any) -> None:
    """Puts a class before the module's own."""
    own = type(module)
    module.__class__ = type(own.__name__, (front, own), {"__module__": own.__module__})
    for name, value in attributes.items():
        object.__setattr__(module, f"opendas_{name}", value)


def _refuse(module: nn.Module, clip: OpenDASCLIP) -> None:
    """Lets whoever runs or watches a part of a tower by itself know that the adapter is not in it."""
    what = type(module).__name__
    blocked = _WATCHES if isinstance(module, nn.Embedding) else (*_WATCHES, "forward")  # a table of words is as it was

    def refusing(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            raise AdapterError(_advice(what, f"by itself ({name})", clip.config.method))

        return call

    for name in blocked:
        object.__setattr__(module, name, refusing(name))  # on the object, whose class stays what it was


def _advice(what: str, how: str, method: str = "") -> str:
    return (
        f"this program uses {what} {how}, where the {method or 'adapter'} tokens would not be at work; give it an "
        "adapter of weights alone, such as opendas_plus learns"
    )
