"""The learnt tokens: their tensors, what they start from, and where they stand in a text."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import nn
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import BackboneError, ConfigError, DataError
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.model.tower import (
    LayeredText,
    LayeredVisual,
    ReadableVisual,
    TextTower,
    Towers,
    VisualTower,
)


class Learnt(nn.Module):
    """What is learnt stays float32 under ``half()`` or ``to(dtype)``: the tower casts it where it uses it."""

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Learnt:
        def move(tensor: torch.Tensor) -> torch.Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        return super()._apply(move, recurse)


class Prompts(Learnt):
    """The learnt tokens of one tower, (depth, n, width), or none."""

    def __init__(self, tokens: torch.Tensor | None) -> None:
        super().__init__()
        self.tokens = None if tokens is None else nn.Parameter(tokens)


class CoupledPrompts(Learnt):
    """Visual tokens that are, layer by layer, linear in the text tokens (MaPLe, Khattak et al., CVPR 2023).

    Layers behind the text tower's last have text tokens of their own, which that tower never reads.
    """

    def __init__(self, text: Prompts, width: int, generator: torch.Generator) -> None:
        super().__init__()
        tokens = cast(torch.Tensor, text.tokens)  # PromptConfig asks for at least one
        depth, _, text_width = tokens.shape
        self._text = (text,)  # in a tuple: the tokens are the text prompts' to learn and to store
        first, later = (_linear(text_width, width, generator) for _ in range(2))
        layers = [first, *[later] * (depth - 1)]  # the later ones start as copies of one
        self.weight = nn.Parameter(torch.stack([weight for weight, _ in layers]).to(tokens.device))
        self.bias = nn.Parameter(torch.stack([bias for _, bias in layers]).to(tokens.device))

    @property
    def tokens(self) -> torch.Tensor:
        """(depth, n, width)."""
        text = cast(torch.Tensor, self._text[0].tokens)
        return torch.baddbmm(self.bias[:, None], text, self.weight.transpose(1, 2))


class TextPrompts(Prompts):
    """The text tower's learnt tokens, and the ids that they stand for.

    Where the ids after the start token are the words that the first layer started from, the learnt tokens take
    their place; in any other text they are inserted after the start token.
    """

    def __init__(self, tokens: torch.Tensor | None, start: int, replaced: tuple[int, ...]) -> None:
        super().__init__(tokens)
        self.start = start
        self.replaced = replaced

    @property
    def alike(self) -> int:
        """Ids at the beginning that all texts have in common once there is room: the start token's and the n's."""
        return 0 if self.tokens is None else self.tokens.shape[1] + 1

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
        if torch.compiler.is_compiling():
            return self._place_compiled(tokens, ends, n, context_length)
        if (strange := tokens[:, 0] != self.start).any():
            row = int(strange.nonzero()[0])
            raise DataError(
                f"text {row} begins with token {int(tokens[row, 0])}, expected the start token {self.start}; "
                "tokenise texts with the model's tokenizer"
            )
        skipped = self._skipped(tokens, ends)
        new_ends = ends - skipped + n
        if (too_long := new_ends >= context_length).any():
            row = int(too_long.nonzero()[0])
            raise DataError(
                f"{decode(tokens[row, 1 : ends[row]])!r} has {int(new_ends[row]) + 1} tokens with {n} learnt tokens "
                f"inserted, but the context holds {context_length}; shorten it"
            )
        places = torch.arange(int(new_ends.max()) + 1)
        return self._shifted(tokens, skipped, places, n), new_ends

    def _place_compiled(
        self, tokens: torch.Tensor, ends: torch.Tensor, n: int, context_length: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`place`, by sizes that no value decides; the texts are then n longer, which may be padding.

        What does not fit is a RuntimeError of torch; an ONNX graph cannot say it.
        """
        skipped = self._skipped(tokens, ends)
        new_ends = ends - skipped + n
        torch._assert_async((tokens[:, 0] == self.start).all(), "a text does not begin with the start token")
        torch._assert_async(
            (new_ends < context_length).all(), f"a text does not fit the context of {context_length} tokens; shorten it"
        )
        places = torch.arange(tokens.shape[1] + n, device=tokens.device)
        return self._shifted(tokens, skipped, places, n), new_ends

    def _skipped(self, tokens: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        """How many words of each text the learnt tokens take the place of, (N,)."""
        words = len(self.replaced)
        if words >= tokens.shape[1]:
            return torch.zeros_like(ends)
        replaced = torch.tensor(self.replaced, dtype=tokens.dtype, device=tokens.device)
        return ((tokens[:, 1 : 1 + words] == replaced).all(dim=1) & (ends > words)) * words

    @staticmethod
    def _shifted(tokens: torch.Tensor, skipped: torch.Tensor, places: torch.Tensor, n: int) -> torch.Tensor:
        source = torch.where(places > n, places - n + skipped[:, None], 0)
        return tokens.gather(1, source.clamp(max=tokens.shape[1] - 1))


class ConditionalPrompts(TextPrompts):
    """Text tokens of the first layer that a small network moves by the image (CoCoOp, Zhou et al., CVPR 2022)."""

    def __init__(
        self, tokens: torch.Tensor, start: int, replaced: tuple[int, ...], features: int, generator: torch.Generator
    ) -> None:
        super().__init__(tokens, start, replaced)
        width, hidden = tokens.shape[-1], features // 16
        first, second = (_new_linear(*sizes, generator) for sizes in ((features, hidden), (hidden, width)))
        self.net = nn.Sequential(first, nn.ReLU(), second).to(tokens.device)

    def of(self, image: torch.Tensor) -> torch.Tensor:
        """Returns the tokens (B, 1, n, width) for image features (B, D) of unit length."""
        return cast(torch.Tensor, self.tokens) + self.net(image)[:, None, None]


def new_prompts(
    towers: Towers,
    config: PromptConfig,
    tokenize: Callable[[str], torch.Tensor],
    generator: torch.Generator,
    name: str = "this model",
) -> tuple[Prompts | CoupledPrompts, TextPrompts]:
    """Returns the visual and the text tower's tokens at their start, in the form that ``config`` asks for.

    Args:
        towers: the frozen towers; on ``meta`` no words are looked up, and the tokens are shapes alone.
        config: their number, depth, start and form.
        tokenize: turns a text into token ids (1, L).
        generator: of the noise.
        name: the model's, for messages.

    Raises:
        BackboneError: a tower that cannot carry them.
        ConfigError: more layers are asked for than there are, or a start that the text tower cannot have.
    """
    require_room(towers, config, name)
    if config.form == "read_only":
        return new_read_only_prompts(towers, config, tokenize, generator)
    if config.form == "coupled":
        layered = cast(LayeredVisual, towers.visual)
        depth = _depth("visual_depth", config.visual_depth, layered.depth)
        text = new_text_prompts(towers.text, config, tokenize, generator, depth)
        return CoupledPrompts(text, layered.width, generator), text
    visual = new_visual_prompts(towers.visual, config, generator)
    text = new_text_prompts(towers.text, config, tokenize, generator)
    if config.form == "conditional" and text.tokens is not None:
        features = towers.visual.feature_width
        text = ConditionalPrompts(text.tokens.detach(), text.start, text.replaced, features, generator)
    return visual, text


def require_room(towers: Towers, config: PromptConfig, name: str) -> None:
    """Checks that the towers can carry the learnt tokens that are asked for; ``name`` is the model's.

    Raises:
        BackboneError: they cannot; the message says what the model lacks.
    """
    asked = {"visual": config.visual_tokens, "text": config.text_tokens}
    for tower in (getattr(towers, side) for side, count in asked.items() if count):
        if lacking := tower.no_readers if config.form == "read_only" else tower.no_tokens:
            kind = "read-only tokens" if config.form == "read_only" else "learnt tokens"
            raise BackboneError(
                f"{name} cannot carry {kind}: it lacks {lacking}; choose a method that learns weights, such as "
                "opendas_plus, or another backbone (opendas-backbones lists what each takes)"
            )


def new_visual_prompts(tower: VisualTower, config: PromptConfig, generator: torch.Generator) -> Prompts:
    """Returns the visual tower's tokens at their start: noise N(0, init_std)."""
    if config.visual_tokens == 0:
        return Prompts(None)
    tower = cast(LayeredVisual, tower)
    depth = _depth("visual_depth", config.visual_depth, tower.depth)
    noise = torch.randn(depth, config.visual_tokens, tower.width, generator=generator)
    return Prompts(config.init_std * noise.to(tower.device))


def new_text_prompts(
    tower: TextTower,
    config: PromptConfig,
    tokenize: Callable[[str], torch.Tensor],
    generator: torch.Generator,
    depth: int | None = None,
) -> TextPrompts:
    """Returns the text tower's tokens at their start, in ``depth`` layers if not in as many as ``config`` says.

    Layer 0 has the embeddings of the context's first n ids, then noise; later layers have noise, or the states that
    layer 0's tokens have in the frozen tower.
    """
    if config.text_tokens == 0:
        return TextPrompts(None, start=0, replaced=())
    tower = cast(LayeredText, tower)
    depth = depth or _depth("text_depth", config.text_depth, tower.depth)
    if config.deep_text_init == "zero_shot" and not tower.is_causal:
        raise ConfigError(
            "deep_text_init 'zero_shot' needs a causal text tower, where a state depends on no later word; use 'normal'"
        )
    table = tower.token_embedding.weight.detach()
    noise = torch.randn(depth, config.text_tokens, tower.width, generator=generator)
    tokens = config.init_std * noise.to(table.device)
    if table.is_meta:
        return TextPrompts(tokens, start=0, replaced=())
    row = tokenize(config.context)
    start, *words = row[0, : tower.ends(row)].tolist()
    words = words[: config.text_tokens]
    tokens[0, : len(words)] = table[torch.tensor(words, dtype=torch.int64, device=table.device)].float()
    if config.deep_text_init == "zero_shot":
        tokens = tower.states(start, tokens[0], depth)
    return TextPrompts(tokens, start, tuple(words))


def new_read_only_prompts(
    towers: Towers,
    config: PromptConfig,
    tokenize: Callable[[str], torch.Tensor],
    generator: torch.Generator,
) -> tuple[Prompts, TextPrompts]:
    """Returns read-only tokens (RPO, Lee et al., ICCV 2023), 0.1 away from the tokens that CLIP's features are read at.

    In the visual tower that is the class token, in the text tower the end-of-text token.
    """
    visual_tower, text_tower = cast(ReadableVisual, towers.visual), cast(LayeredText, towers.text)
    start, end = 0, 0
    if not text_tower.token_embedding.weight.is_meta:
        row = tokenize(config.context)
        start, end = int(row[0, 0]), int(row[0, text_tower.ends(row)])

    def around(centre: torch.Tensor, count: int) -> torch.Tensor:
        noise = unit(torch.randn(1, count, len(centre), generator=generator), dim=-1)
        return centre.detach().float() + 0.1 * noise.to(centre.device)

    visual = around(visual_tower.summary_token, config.visual_tokens)
    words = around(text_tower.token_embedding.weight[end], config.text_tokens)
    return Prompts(visual), TextPrompts(words, start, ())


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (outputs, inputs) and bias of torch's Linear at its start."""
    bound = 1 / math.sqrt(inputs)
    weight, bias = (torch.rand(*size, generator=generator) for size in ((outputs, inputs), (outputs,)))
    return bound * (2 * weight - 1), bound * (2 * bias - 1)


def _new_linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    layer, (weight, bias) = nn.Linear(inputs, outputs, device="meta"), _linear(inputs, outputs, generator)
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer


def _depth(name: str, depth: int | None, layers: int) -> int:
    if depth is not None and depth > layers:
        raise ConfigError(f"expected {name} to be at most the tower's {layers} layers, or None for all, got {depth}")
    return depth or layers
