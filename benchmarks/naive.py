"""The rivals of train_step.py: the same prompts and the same loss, as the CoOp family's repositories compute them.

open_clip's own blocks run over whole sequences: text at all positions of the context, every related name of the batch
encoded with gradient, images encoded anew at every step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.functional import normalize as unit

from opendas_plugin.crops import OPENAI_PIXELS
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.towers.parts import text_blocks, text_module, visual_blocks


def embed_image(model: nn.Module, pixels: Tensor) -> Tensor:
    """Class token and patches with their positions, (B, 1 + patches, width)."""
    visual = model.visual
    patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
    tokens = torch.cat([visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1), patches], dim=1)
    return tokens + visual.positional_embedding


def encode_image(model: nn.Module, pixels: Tensor, prompts: Tensor) -> Tensor:
    """Image features (B, D) with (depth, n, width) prompts at the end of the sequence, replaced before each layer."""
    visual, n = model.visual, prompts.shape[1]
    x = embed_image(model, pixels)
    x = visual.ln_pre(torch.cat([x, prompts[0].expand(len(x), -1, -1)], dim=1))
    for number, block in enumerate(visual_blocks(model)):
        if 0 < number < len(prompts):
            x = torch.cat([x[:, :-n], prompts[number].expand(len(x), -1, -1)], dim=1)
        x = block(x)
    features = visual.ln_post(x[:, 0])
    return features if visual.proj is None else features @ visual.proj


def encode_text(model: nn.Module, tokens: Tensor, prompts: Tensor) -> Tensor:
    """Text features (N, D) with (depth, n, width) prompts at positions 1 to n, replaced before each layer."""
    text, n = text_module(model), prompts.shape[1]
    x = text.token_embedding(tokens)
    for number, block in enumerate(text_blocks(model)):
        if number < len(prompts):
            x = torch.cat([x[:, :1], prompts[number].expand(len(x), -1, -1), x[:, 1 + n :]], dim=1)
        if number == 0:
            x = x + text.positional_embedding
        x = block(x, attn_mask=text.attn_mask.to(x.dtype))
    ends = tokens.argmax(dim=-1)
    features = text.ln_final(x)[torch.arange(len(x), device=x.device), ends]
    projection = text.text_projection
    return projection(features) if isinstance(projection, nn.Linear) else features @ projection


def second_stage_loss(
    clip: OpenDASCLIP, crops: Tensor, labels: Tensor, names: Tensor, related: Tensor, weight: float, margin: float
) -> Tensor:
    """Cross-entropy over all names and the triplet loss against the hardest related name, everything encoded anew.

    Args:
        clip: the model and both towers' prompts.
        crops: (B, S, S, 3) uint8.
        labels: (B,) classes.
        names: (C, L) token ids of the class names.
        related: (C, K, L) token ids of each class's related names.
        weight: of the triplet loss.
        margin: of the triplet loss.
    """
    model, visual, text = clip.model, clip.visual_prompts.tokens, clip.text_prompts.tokens
    with torch.no_grad():
        image = unit(encode_image(model, OPENAI_PIXELS.normalise(crops), visual).float(), dim=-1)
    own = unit(encode_text(model, names, text).float(), dim=-1)
    others = unit(encode_text(model, related[labels].flatten(0, 1), text).float(), dim=-1)
    others = others.unflatten(0, (len(labels), -1))  # (B, K, D)
    entropy = cross_entropy(clip.logit_scale.exp() * image @ own.T, labels)
    near = torch.linalg.vector_norm(image - own[labels] + 1e-6, dim=-1)
    far = torch.linalg.vector_norm(image[:, None] - others + 1e-6, dim=-1).amin(dim=-1)
    return entropy + weight * (near - far + margin).clamp_min(0).mean()


def bare_visual_pass(model: nn.Module, pixels: Tensor, extra: Tensor) -> None:
    """Forward and backward of the activations of open_clip's own visual tower, with ``extra`` (n, width) more tokens.

    The gradient runs through every layer and token down to ``extra``; the weights get none.
    """
    visual = model.visual
    x = embed_image(model, pixels)
    x = visual.transformer(visual.ln_pre(torch.cat([x, extra.expand(len(x), -1, -1)], dim=1)))
    features = visual.ln_post(x[:, 0])
    (features if visual.proj is None else features @ visual.proj).float().sum().backward()
