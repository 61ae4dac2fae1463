"""What the towers of an adapted CLIP make of images and texts, with what was learnt or without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

import torch
from torch.nn.functional import normalize as to_unit_length

from opendas_plugin.model import towers
from opendas_plugin.model.packing import PackedTexts, pack
from opendas_plugin.model.prompts import ConditionalPrompts

if TYPE_CHECKING:
    from opendas_plugin.model.adapted_clip import OpenDASCLIP

Memory: TypeAlias = list[tuple[torch.Tensor, torch.Tensor]]


class Encoder:
    """Encodes by an adapted CLIP's frozen model and the tokens and weights that were learnt beside it."""

    def __init__(self, clip: OpenDASCLIP) -> None:
        self._clip = clip
        self._memory: tuple[torch.Tensor, PackedTexts, Memory] | None = None

    def image(self, pixels: torch.Tensor, learnt: bool) -> torch.Tensor:
        """Returns image features of pixels (B, 3, S, S), with what was ``learnt`` or by plain CLIP."""
        clip = self._clip
        if not learnt:
            return towers.encode_image(clip.model, pixels)
        tokens, weights = clip.visual_prompts.tokens, clip.visual_weights.merged(clip.model, clip.weight_mix)
        if tokens is not None and clip.config.prompts.form == "read_only":
            return _end_to_end(towers.read_image(clip.model, pixels, tokens[0]))
        return towers.with_weights(clip.model, weights, towers.encode_image, pixels, tokens)

    def text(self, ids: torch.Tensor, learnt: bool) -> torch.Tensor:
        """Returns text features of token ids (N, L), with what was ``learnt`` or by plain CLIP."""
        clip = self._clip
        if not learnt:
            return towers.encode_text(clip.model, self._pack(ids))
        tokens, weights = clip.text_prompts.tokens, clip.text_weights.merged(clip.model, clip.weight_mix)
        if tokens is not None and clip.config.prompts.form == "read_only":
            packed, memory = self._remember(ids)
            return _end_to_end(towers.read_text(clip.model, packed, memory, tokens[0]))
        packed = self._pack(ids, placed=tokens is not None)
        return towers.with_weights(clip.model, weights, towers.encode_text, packed, tokens)

    def cosines(self, ids: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Returns cosines (B, N) of image features (B, D) with texts that each image has its own tokens for."""
        prompts = cast(ConditionalPrompts, self._clip.text_prompts)
        packed, image = self._pack(ids, placed=True), to_unit_length(image.float(), dim=-1)
        rows = [
            to_unit_length(towers.encode_text(self._clip.model, packed, tokens).float(), dim=-1) @ feature
            for feature, tokens in zip(image, prompts.of(image), strict=True)
        ]
        return torch.stack(rows)

    def forget(self) -> None:
        """Forgets the texts that are remembered for read-only tokens."""
        self._memory = None

    def _pack(self, ids: torch.Tensor, placed: bool = False) -> PackedTexts:
        """Packs token ids, with room for the learnt tokens where they are to be ``placed``."""
        clip, ids = self._clip, ids.to("cpu", torch.int64)
        ends = towers.text_ends(clip.model, ids)
        if placed:
            ids, ends = clip.text_prompts.place(ids, ends, clip.context_length, self._decode)
        return pack(ids, ends).to(clip.logit_scale.device)

    def _remember(self, ids: torch.Tensor) -> tuple[PackedTexts, Memory]:
        """The texts packed and what read-only tokens read of them, kept for the next time the same texts come."""
        if self._memory is None or not torch.equal(self._memory[0], ids):
            packed = self._pack(ids)
            self._memory = ids, packed, towers.text_memory(self._clip.model, packed)
        return self._memory[1:]

    def _decode(self, ids: torch.Tensor) -> str:
        tokenizer = self._clip.tokenizer
        return getattr(tokenizer, "tokenizer", tokenizer).decode(ids.tolist()).strip()


def _end_to_end(features: torch.Tensor) -> torch.Tensor:
    """Lays (B, n, D) features out as (B, n * D), so that cosines become the means of n cosines."""
    return (to_unit_length(features, dim=-1) / features.shape[1] ** 0.5).flatten(1)
