"""What a stage may add to its cross-entropy: a pull is a loss of what a step has encoded, by a name of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Encoded:
    """What a step knows of its part of a batch: features of any length, float32, with what is learnt at work.

    Args:
        image: (B, D) of the crops.
        text: (C, D) of the training names.
        logits: (B, C) of the two.
        logit_scale: scalar factor from cosine to logit.
        frozen_image: gives (B, D) of the same crops by plain CLIP.
        encode_text: gives (N, D) of token ids (N, L), with gradient where the text tower learns.
    """

    image: Tensor
    text: Tensor
    logits: Tensor
    logit_scale: Tensor
    frozen_image: Callable[[], Tensor]
    encode_text: Callable[[Tensor], Tensor]


class Pull(Protocol):
    """A weighted loss that is added to the cross-entropy."""

    @property
    def name(self) -> str:
        """Its column in the log."""

    def __call__(self, found: Encoded) -> Tensor:
        """The loss of a part of a batch, weight included: a scalar."""
