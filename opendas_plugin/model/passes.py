"""The passes through a tower: with learnt tokens, with other weights, and of tokens that only read.

What no later step reads is not computed: the outputs of tokens that the next layer replaces, and the last layer of
all but the token that becomes the feature. Under :func:`checkpointed` what backward reads inside a layer is not kept
but computed again (Chen et al., arXiv 1604.06174), by the same operations on the same numbers.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import TypeVar, cast

import torch
from torch import nn
from torch.nn.utils.stateless import _reparametrize_module
from torch.utils.checkpoint import checkpoint

from opendas_plugin.model.tower import (
    DenseAttention,
    DenseVisual,
    KeysAndValues,
    LayeredTower,
    ReadableTower,
    ReadableVisual,
    Tower,
)

Inputs = TypeVar("Inputs")

_CHECKPOINTED: ContextVar[bool] = ContextVar("passes are checkpointed", default=False)
"""Of this thread."""


@contextlib.contextmanager
def checkpointed(on: bool = True) -> Iterator[None]:
    """Passes inside keep only the state between two layers for backward, which computes each layer again.

    Towers that have no room for learnt tokens are run as one, and keep what they always do.
    """
    token = _CHECKPOINTED.set(on)
    try:
        yield
    finally:
        _CHECKPOINTED.reset(token)


def encode(tower: Tower[Inputs], inputs: Inputs, prompts: torch.Tensor | None = None) -> torch.Tensor:
    """Returns the features (B, D) of B inputs.

    Args:
        tower: a tower; a layered one where there are ``prompts``.
        inputs: what it takes; texts have any ids where learnt tokens stand.
        prompts: (depth, n, width) tokens; layer i < depth reads its own n.
    """
    if prompts is None and (tower.no_tokens is not None or not _keeps_states_alone()):
        return tower.encode(inputs)
    return through_layers(cast("LayeredTower[Inputs]", tower), inputs, prompts)


def through_layers(tower: LayeredTower[Inputs], inputs: Inputs, prompts: torch.Tensor | None = None) -> torch.Tensor:
    """Returns the features (B, D) of B inputs, layer by layer; the arguments are those of :func:`encode`."""
    x, run = tower.embed(inputs), _run(tower)
    layers = [] if prompts is None else list(prompts.to(x.dtype).unbind())
    for layer in range(tower.depth):
        tokens = layers[layer] if layer < len(layers) else None
        x = run(layer, x, inputs, tokens, stays=layer == len(layers) - 1)
    return tower.feature(x)


def dense_features(
    tower: DenseVisual, pixels: torch.Tensor, prompts: torch.Tensor | None, attention: DenseAttention
) -> torch.Tensor:
    """Returns features (B, 1 + h * w, D) of the class token and each patch of pixels (B, 3, H, W)."""
    x, (rows, columns) = tower.embed_grid(pixels), tower.grid(pixels)
    layers = [] if prompts is None else list(prompts.to(x.dtype).unbind())
    for layer in range(tower.depth - 1):
        tokens = layers[layer] if layer < len(layers) else None
        x = tower.run(layer, x, pixels, tokens, stays=layer == len(layers) - 1)
    x = tower.run_dense(x, layers[-1] if len(layers) == tower.depth else None, attention)
    return tower.feature(x[:, : 1 + rows * columns])


def layer_features(tower: ReadableVisual, pixels: torch.Tensor, prompts: torch.Tensor | None = None) -> torch.Tensor:
    """Returns features (depth, B, D): what the tower makes of its summary token's state behind each of its layers."""
    x, run, states = tower.embed(pixels), _run(tower), []
    layers = [] if prompts is None else list(prompts.to(x.dtype).unbind())
    for layer in range(tower.depth):
        tokens = layers[layer] if layer < len(layers) else None
        x = run(layer, x, pixels, tokens, stays=layer == len(layers) - 1)
        states.append(tower.summary(x) if layer < tower.depth - 1 else x)
    return tower.feature(torch.stack(states))


def _run(tower: LayeredTower[Inputs]) -> Callable[..., torch.Tensor]:
    """The tower's ``run``, where it is to be computed again in backward, so that backward does."""
    return functools.partial(checkpoint, tower.run, use_reentrant=False) if _keeps_states_alone() else tower.run


def _keeps_states_alone() -> bool:
    return _CHECKPOINTED.get() and torch.is_grad_enabled()


@torch.no_grad()
def readable(tower: ReadableTower[Inputs], inputs: Inputs) -> Iterator[KeysAndValues]:
    """Yields what read-only tokens can read of plain CLIP, layer by layer, computed without gradient."""
    x = tower.embed(inputs)
    for layer in range(tower.depth):
        x, found = tower.run_readable(layer, x, inputs)
        yield found


def readouts(
    tower: ReadableTower[Inputs], inputs: Inputs, layers: Iterable[KeysAndValues], tokens: torch.Tensor
) -> torch.Tensor:
    """Returns the features (B, n, D) of n tokens that read each input and that nothing reads.

    Args:
        tower: a tower.
        inputs: pixels or packed texts.
        layers: what :func:`readable` yields for them.
        tokens: (n, width), the tokens at the input.
    """
    rest = iter(layers)
    first = next(rest)
    x = tower.embed_read_only(tokens.to(first[0].dtype)).expand(first[0].shape[0], -1, -1)
    for layer, found in enumerate(itertools.chain([first], rest)):
        x = tower.read_out(layer, x, found, inputs)
    return tower.feature(x)


@contextlib.contextmanager
def with_weights(tower: Tower[Inputs], weights: Mapping[str, torch.Tensor]) -> Iterator[Tower[Inputs]]:
    """Yields the tower with some of its weights replaced, which the tower itself does not notice: others use it.

    A compiler, which cannot follow copies of modules, has them put into the tower itself while it traces.
    """
    if not weights:
        yield tower
    elif torch.compiler.is_compiling():
        with _reparametrize_module(tower.module, dict(weights)):
            yield tower
    else:
        yield tower.over(_replaced(tower.module, weights))


def _replaced(module: nn.Module, weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """A module with other tensors in the place of named parameters; what holds none of them is shared, not copied."""
    twin = copy.copy(module)
    twin._parameters, twin._modules = dict(module._parameters), dict(module._modules)
    inner: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in weights.items():
        first, _, rest = name.partition(".")
        if rest:
            inner.setdefault(first, {})[rest] = tensor
        else:
            twin._parameters[first] = tensor  # type: ignore[assignment]  # a value of a graph, no parameter of its own
    for name, own in inner.items():
        twin._modules[name] = _replaced(module.get_submodule(name), own)
    return twin
