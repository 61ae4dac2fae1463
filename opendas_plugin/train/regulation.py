"""PromptSRC's pulls towards the frozen CLIP (Khattak et al., ICCV 2023)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import kl_div, l1_loss, log_softmax
from torch.nn.functional import normalize as unit

from opendas_plugin.train.config import RegulationConfig
from opendas_plugin.train.losses import class_logits


class Regulation:
    """The weighted sum of three differences from the frozen CLIP: of text features, image features and logits.

    Args:
        config: their weights.
        frozen_text: (C, D) frozen features of the classes, of unit length, the mean over several templates.
    """

    def __init__(self, config: RegulationConfig, frozen_text: Tensor) -> None:
        self.config = config
        self.frozen_text = frozen_text

    def __call__(self, image: Tensor, text: Tensor, logits: Tensor, frozen: Tensor, logit_scale: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            image: (B, D) image features.
            text: (C, D) text features of the classes.
            logits: (B, C) of the two.
            frozen: (B, D) image features of the frozen CLIP.
            logit_scale: scalar factor from cosine to logit.
        """
        words = l1_loss(unit(text, dim=-1), self.frozen_text)
        visual = l1_loss(unit(image, dim=-1), unit(frozen, dim=-1))
        target = log_softmax(class_logits(frozen, self.frozen_text, logit_scale), dim=-1)
        apart = kl_div(log_softmax(logits, dim=-1), target, reduction="sum", log_target=True) / logits.numel()
        return self.config.text * words + self.config.visual * visual + self.config.logits * apart
