"""What learnt tokens start from, in every form, and which towers have room for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import BackboneError, ConfigError
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.model.factored import DEPTH, FactoredPrompts, FactoredText
from opendas_plugin.model.placing import Places, frame_of, words_of
from opendas_plugin.model.prompts import ConditionalPrompts, CoupledPrompts, Prompts, TextPrompts
from opendas_plugin.model.tower import LayeredText, LayeredVisual, ReadableVisual, TextTower, Towers, VisualTower
from opendas_plugin.wording import counted


def new_prompts(
    towers: Towers,
    config: PromptConfig,
    tokenize: Callable[[str], torch.Tensor],
    generator: torch.Generator,
    name: str = "this model",
) -> tuple[Prompts | CoupledPrompts | FactoredPrompts, TextPrompts]:
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
    if config.form == "factored":
        return new_factored_prompts(towers, config, tokenize, generator)
    if config.form == "coupled":
        layered = cast(LayeredVisual, towers.visual)
        depth = _depth("visual_depth", config.visual_depth, layered.depth)
        text = new_text_prompts(towers.text, config, tokenize, generator, depth)
        return CoupledPrompts(text, layered.width, generator), text
    visual = new_visual_prompts(towers.visual, config, generator)
    text = new_text_prompts(towers.text, config, tokenize, generator)
    if config.form == "conditional" and text.tokens is not None:
        features = towers.visual.feature_width
        text = ConditionalPrompts(text.tokens.detach(), text.places, features, generator)
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
        return TextPrompts(None)
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
        return TextPrompts(tokens)
    frame, words = frame_of(tokenize), words_of(tokenize, config.context)[: config.text_tokens]
    tokens[0, : len(words)] = table[torch.tensor(words, dtype=torch.int64, device=table.device)].float()
    if config.deep_text_init == "zero_shot":
        states = tower.states(frame.start, tokens[0], depth)
        tokens[: len(states)] = states
    return TextPrompts(tokens, Places(config.text_tokens, frame, words))


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
    end, places = 0, None
    if not text_tower.token_embedding.weight.is_meta:
        row = tokenize(config.context)
        end, places = int(row[0, text_tower.ends(row)]), Places(config.text_tokens, frame_of(tokenize))

    def around(centre: torch.Tensor, count: int) -> torch.Tensor:
        noise = unit(torch.randn(1, count, len(centre), generator=generator), dim=-1)
        return centre.detach().float() + 0.1 * noise.to(centre.device)

    visual = around(visual_tower.summary_token, config.visual_tokens)
    words = around(text_tower.token_embedding.weight[end], config.text_tokens)
    return Prompts(visual), TextPrompts(words, places)


def new_factored_prompts(
    towers: Towers,
    config: PromptConfig,
    tokenize: Callable[[str], torch.Tensor],
    generator: torch.Generator,
) -> tuple[FactoredPrompts, FactoredText]:
    """Returns tokens of rank 1: the text tower's from the nearest to the context's, the visual rows from noise."""
    layered = cast(LayeredVisual, towers.visual), cast(LayeredText, towers.text)
    asked = config.visual_depth, config.text_depth
    visual_depth, text_depth = (
        _depth(f"{side}_depth", min(DEPTH, tower.depth) if depth is None else depth, tower.depth)
        for side, tower, depth in zip(("visual", "text"), layered, asked, strict=True)
    )
    words = new_text_prompts(towers.text, config, tokenize, generator, text_depth)
    tokens = cast(torch.Tensor, words.tokens).detach()
    text = FactoredText(tokens, words.places, towers.text.feature_width)
    noise = config.init_std * torch.randn(visual_depth, 1, layered[0].width, generator=generator)
    return FactoredPrompts(text, noise.to(tokens.device)), text


def _depth(name: str, depth: int | None, layers: int) -> int:
    if depth is not None and depth > layers:
        raise ConfigError(
            f"expected {name} to be at most the tower's {counted(layers, 'layer')}, or None for all, got {depth}"
        )
    return depth or layers
