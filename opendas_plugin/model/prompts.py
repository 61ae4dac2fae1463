"""The learnt tokens: their tensors, what they start from, and where they stand in a text."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.model import towers
from opendas_plugin.model.config import PromptConfig


class Prompts(nn.Module):
    """The learnt tokens of one tower, (depth, n, width), or none.

    They stay float32 under ``half()`` or ``to(dtype)``: the tower casts them where it uses them.
    """

    def __init__(self, tokens: torch.Tensor | None) -> None:
        super().__init__()
        self.tokens = None if tokens is None else nn.Parameter(tokens)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Prompts:
        def move(tensor: torch.Tensor) -> torch.Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        return super()._apply(move, recurse)


class TextPrompts(Prompts):
    """The text tower's learnt tokens, and the ids that they stand for.

    Where the ids after the start token are the words that the first layer started from, the learnt tokens take
    their place; in any other text they are inserted after the start token.
    """

    def __init__(self, tokens: torch.Tensor | None, start: int, replaced: tuple[int, ...]) -> None:
        super().__init__(tokens)
        self.start = start
        self.replaced = replaced

    def place(
        self, tokens: torch.Tensor, ends: torch.Tensor, context_length: int, decode: Callable[[torch.Tensor], str]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Makes room for the n learnt tokens at positions 1 to n of every text.

        Args:
            tokens: (N, L) int64 ids on the CPU.
            ends: (N,) positions of the end-of-text tokens.
            context_length: the longest text that the tower reads.
            decode: turns ids into words, for messages.

        Returns:
            ids (N, L') with any ids at positions 1 to n, and the new positions of the end-of-text tokens.

        Raises:
            DataError: a text does not begin with the start token, or no longer fits.
        """
        n = 0 if self.tokens is None else self.tokens.shape[1]
        if (strange := tokens[:, 0] != self.start).any():
            row = int(strange.nonzero()[0])
            raise DataError(
                f"text {row} begins with token {int(tokens[row, 0])}, expected the start token {self.start}; "
                "tokenise texts with the model's tokenizer"
            )
        words = len(self.replaced)
        begins = (tokens[:, 1 : 1 + words] == torch.tensor(self.replaced)).all(dim=1) & (ends > words)
        skipped = begins * words
        new_ends = ends - skipped + n
        if (too_long := new_ends >= context_length).any():
            row = int(too_long.nonzero()[0])
            raise DataError(
                f"{decode(tokens[row, 1 : ends[row]])!r} has {int(new_ends[row]) + 1} tokens with {n} learnt tokens "
                f"inserted, but the context holds {context_length}; shorten it"
            )
        places = torch.arange(int(new_ends.max()) + 1)
        source = torch.where(places > n, places - n + skipped[:, None], 0)
        return tokens.gather(1, source.clamp(max=tokens.shape[1] - 1)), new_ends


def new_visual_prompts(model: towers.OpenCLIP, config: PromptConfig, generator: torch.Generator) -> Prompts:
    """Returns the visual tower's tokens at their start: noise N(0, init_std)."""
    depth = _depth("visual_depth", config.visual_depth, len(towers.visual_blocks(model)))
    if config.visual_tokens == 0:
        return Prompts(None)
    table = model.visual.positional_embedding
    noise = torch.randn(depth, config.visual_tokens, table.shape[1], generator=generator)
    return Prompts(config.init_std * noise.to(table.device))


def new_text_prompts(
    model: towers.OpenCLIP,
    config: PromptConfig,
    tokenize: Callable[[str], torch.Tensor],
    generator: torch.Generator,
) -> TextPrompts:
    """Returns the text tower's tokens at their start.

    Layer 0 has the embeddings of the context's first n ids, then noise; later layers have noise, or the states that
    layer 0's tokens have in the frozen tower.
    """
    depth = _depth("text_depth", config.text_depth, len(towers.text_blocks(model)))
    if config.text_tokens == 0:
        return TextPrompts(None, start=0, replaced=())
    row = tokenize(config.context)
    start, *words = row[0, : towers.text_ends(model, row)].tolist()
    words = words[: config.text_tokens]
    table = towers.text_tower(model).token_embedding.weight.detach()
    noise = torch.randn(depth, config.text_tokens, table.shape[1], generator=generator)
    tokens = config.init_std * noise.to(table.device)
    tokens[0, : len(words)] = table[torch.tensor(words, dtype=torch.int64, device=table.device)].float()
    if config.deep_text_init == "zero_shot":
        tokens = towers.text_states(model, start, tokens[0], depth)
    return TextPrompts(tokens, start, tuple(words))


def _depth(name: str, depth: int | None, layers: int) -> int:
    if depth is not None and depth > layers:
        raise ConfigError(f"expected {name} to be at most the tower's {layers} layers, or None for all, got {depth}")
    return depth or layers
