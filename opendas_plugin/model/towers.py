"""The forward passes of open_clip's two towers, with learnt tokens in them.

The one file that reads open_clip's tower internals (3.x). It owns no weights: the functions run open_clip's own
modules, so that without learnt tokens the features are open_clip's. What no later step reads is not computed:
the outputs of tokens that the next layer replaces, the last layer of all but the token that becomes the feature,
padding, and the texts' common beginning more than once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

import torch
from open_clip.transformer import ResidualAttentionBlock, TextTransformer, Transformer, VisionTransformer
from torch import nn
from torch.func import functional_call
from torch.nn.functional import linear, scaled_dot_product_attention

from opendas_plugin.errors import BackboneError
from opendas_plugin.model.packing import PackedTexts

OpenCLIP: TypeAlias = Any
"""An open_clip ``CLIP`` or ``CustomTextCLIP``; open_clip ships no types."""
Tower: TypeAlias = Literal["visual", "text"]
Matrices: TypeAlias = Literal["all", "query_key_value", "mlp_out"]
T = TypeVar("T")


def require_promptable(model: OpenCLIP, name: str = "this model") -> None:
    """Checks that both towers of an open_clip model can carry learnt tokens.

    Raises:
        BackboneError: they cannot; the message says what the model lacks.
    """
    if lacking := _lacking(model):
        raise unpromptable(name, lacking)


def unpromptable(name: str, lacking: str) -> BackboneError:
    """Returns the error for a model that lacks what learnt tokens need."""
    return BackboneError(
        f"{name} cannot carry learnt tokens: it lacks {lacking}; choose a plain ViT backbone such as ViT-B-16"
    )


def _lacking(model: OpenCLIP) -> str | None:
    visual, text = getattr(model, "visual", None), text_tower(model)
    if not isinstance(visual, VisionTransformer):
        return f"a transformer as visual tower with a class token (it has {type(visual).__name__})"
    if visual.attn_pool is not None or visual.pool_type != "tok":
        return f"class-token pooling (its visual pooling is {'attention' if visual.attn_pool else visual.pool_type!r})"
    if not isinstance(getattr(text, "transformer", None), Transformer):
        return f"open_clip's own text transformer (it has {type(text).__name__})"
    if not all(type(block) is ResidualAttentionBlock for block in (*visual_blocks(model), *text_blocks(model))):
        return "plain attention blocks (they normalise or scale inside the attention)"
    if text.attn_mask is None:
        return "a causal mask in the text tower"
    if _pool_type(text) not in ("argmax", "eos") or len(text.positional_embedding) != model.context_length:
        return "a text feature that is read at the end-of-text token"
    return None


def text_tower(model: OpenCLIP) -> Any:
    """Returns the module that holds the text tower: ``model.text`` of a CustomTextCLIP, a CLIP itself."""
    return getattr(model, "text", model)


def visual_blocks(model: OpenCLIP) -> list[Any]:
    """Returns the visual tower's layers."""
    return list(model.visual.transformer.resblocks)


def text_blocks(model: OpenCLIP) -> list[Any]:
    """Returns the text tower's layers."""
    return list(text_tower(model).transformer.resblocks)


def tower_weights(model: OpenCLIP, tower: Tower) -> dict[str, torch.Tensor]:
    """Returns a tower's weights by their names in the model; the logit scale and bias belong to neither."""
    return {
        name: weight
        for name, weight in model.named_parameters()
        if name.startswith("visual.") == (tower == "visual") and not name.startswith("logit_")
    }


def feature_width(model: OpenCLIP) -> int:
    """Returns D, the length of the image features."""
    visual = model.visual
    return visual.positional_embedding.shape[1] if visual.proj is None else visual.proj.shape[1]


def norm_names(model: OpenCLIP, tower: Tower) -> list[str]:
    """Returns the names of the weights and biases of a tower's LayerNorms."""
    norms = tuple(f"{name}." for name, module in model.named_modules() if isinstance(module, nn.LayerNorm))
    return [name for name in tower_weights(model, tower) if name.startswith(norms)]


