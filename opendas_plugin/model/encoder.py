"""What the towers of an adapted CLIP make of images and texts, with what was learnt or without it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, cast

import torch
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import BackboneError
from opendas_plugin.model.adapter_config import AdapterConfig
from opendas_plugin.model.factored import FactoredPrompts
from opendas_plugin.model.input_shapes import check_known
from opendas_plugin.model.passes import dense_features, encode, layer_features, readable, readouts, with_weights
from opendas_plugin.model.placing import Places
from opendas_plugin.model.prompts import ConditionalPrompts, CoupledPrompts, Prompts, TextPrompts
from opendas_plugin.model.tower import (
    DenseAttention,
    DenseVisual,
    KeysAndValues,
    LayeredText,
    ReadableTower,
    ReadableVisual,
    Towers,
)
from opendas_plugin.model.weights import LearntWeights


class Adapted(Protocol):
    """What is asked of an adapted CLIP: the frozen towers, and what was learnt beside them."""

    towers: Towers
    visual_prompts: Prompts | CoupledPrompts | FactoredPrompts
    text_prompts: TextPrompts
    visual_weights: LearntWeights
    text_weights: LearntWeights
    config: AdapterConfig

    @property
    def tokenizer(self) -> Any:
        """What token ids were made by."""


class Mixed(Protocol):
    """What of an adapter is at work."""

    @property
    def weight_mix(self) -> float:
        """The share of the learnt weights."""


class Encoder:
    """Encodes by an adapted CLIP's frozen towers and the tokens and weights that were learnt beside them.

    It holds no CLIP, and of what it was asked nothing but frozen states of the last texts, while tokens learn to read
    them; so several threads, and copies of a CLIP, may share one.
    """

    def __init__(self) -> None:
        self._memory: tuple[tuple[object, ...], torch.Tensor, Any, list[KeysAndValues]] | None = None

    def image(self, clip: Adapted, pixels: torch.Tensor, at_work: Mixed | None) -> torch.Tensor:
        """Returns image features of pixels (B, 3, S, S), with what is at work, or for None by plain CLIP."""
        tower = clip.towers.visual
        if at_work is None:
            return tower.encode(pixels)
        tokens, weights = clip.visual_prompts.tokens, clip.visual_weights.merged(tower, at_work.weight_mix)
        if tokens is not None and clip.config.prompts.form == "read_only":
            read = cast("ReadableTower[torch.Tensor]", tower)
            return _end_to_end(readouts(read, pixels, readable(read, pixels), tokens[0]))
        with with_weights(tower, weights) as changed:
            return encode(changed, pixels, tokens)

    def dense(
        self, clip: Adapted, pixels: torch.Tensor, at_work: Mixed | None, attention: DenseAttention
    ) -> torch.Tensor:
        """Returns features (B, 1 + h * w, D) of class token and patches, with what is at work; None: by plain CLIP.

        Raises:
            BackboneError: the visual tower has no such features.
        """
        tower, read_only = clip.towers.visual, clip.config.prompts.form == "read_only"
        lacking = "features without read-only tokens" if read_only and at_work else tower.no_grid
        if lacking:
            raise BackboneError(f"{clip.config.backbone} has no features of patches: it lacks {lacking}")
        if at_work is None:
            return dense_features(cast("DenseVisual", tower), pixels, None, attention)
        with with_weights(tower, clip.visual_weights.merged(tower, at_work.weight_mix)) as own:
            return dense_features(cast("DenseVisual", own), pixels, clip.visual_prompts.tokens, attention)

    def image_layers(self, clip: Adapted, pixels: torch.Tensor, at_work: Mixed) -> torch.Tensor:
        """Returns features (depth, B, D) of pixels (B, 3, S, S) behind each layer, with what is at work.

        Raises:
            BackboneError: the feature is read at no token of the tower's, or by read-only ones.
        """
        tower, form = clip.towers.visual, clip.config.prompts.form
        lacking = "features without read-only tokens" if form == "read_only" else tower.no_readers
        if lacking:
            raise BackboneError(f"{clip.config.backbone} has no features behind each layer: it lacks {lacking}")
        tokens, weights = clip.visual_prompts.tokens, clip.visual_weights.merged(tower, at_work.weight_mix)
        with with_weights(tower, weights) as changed:
            return layer_features(cast("ReadableVisual", changed), pixels, tokens)

    def text(self, clip: Adapted, ids: torch.Tensor, at_work: Mixed | None) -> torch.Tensor:
        """Returns text features of token ids (N, L), with what is at work, or for None by plain CLIP."""
        tower = clip.towers.text
        if at_work is None:
            return tower.encode(_inputs(clip, ids))
        tokens, weights = clip.text_prompts.tokens, clip.text_weights.merged(tower, at_work.weight_mix)
        if tokens is not None and clip.config.prompts.form == "read_only":
            inputs, layers = self._readable(clip, ids)
            return _end_to_end(readouts(cast("ReadableTower[Any]", tower), inputs, layers, tokens[0]))
        inputs = _inputs(clip, ids, placed=tokens is not None)
        with with_weights(tower, weights) as changed:
            return clip.text_prompts.corrected(encode(changed, inputs, tokens))

    def cosines(self, clip: Adapted, ids: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Returns cosines (B, N) of image features (B, D) with texts that each image has its own tokens for."""
        prompts, tower = cast(ConditionalPrompts, clip.text_prompts), clip.towers.text
        inputs, image = _inputs(clip, ids, placed=True), unit(image.float(), dim=-1)
        pairs = zip(image, prompts.of(image), strict=True)
        rows = [
            cosines(feature[None], unit(encode(tower, inputs, tokens).float(), dim=-1)) for feature, tokens in pairs
        ]
        return torch.cat(rows)

    def _readable(self, clip: Adapted, ids: torch.Tensor) -> tuple[Any, Iterable[KeysAndValues]]:
        """The texts and what read-only tokens read of them; in training kept for when the same texts come."""
        tower = cast("ReadableTower[Any]", clip.towers.text)
        if not torch.is_grad_enabled() or torch.compiler.is_compiling():
            inputs = _inputs(clip, ids)
            return inputs, readable(tower, inputs)
        key = (
            *(tower.device, tower.dtype, torch.is_autocast_enabled(tower.device.type)),
            *((p.data_ptr(), p._version) for p in tower.weights().values()),
        )
        memory = self._memory
        if memory is None or memory[0] != key or not torch.equal(memory[1], ids):
            inputs = _inputs(clip, ids)
            memory = self._memory = key, ids.clone(), inputs, list(readable(tower, inputs))
        return memory[2:]


