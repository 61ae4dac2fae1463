"""OpenDAS: first the visual prompts by cross-entropy, then the text prompts by cross-entropy and the triplet loss."""

from __future__ import annotations

from opendas_plugin.methods.stages import Stage
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig


def default_prompts() -> PromptConfig:
    """8 visual and 4 text tokens in every layer."""
    return PromptConfig()


def stages() -> tuple[Stage, ...]:
    """Stage 1 against the frozen text classifier; stage 2 with the visual prompts frozen and at work."""
    return Stage("visual", learns=("visual",)), Stage("text", learns=("text",), triplet=True)


def parameter_count(backbone: str) -> int:
    """Values of all tokens: 233,472 on ViT-L-14."""
    clip = OpenDASCLIP.from_backbone(backbone, prompts=default_prompts(), device="meta")
    return sum(tensor.numel() for tensor in clip.prompt_parameters())