def block_matrices(model: OpenCLIP, tower: Tower, which: Matrices = "all") -> dict[str, int]:
    """Returns the names of matrices in a tower's layers, and how many are stacked in each.

    Args:
        model: the frozen model.
        tower: which one.
        which: all matrices, those of query, key and value, or the last one of each MLP.
    """
    end = {"all": "weight", "query_key_value": "in_proj_weight", "mlp_out": "mlp.c_proj.weight"}[which]
    weights = tower_weights(model, tower).items()
    names = [name for name, weight in weights if ".resblocks." in name and weight.ndim == 2 and name.endswith(end)]
    return {name: 3 if name.endswith("in_proj_weight") else 1 for name in names}


def with_weights(
    model: OpenCLIP, weights: Mapping[str, torch.Tensor], function: Callable[..., T], *arguments: Any
) -> T:
    """Calls ``function(model, *arguments)`` with some of the model's weights replaced; the model keeps its own."""
    if not weights:
        return function(model, *arguments)
    replaced = {f"model.{name}": weight for name, weight in weights.items()}
    return functional_call(_Call(model), replaced, (function, *arguments))


class _Call(nn.Module):
    """A function of a model as a module, which torch can call with other weights."""

    def __init__(self, model: OpenCLIP) -> None:
        super().__init__()
        self.model = model

    def forward(self, function: Callable[..., T], *arguments: Any) -> T:
        return function(self.model, *arguments)


def text_ends(model: OpenCLIP, tokens: torch.Tensor) -> torch.Tensor:
    """Returns the positions (N,) of the end-of-text tokens in (N, L) token ids, by the model's own rule."""
    text = text_tower(model)
    if _pool_type(text) == "argmax":
        return tokens.argmax(dim=-1)
    eos = text.eos_id if isinstance(text, TextTransformer) else text.text_eos_id
    return (tokens == eos).int().argmax(dim=-1)


def encode_image(model: OpenCLIP, pixels: torch.Tensor, prompts: torch.Tensor | None = None) -> torch.Tensor:
    """Returns image features (B, D) of CLIP-normalised pixels (B, 3, S, S).

    Args:
        model: an open_clip model that :func:`require_promptable` accepts.
        pixels: (B, 3, S, S) float.
        prompts: (depth, n, width) tokens; layer i < depth reads its own n beside class token and patches.
    """
    visual, blocks = model.visual, visual_blocks(model)
    x = _embed_pixels(visual, pixels)
    layers = [] if prompts is None else list(prompts.to(x.dtype).unbind())
    for i, block in enumerate(blocks):
        tokens, last = None, i == len(blocks) - 1
        if i < len(layers):
            tokens = visual.ln_pre(layers[0]) if i == 0 else layers[i]
            if i == len(layers) - 1 and not last:  # no later layer replaces them: their outputs flow on
                x, tokens = torch.cat([x, tokens.expand(len(x), -1, -1)], dim=1), None
        x = _visual_block(block, x, tokens, class_only=last)

    return _visual_feature(visual, x[:, 0])


