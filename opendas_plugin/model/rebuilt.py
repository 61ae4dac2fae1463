"""Whether what a file will say of a model builds this model again: its shapes, and the facts of its function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from opendas_plugin.errors import BackboneError
from opendas_plugin.model.construct import plain_name
from opendas_plugin.model.facts import BackboneFacts
from opendas_plugin.model.towers.facts import facts_of
from opendas_plugin.model.towers.parts import OpenCLIP


def facts_to_write(model: OpenCLIP, name: str) -> BackboneFacts:
    """The facts of a model that is to be written; ``name`` is the backbone's.

    Raises:
        BackboneError: it was made by hand and does not say what pixels it takes.
    """
    if (facts := facts_of(model, name)) is None:
        raise BackboneError(f"{name} was made by hand and does not say what pixels it takes; build it by its name")
    return facts


def require_rebuilt(model: OpenCLIP, build: Callable[[], OpenCLIP], name: str, form: str, other: str) -> None:
    """Builds a model without memory, and compares it with the one that it is to be.

    Args:
        model: the one to be written.
        build: makes it of what is written.
        name: of the backbone, for messages.
        form: what it cannot be written as, likewise.
        other: what to write in its place, likewise.

    Raises:
        BackboneError: they differ.
    """
    with torch.device("meta"):
        found = build()
    ours, theirs = _shapes(model), _shapes(found)
    if ours != theirs:
        names = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
        raise BackboneError(f"{name} cannot be written as {form}, which has no {names[0]} of its kind; {other}")
    mine, built = (replace(facts_to_write(one, name), tokenizer="") for one in (model, found))
    if differences := mine.differences(built):
        differences = differences.replace("here", "there")
        raise BackboneError(f"{name} cannot be written as {form}: it has {differences}; {other}")


def _shapes(model: OpenCLIP) -> Mapping[str, Any]:
    return {plain_name(key): tuple(value.shape) for key, value in model.state_dict().items() if value.ndim}