def cosines(image: torch.Tensor, names: torch.Tensor) -> torch.Tensor:
    """Cosines (B, N) float32 of image features (B, D) with features (N, D) of unit length, whatever autocast is on."""
    with torch.autocast(image.device.type, enabled=False):
        return unit(image.float(), dim=-1) @ names.float().T


def _inputs(clip: Adapted, ids: torch.Tensor, placed: bool = False) -> Any:
    """Token ids as the text tower takes them, with room for the learnt tokens where they are to be ``placed``."""
    compiled = torch.compiler.is_compiling()
    ids = ids.to(clip.towers.text.device if compiled else "cpu", torch.int64)
    if not compiled:
        check_known(ids, clip.towers.text.vocabulary_size)
    if not placed:
        return clip.towers.text.inputs(ids)

    def decode(row: torch.Tensor) -> str:
        tokenizer = clip.tokenizer
        return getattr(tokenizer, "tokenizer", tokenizer).decode(row.tolist()).strip()

    tower = cast(LayeredText, clip.towers.text)
    places = cast(Places, clip.text_prompts.places)
    return tower.inputs_ending(*places.make_room(ids, tower, decode), places.first, places.count)


def _end_to_end(features: torch.Tensor) -> torch.Tensor:
    """Lays (B, n, D) features out as (B, n * D), so that cosines become the means of n cosines."""
    return (unit(features, dim=-1) / features.shape[1] ** 0.5).flatten(1)
