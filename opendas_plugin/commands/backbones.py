"""The flags that name a model and its crops, and the model that they name."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch

from opendas_plugin.commands.common import Options, UsageError
from opendas_plugin.crops import CropPolicy
from opendas_plugin.model.adapted_clip import OpenDASCLIP

DEFAULT_BACKBONE = "office-tiny"

Chosen = TypeVar("Chosen", bound="ModelOptions")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Options):
    """The model, the template and the crops that a command classifies with. Without --adapter: zero-shot."""

    adapter: str | None = None
    """Adapter to switch on: a folder, or an id on the Hugging Face hub."""
    backbone: str | None = None
    """open_clip model name, OpenAI-format file, or office-tiny (the default). An adapter names its own."""
    pretrained: str | None = None
    """open_clip tag or weight file. With --adapter: where the adapter's weight file lies now."""
    backbone_seed: int = 0
    """Seed of the backbone's random weights, where it has no pretrained ones. An adapter names its own."""
    template: str | None = None
    """Text with one {} for the name; default: the adapter's, or the vocabulary's."""
    background: Literal["keep", "mean"] | None = None
    """Crop background; default: the adapter's, or keep."""
    expand: float | None = None
    """Crop expansion as a fraction of the box's sides; default: the adapter's, or 0.1."""
    resize: Literal["squash", "center"] | None = None
    """Crop resize; default: the adapter's, or squash."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    batch_size: int = 64
    """Crops a forward."""
    workers: int = 2
    """Threads that decode and crop."""


def load_clip(options: ModelOptions, device: torch.device) -> OpenDASCLIP:
    """Builds the model that the flags name.

    Raises:
        UsageError: both an adapter and a backbone are named.
    """
    if options.adapter is None:
        name = options.backbone or DEFAULT_BACKBONE
        seed = options.backbone_seed
        return OpenDASCLIP.from_backbone(name, options.pretrained, prompts=None, device=device, seed=seed)
    if options.backbone is not None:
        raise UsageError("give --adapter or --backbone, not both: an adapter names its own backbone")
    return OpenDASCLIP.from_pretrained(options.adapter, pretrained=options.pretrained, device=device)


def crop_policy(options: ModelOptions, clip: OpenDASCLIP) -> CropPolicy:
    """The adapter's crop policy or the default one, with what the flags override, at the backbone's image size."""
    stored = dict(clip.config.crop_policy) if options.adapter else {}
    given = {key: getattr(options, key) for key in ("background", "expand", "resize")}
    chosen = {key: value for key, value in given.items() if value is not None}
    if options.adapter and any(stored.get(key) != value for key, value in chosen.items()):
        logger.warning("the adapter was trained with the crop policy %s; the flags change it", stored)
    return CropPolicy.from_dict({**stored, **chosen, "size": clip.image_size})


def resolved(options: Chosen, clip: OpenDASCLIP, template: str, policy: CropPolicy, device: torch.device) -> Chosen:
    """The options with what was left open filled in, for ``run.json``."""
    return dataclasses.replace(
        options,
        backbone=clip.backbone.name,
        pretrained=clip.backbone.pretrained,
        backbone_seed=clip.backbone.seed or 0,
        template=template,
        background=policy.background,
        expand=policy.expand,
        resize=policy.resize,
        device=str(device),
    )
