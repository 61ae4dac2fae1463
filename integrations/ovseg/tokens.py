"""Learnt tokens inside OVSeg's CLIP, by means of its own modules: nothing of its parameters is renamed or wrapped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch.nn.functional import linear
from torch.nn.functional import normalize as unit

from integrations.ovseg.errors import OVSegError
from integrations.ovseg.model import Block, Clip, VisualTower
from integrations.ovseg.perthread import PerThread


class TooLongError(OVSegError):
    """A text that does not fit the context; ``row`` is its number in the call, ``reason`` what it has."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"text {row} {reason}; shorten it")
        self.row, self.reason = row, reason

    def __reduce__(self) -> tuple[type, tuple[int, str]]:
        return TooLongError, (self.row, self.reason)


class VisualTokens:
    """Learnt tokens beside class token and patches, in every block of the visual tower.

    Hooks append them before a block and cut them off behind it, so that OVSeg's mask tokens, which count on one class
    token and the patches, never see them. Where the learnt layers end before the tower does, the last ones flow on.
    """

    def __init__(self, visual: VisualTower, tokens: torch.Tensor) -> None:
        """Hooks ``tokens`` (depth, n, width) into ``visual``."""
        self.visual = visual
        self.here = PerThread(carried=None, on=True)
        # a buffer follows .to(device); not persistent, it is neither saved nor overwritten by a checkpoint
        visual.register_buffer("opendas_tokens", tokens.to(visual.class_embedding.device), persistent=False)
        self.handles = []
        for i, block in enumerate(visual.transformer.resblocks):
            self.handles.append(block.register_forward_pre_hook(partial(self._append, i)))
            self.handles.append(block.register_forward_hook(partial(self._cut, i)))

    def remove(self) -> None:
        """Takes the hooks and the tokens out again."""
        for handle in self.handles:
            handle.remove()
        del self.visual.opendas_tokens

    @contextlib.contextmanager
    def off(self) -> Iterator[None]:
        """Leaves the tower as it was inside the ``with`` block."""
        with self.here.set(on=False):
            yield

    def _append(self, i: int, block: Block, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
        if not self.here.on:
            return None
        x, layers = inputs[0], self.visual.opendas_tokens  # (1 + patches, B, width)
        if i < len(layers):
            tokens = layers[i].to(x.device)
            tokens = self.visual.ln_pre(tokens) if i == 0 else tokens
            tokens = tokens.to(x)[:, None].expand(-1, x.shape[1], -1)
        else:
            tokens = self.here.carried
        return (torch.cat([x, tokens]),)

    def _cut(self, i: int, block: Block, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor | None:
        if not self.here.on:
            return None
        depth, n, _ = self.visual.opendas_tokens.shape
        flows_on = depth <= i + 1 < len(self.visual.transformer.resblocks)
        self.here.carried = output[-n:] if flows_on else None
        return output[:-n]


class TextEncoder:
    """The text tower of a CLIP of OVSeg's, with or without learnt tokens, and without its waste.

    Padding is not computed, and what all texts of a call begin with is computed once. Both are exact under the
    tower's causal mask, up to rounding (1e-6).
    """

    def __init__(self, clip_model: Clip, tokens: torch.Tensor | None, context: torch.Tensor) -> None:
        """Prepares for ``tokens`` (depth, n, width), which may stand for the token ids ``context`` (m,)."""
        self.clip_model = clip_model
        self.context = context
        self.has_tokens = tokens is not None
        if tokens is not None:
            tokens = tokens.to(clip_model.positional_embedding.device)
            clip_model.register_buffer("opendas_tokens", tokens, persistent=False)

    def remove(self) -> None:
        """Takes the tokens out again."""
        if self.has_tokens:
            del self.clip_model.opendas_tokens

    def encode(self, ids: torch.Tensor) -> torch.Tensor:
        """Returns features (N, D) of token ids (N, L)."""
        clip_model = self.clip_model
        layers: torch.Tensor | None = None
        ids = ids.cpu()
        ends = ids.argmax(dim=-1)
        if self.has_tokens:
            layers = clip_model.opendas_tokens.to(clip_model.text_projection.device, clip_model.dtype)
            ids, ends = self._place(ids, ends, layers.shape[1])
        length = int(ends.max()) + 1
        alike = (ids[:, :length] == ids[:1, :length]).all(dim=0)
        shared = min(int(alike.long().cumprod(0).sum()), int(ends.min()))  # learnt tokens are among these

        places = clip_model.positional_embedding[:length].type(clip_model.dtype)
        ids = ids[:, :length].to(places.device)
        x = clip_model.token_embedding(ids).type(clip_model.dtype) + places
        read = self._read_shared(x[:1, :shared], layers, places)
        features = x.new_empty(len(x), x.shape[-1])
        for end in ends.unique().tolist():  # texts of one length at a time: no padding
            rows = (ends == end).nonzero()[:, 0].to(x.device)
            own = x[rows, shared : end + 1]
            for block, before in zip(clip_model.transformer.resblocks, read):
                own, _ = _causal_block(block, own, before)
            features[rows] = own[:, -1]
        return clip_model.ln_final(features).type(clip_model.dtype) @ clip_model.text_projection

    def _read_shared(self, x: torch.Tensor, layers: torch.Tensor | None, places: torch.Tensor) -> list[torch.Tensor]:
        """Keys and values (1, P, 2 width) in every layer of the P tokens (1, P, width) that all texts begin with."""
        read = []
        for i, block in enumerate(self.clip_model.transformer.resblocks):
            if layers is not None and i < len(layers):
                n = len(layers[i])
                tokens = layers[i] + places[1 : n + 1] if i == 0 else layers[i]
                x = torch.cat([x[:, :1], tokens[None], x[:, n + 1 :]], dim=1)
            x, keys_and_values = _causal_block(block, x, x.new_empty(1, 0, 2 * x.shape[-1]))
            read.append(keys_and_values)
        return read

    def replaces(self, ids: torch.Tensor) -> torch.Tensor:
        """Returns (N,) bool: do the learnt tokens take the place of the context words in token ids (N, L)."""
        m = len(self.context)
        return (ids[:, 1 : 1 + m] == self.context).all(dim=1) & (ids.argmax(dim=-1) > m)

    def _place(self, ids: torch.Tensor, ends: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Makes room for n tokens at positions 1 to n, in the place of the context words or before the first word."""
        skipped = self.replaces(ids) * len(self.context)
        new_ends = ends - skipped + n
        limit = self.clip_model.context_length
        if int(new_ends.max()) >= limit:
            row = int(new_ends.argmax())
            raise TooLongError(row, f"has {int(new_ends[row]) + 1} tokens with {n} learnt tokens inserted, but the "
                               f"context holds {limit}")  # fmt: skip
        places = torch.arange(int(new_ends.max()) + 1)
        source = torch.where(places > n, places - n + skipped[:, None], torch.zeros_like(places))
        return ids.gather(1, source.clamp(max=ids.shape[1] - 1)), new_ends


def interpolated(adapted: Callable[[], torch.Tensor], frozen: Callable[[], torch.Tensor], share: float) -> torch.Tensor:
    """Returns features between plain CLIP's and the adapted ones, as ``opendas_plugin`` mixes them: (N, D)."""
    if share in (0, 1):
        return adapted() if share else frozen()
    mixed = share * unit(adapted(), dim=-1) + (1 - share) * unit(frozen(), dim=-1)
    return unit(mixed, dim=-1)


def _causal_block(block: Block, x: torch.Tensor, before: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One layer over tokens (B, L, width) behind P others, whose keys and values (1, P, 2 width) are known.

    Returns its output (B, L, width), and keys and values (B, L, 2 width).
    """
    attn, (rows, length, width), past = block.attn, x.shape, before.shape[1]
    projected = linear(block.ln_1(x), attn.in_proj_weight, attn.in_proj_bias)
    query, own = projected.split([width, 2 * width], dim=-1)
    both = torch.cat([before.expand(rows, -1, -1), own], dim=1)
    query, key, value = (
        part.reshape(rows, part.shape[1], attn.num_heads, -1).transpose(1, 2)
        for part in (query, both[..., :width], both[..., width:])
    )
    mask = torch.full((length, past + length), float("-inf"), dtype=x.dtype, device=x.device).triu(past + 1)
    weights = (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5 + mask).softmax(dim=-1)
    x = x + attn.out_proj((weights @ value).transpose(1, 2).reshape(rows, length, width))
    return x + block.mlp(block.ln_2(x)), own
