"""PromptSRC's pulls towards the frozen CLIP (Khattak et al., ICCV 2023)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import kl_div, l1_loss, log_softmax
from torch.nn.functional import normalize as unit

from opendas_plugin.train.config import RegulationConfig
from opendas_plugin.train.losses import class_logits
from opendas_plugin.train.pulls import Encoded


class Regulation:
    """The weighted sum of three differences from the frozen CLIP: of text features, image features and logits.

    Args:
        config: their weights.
        frozen_text: (C, D) frozen features of the classes, of unit length, the mean over several templates.
    """

    name = "regulation"

    def __init__(self, config: RegulationConfig, frozen_text: Tensor) -> None:
        self.config = config
        self.frozen_text = frozen_text

    def __call__(self, found: Encoded) -> Tensor:
        """The loss of a part of a batch."""
        image, text, logits, frozen = found.image, found.text, found.logits, found.frozen_image()
        words = l1_loss(unit(text, dim=-1), self.frozen_text)
        visual = l1_loss(unit(image, dim=-1), unit(frozen, dim=-1))
        target = log_softmax(class_logits(frozen, self.frozen_text, found.logit_scale), dim=-1)
        apart = kl_div(log_softmax(logits, dim=-1), target, reduction="sum", log_target=True) / logits.numel()
        return self.config.text * words + self.config.visual * visual + self.config.logits * apart
