"""What a stage minimises that does not look at names: how undecided the model is about its segments (MLMP)."""

from __future__ import annotations

import torch
from open_clip import SIMPLE_IMAGENET_TEMPLATES
from torch import Tensor, nn
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import ConfigError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.train.losses import class_logits
from opendas_plugin.train.objective import Batch
from opendas_plugin.vocabulary import Vocabulary

LATER = 0.75
"""Share of the layers, the last ones, whose features are averaged."""


class EntropyObjective(nn.Module):
    """The mean entropy of a batch as a function of the visual tower's weights (after Noori et al., NeurIPS 2025).

    For each of CLIP's seven simple templates: the entropy of the names' probabilities given the mean of the unit
    features behind the later layers, and given the feature behind the last one.

    Args:
        clip: the model.
        vocabulary: all its names compete.
        autocast: run the tower in bf16 autocast.

    Raises:
        BackboneError: the visual tower has no class token.
        ConfigError: its text features depend on the image.
    """

    candidates = None
    columns = ("loss", "entropy_later", "entropy_last")

    def __init__(self, clip: OpenDASCLIP, vocabulary: Vocabulary, autocast: bool = False) -> None:
        super().__init__()
        if clip.is_conditional:
            raise ConfigError("a stage without labels needs text features that do not depend on the image")
        self.clip = clip
        self.autocast = autocast
        self.first = int((1 - LATER) * clip.encode_image_layers(_nothing(clip)).shape[0])
        with torch.no_grad():
            texts = [
                clip.encode_text(clip.tokenize([template(name) for name in vocabulary.names])).float()
                for template in SIMPLE_IMAGENET_TEMPLATES
            ]
        self.texts = torch.stack(texts)

    def forward(self, batch: Batch, weight: float) -> tuple[Tensor, Tensor]:
        """The loss of this process's part of a batch; its labels and ``weight`` are not looked at.

        Returns:
            As :meth:`opendas_plugin.train.objective.Objective.forward`.
        """
        pixels = self.clip.pixels.normalise(batch.images)
        with torch.autocast(pixels.device.type, dtype=torch.bfloat16, enabled=self.autocast):
            layers = self.clip.encode_image_layers(pixels)
        layers = unit(layers.float(), dim=-1)[self.first :]
        later, last = self._entropy(layers.mean(dim=0)), self._entropy(layers[-1])
        share = len(batch.labels) / batch.total
        loss = later + last
        return loss * share, torch.stack([loss, later, last]).detach() * share

    def _entropy(self, image: Tensor) -> Tensor:
        """The mean over templates and images (B, D)."""
        scale = self.clip.logit_scale.exp()
        logits = torch.stack([class_logits(image, text, scale) for text in self.texts])
        found = logits.log_softmax(dim=-1)
        return -(found.exp() * found).sum(dim=-1).mean()


def _nothing(clip: OpenDASCLIP) -> Tensor:
    return torch.zeros(1, 3, *clip.image_shape, device=clip.logit_scale.device)
