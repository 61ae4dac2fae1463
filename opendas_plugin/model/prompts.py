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

    def _apply(self, fn, recurse: bool = True):
        def move(tensor: torch.Tensor) -> torch.Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        return super()._apply(move, recurse)


class TextPrompts(Prompts):
    """The text tower's learnt tokens, and the ids that they stand for.

    Where the ids after the start token are the words that the first layer started from, the learnt tokens take
    their place; in any other text they are inserted after the start token.
    """

    replaced: torch.Tensor

    def __init__(self, tokens: torch.Tensor | None, start: int = 0, replaced: torch.Tensor | None = None) -> None:
        super().__init__(tokens)
        self.start = start
        self.register_buffer("replaced", torch.empty(0).long() if replaced is None else replaced, persistent=False)

    def place(
        self, tokens: torch.Tensor, ends: torch.Tensor, context_length: int, decode: Callable[[torch.Tensor], str]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Makes room for the n learnt tokens at positions 1 to n of every text.

        Args:
            tokens: (N, L) int64 ids on the CPU.
            ends: (N,) positions of the end-of-text tokens.
            context_length: the longest text that the tower reads.
            decode: turns a row of ids into words, for messages.

        Returns:
            ids (N, L') with any ids at positions 1 to n, and the new positions of the end-of-text tokens.

        Raises:
            DataError: a text does not begin with the start token, or no longer fits.
        """
        if self.tokens is None:
            return tokens, ends
        n, replaced = self.tokens.shape[1], self.replaced.cpu()
        if (other := tokens[:, 0] != self.start).any():
            row = int(other.nonzero()[0])
            raise DataError(
                f"text {row} begins with token {int(tokens[row, 0])}, expected the start token {self.start}; "
                "tokenise texts with the model's tokenizer"
            )
        begins = (tokens[:, 1 : 1 + len(replaced)] == replaced).all(dim=1) & (ends > len(replaced))
        skipped = begins * len(replaced)
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


def initial_visual_tokens(model: nn.Module, config: PromptConfig, generator: torch.Generator) -> torch.Tensor | None:
    """Returns (depth, n, width) noise N(0, init_std), or None for 0 tokens."""
    blocks = towers.visual_blocks(model)
    depth = _depth("visual_depth", config.visual_depth, len(blocks))
    width = model.visual.transformer.width
    if config.visual_tokens == 0:
        return None
    return config.init_std * torch.randn(depth, config.visual_tokens, width, generator=generator)


def initial_text_tokens(
    model: nn.Module, config: PromptConfig, context: torch.Tensor, start: int, generator: torch.Generator
) -> torch.Tensor | None:
    """Returns (depth, n, width) tokens, or None for 0 tokens.

    Layer 0 has the embeddings of ``context`` (at most n ids), then noise; later layers have noise, or the states
    that layer 0's tokens have in the frozen tower.
    """
    text = towers.text_tower(model)
    depth = _depth("text_depth", config.text_depth, len(towers.text_blocks(model)))
    if config.text_tokens == 0:
        return None
    table = text.token_embedding.weight.detach()
    noise = config.init_std * torch.randn(depth, config.text_tokens, table.shape[1], generator=generator)
    tokens = noise.to(table.device)
    tokens[0, : len(context)] = table[context.to(table.device)].float()
    return towers.text_states(model, start, tokens[0], depth) if config.deep_text_init == "zero_shot" else tokens


def _depth(name: str, depth: int | None, layers: int) -> int:
    if depth is not None and depth > layers:
        raise ConfigError(
            f"{name} is {depth}, but the tower has {layers} layers; choose at most {layers}, or None for all"
        )
    return depth or layers
