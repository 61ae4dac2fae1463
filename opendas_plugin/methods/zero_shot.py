"""Plain CLIP: nothing is learnt. One template, or the mean of its text features over CLIP's own templates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from open_clip import OPENAI_IMAGENET_TEMPLATES
from torch import Tensor
from torch.nn.functional import normalize as unit

from opendas_plugin.methods.stages import NO_PROMPTS, Method
from opendas_plugin.model.adapted_clip import OpenDASCLIP

METHOD = Method(stages=(), recipe={"prompts": NO_PROMPTS})


@torch.no_grad()
def ensemble_features(clip: OpenDASCLIP, names: Sequence[str]) -> Tensor:
    """Returns the mean (N, D) of each name's plain features over CLIP's 80 ImageNet templates, of unit length."""
    with clip.prompts_disabled():
        features = [
            clip.encode_text(clip.tokenize([template(name) for name in names]), normalize=True).float()
            for template in OPENAI_IMAGENET_TEMPLATES
        ]
    return unit(torch.stack(features).mean(dim=0), dim=-1)