def read_image(model: OpenCLIP, pixels: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Returns the features (B, n, D) of n tokens that read class token and patches and that nothing reads.

    What is read is plain CLIP's own, computed without gradient.

    Args:
        model: an open_clip model that :func:`require_promptable` accepts.
        pixels: (B, 3, S, S) float.
        tokens: (n, width), the tokens at the input.
    """
    visual = model.visual
    with torch.no_grad():
        x = _embed_pixels(visual, pixels)
    readers = visual.ln_pre(tokens.to(x.dtype)).expand(len(x), -1, -1)
    for block in visual_blocks(model):
        with torch.no_grad():
            h = block.ln_1(x)
            k, v = _project(block, h, 1, 3).chunk(2, dim=-1)
            x = _finish(block, x, _attend(block, _project(block, h, 0, 1), k, v))
        readers = _read(block, readers, k, v)
    return _visual_feature(visual, readers)


def encode_text(model: OpenCLIP, packed: PackedTexts, prompts: torch.Tensor | None = None) -> torch.Tensor:
    """Returns text features (N, D) of packed texts.

    Args:
        model: an open_clip model that :func:`require_promptable` accepts.
        packed: the texts, with any ids at positions 1 to n where learnt tokens stand.
        prompts: (depth, n, width) tokens; they take positions 1 to n at the input of each layer i < depth.
    """
    text, blocks = text_tower(model), text_blocks(model)
    dtype = text.transformer.get_cast_dtype()
    places = text.positional_embedding.to(dtype)
    x = text.token_embedding(packed.ids).to(dtype) + places[packed.positions]

    layers = [] if prompts is None else list(prompts.to(dtype).unbind())
    for i, block in enumerate(blocks):
        if i < len(layers):
            n = len(layers[i])
            tokens = layers[0] + places[1 : n + 1] if i == 0 else layers[i]
            x = torch.cat([x[:1], tokens, x[n + 1 :]])
        x = _text_block(block, x, packed, ends_only=i == len(blocks) - 1)

    return _text_feature(text, x)


@torch.no_grad()
def text_memory(model: OpenCLIP, packed: PackedTexts) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Returns what tokens behind the texts can read of plain CLIP: each layer's keys and values (N, L, width)."""
    text, blocks = text_tower(model), text_blocks(model)
    dtype = text.transformer.get_cast_dtype()
    x = text.token_embedding(packed.ids).to(dtype) + text.positional_embedding.to(dtype)[packed.positions]
    memory = []
    for i, block in enumerate(blocks):
        kv = _project(block, block.ln_1(x), 1, 3)
        shared = kv[: packed.shared].expand(packed.shape[0], -1, -1)
        k, v = torch.cat([shared, packed.pad(kv[packed.shared :])], dim=1).chunk(2, dim=-1)
        memory.append((k, v))
        if i < len(blocks) - 1:
            x = _text_block(block, x, packed, ends_only=False)
    return memory


def read_text(
    model: OpenCLIP,
    packed: PackedTexts,
    memory: Sequence[tuple[torch.Tensor, torch.Tensor]],
    tokens: torch.Tensor,
) -> torch.Tensor:
    """Returns the features (N, n, D) of n tokens that read each text up to its end and that nothing reads.

    Args:
        model: an open_clip model that :func:`require_promptable` accepts.
        packed: the texts.
        memory: what :func:`text_memory` returned for them.
        tokens: (n, width), the tokens at the input.
    """
    readers = tokens.to(memory[0][0].dtype).expand(packed.shape[0], -1, -1)
    for block, (k, v) in zip(text_blocks(model), memory, strict=True):
        readers = _read(block, readers, k, v, attn_mask=packed.readable)
    return _text_feature(text_tower(model), readers)


@torch.no_grad()
def text_states(model: OpenCLIP, start: int, tokens: torch.Tensor, depth: int) -> torch.Tensor:
    """Returns the frozen states (depth, n, width) at each layer's input of n token embeddings after the start token.

    Layer 0 holds the token embeddings as given, without positions.
    """
    text = text_tower(model)
    first = text.token_embedding.weight[start]
    x = (torch.cat([first[None], tokens]) + text.positional_embedding[: len(tokens) + 1])[None]
    states = [tokens]
    for block in text_blocks(model)[: depth - 1]:
        q, k, v = _project(block, block.ln_1(x), 0, 3).chunk(3, dim=-1)
        x = _finish(block, x, _attend(block, q, k, v, is_causal=True))
        states.append(x[0, 1:])
    return torch.stack(states)


def _embed_pixels(visual: Any, pixels: torch.Tensor) -> torch.Tensor:
    x = visual.conv1(pixels.to(visual.conv1.weight.dtype)).flatten(2).transpose(1, 2)
    x = torch.cat([visual.class_embedding.to(x.dtype).expand(len(x), 1, -1), x], dim=1)
    return visual.ln_pre(visual.patch_dropout(x + visual.positional_embedding.to(x.dtype)))


def _visual_feature(visual: Any, x: torch.Tensor) -> torch.Tensor:
    features = visual.ln_post(x)
    return features if visual.proj is None else features @ visual.proj


def _text_feature(text: Any, x: torch.Tensor) -> torch.Tensor:
    features, projection = text.ln_final(x), text.text_projection
    if projection is None:
        return features
    return projection(features) if isinstance(projection, nn.Linear) else features @ projection


def _visual_block(block: Any, x: torch.Tensor, tokens: torch.Tensor | None, class_only: bool) -> torch.Tensor:
    """One layer over (B, L, width); ``tokens`` (n, width) are only read, since the next layer drops their outputs."""
    h = block.ln_1(x)
    if class_only:
        x = x[:, :1]
        q, (k, v) = _project(block, h[:, :1], 0, 1), _project(block, h, 1, 3).chunk(2, dim=-1)
    else:
        q, k, v = _project(block, h, 0, 3).chunk(3, dim=-1)
    if tokens is not None:
        read = _project(block, block.ln_1(tokens), 1, 3).expand(len(x), -1, -1).chunk(2, dim=-1)
        k, v = torch.cat([k, read[0]], dim=1), torch.cat([v, read[1]], dim=1)
    return _finish(block, x, _attend(block, q, k, v))


def _text_block(block: Any, x: torch.Tensor, packed: PackedTexts, ends_only: bool) -> torch.Tensor:
    """One causal layer over packed tokens (T, width); with ``ends_only`` the output is (N, width)."""
    h, shared, rows = block.ln_1(x), packed.shared, packed.shape[0]
    kv = _project(block, h, 1, 3)
    k, v = torch.cat([kv[:shared].expand(rows, -1, -1), packed.pad(kv[shared:])], dim=1).chunk(2, dim=-1)
    if ends_only:
        q = _project(block, h[packed.ends], 0, 1)[:, None]
        return _finish(block, x[packed.ends], _attend(block, q, k, v, attn_mask=packed.readable)[:, 0])
    q = _project(block, h, 0, 1)
    attended = packed.unpad(_attend(block, packed.pad(q[shared:]), k, v, attn_mask=packed.causal))
    if shared:
        k, v = kv[None, :shared].chunk(2, dim=-1)
        attended = torch.cat([_attend(block, q[None, :shared], k, v, is_causal=True)[0], attended])
    return _finish(block, x, attended)


def _read(block: Any, readers: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **mask: Any) -> torch.Tensor:
    """One layer of tokens (B, n, width) that read keys and values (B, L, width) of others."""
    return _finish(block, readers, _attend(block, _project(block, block.ln_1(readers), 0, 1), k, v, **mask))


def _project(block: Any, x: torch.Tensor, first: int, last: int) -> torch.Tensor:
    """Returns the parts ``first`` to ``last`` of query, key and value of ``x`` (..., width), joined."""
    attn, width = block.attn, x.shape[-1]
    rows = slice(first * width, last * width)
    return linear(x, attn.in_proj_weight[rows], attn.in_proj_bias[rows])


def _attend(block: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **mask: Any) -> torch.Tensor:
    """Attention of (B, Lq, width) queries to (B, L, width) keys and values, heads split and joined again."""
    q, k, v = (t.unflatten(-1, (block.attn.num_heads, -1)).transpose(1, 2) for t in (q, k, v))
    return scaled_dot_product_attention(q, k, v, **mask).transpose(1, 2).flatten(2)


def _finish(block: Any, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    x = x + block.ls_1(block.attn.out_proj(attended))
    return x + block.ls_2(block.mlp(block.ln_2(x)))


def _pool_type(text: Any) -> str:
    return text.pool_type if isinstance(text, TextTransformer) else text.text_pool_type
