"""What the towers of an adapted CLIP make of images and texts, with what was learnt or without it."""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch.nn.functional import normalize as unit

from opendas_plugin.model.adapter_config import AdapterConfig
from opendas_plugin.model.packing import PackedTexts, pack
from opendas_plugin.model.passes import encode, readable, readouts, with_weights
from opendas_plugin.model.prompts import ConditionalPrompts, CoupledPrompts, Prompts, TextPrompts
from opendas_plugin.model.tower import KeysAndValues, Towers
from opendas_plugin.model.weights import LearntWeights


class Adapted(Protocol):
    """What is asked of an adapted CLIP: the frozen towers, and what was learnt beside them."""

    towers: Towers
    visual_prompts: Prompts | CoupledPrompts
    text_prompts: TextPrompts
    visual_weights: LearntWeights
    text_weights: LearntWeights
    weight_mix: float
    config: AdapterConfig

    @property
    def tokenizer(self) -> Any:
        """What token ids were made by."""


class Encoder:
    """Encodes by an adapted CLIP's frozen towers and the tokens and weights that were learnt beside them."""

    def __init__(self, clip: Adapted) -> None:
        self._clip = clip
        self._memory: tuple[tuple[object, ...], torch.Tensor, PackedTexts, list[KeysAndValues]] | None = None

    def image(self, pixels: torch.Tensor, learnt: bool) -> torch.Tensor:
        """Returns image features of pixels (B, 3, S, S), with what was ``learnt`` or by plain CLIP."""
        clip, tower = self._clip, self._clip.towers.visual
        if not learnt:
            return encode(tower, pixels)
        tokens, weights = clip.visual_prompts.tokens, clip.visual_weights.merged(tower, clip.weight_mix)
        if tokens is not None and clip.config.prompts.form == "read_only":
            return _end_to_end(readouts(tower, pixels, readable(tower, pixels), tokens[0]))
        return with_weights(tower, weights, encode, pixels, tokens)

    def text(self, ids: torch.Tensor, learnt: bool) -> torch.Tensor:
        """Returns text features of token ids (N, L), with what was ``learnt`` or by plain CLIP."""
        clip, tower = self._clip, self._clip.towers.text
        if not learnt:
            return encode(tower, self._pack(ids))
        tokens, weights = clip.text_prompts.tokens, clip.text_weights.merged(tower, clip.weight_mix)
        if tokens is not None and clip.config.prompts.form == "read_only":
            packed, layers = self._remember(ids)
            return _end_to_end(readouts(tower, packed, layers, tokens[0]))
        packed = self._pack(ids, placed=tokens is not None)
        return with_weights(tower, weights, encode, packed, tokens)

    def cosines(self, ids: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Returns cosines (B, N) of image features (B, D) with texts that each image has its own tokens for."""
        prompts, tower = cast(ConditionalPrompts, self._clip.text_prompts), self._clip.towers.text
        packed, image = self._pack(ids, placed=True), unit(image.float(), dim=-1)
        rows = [
            unit(encode(tower, packed, tokens).float(), dim=-1) @ feature
            for feature, tokens in zip(image, prompts.of(image), strict=True)
        ]
        return torch.stack(rows)

    def _pack(self, ids: torch.Tensor, placed: bool = False) -> PackedTexts:
        """Packs token ids, with room for the learnt tokens where they are to be ``placed``."""
        tower, ids = self._clip.towers.text, ids.to("cpu", torch.int64)
        ends = tower.ends(ids)
        if placed:
            ids, ends = self._clip.text_prompts.place(ids, ends, tower.room, self._decode)
        return pack(ids, ends).to(tower.device)

    def _remember(self, ids: torch.Tensor) -> tuple[PackedTexts, list[KeysAndValues]]:
        """The texts packed and what read-only tokens read of them, kept for the next time the same texts come."""
        tower = self._clip.towers.text
        place = (tower.device, tower.dtype)
        if self._memory is None or self._memory[0] != place or not torch.equal(self._memory[1], ids):
            packed = self._pack(ids)
            self._memory = place, ids, packed, list(readable(tower, packed))
        return self._memory[2:]

    def _decode(self, ids: torch.Tensor) -> str:
        tokenizer = self._clip.tokenizer
        return getattr(tokenizer, "tokenizer", tokenizer).decode(ids.tolist()).strip()


def _end_to_end(features: torch.Tensor) -> torch.Tensor:
    """Lays (B, n, D) features out as (B, n * D), so that cosines become the means of n cosines."""
    return (unit(features, dim=-1) / features.shape[1] ** 0.5).flatten(1)
