"""The losses and the distances that they are made of, as pure functions of features."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, one_hot, softplus
from torch.nn.functional import normalize as unit

from opendas_plugin.train.config import Distance


def class_logits(image: Tensor, text: Tensor, logit_scale: Tensor) -> Tensor:
    """Scores every class name for every image as CLIP does: the scale times the cosine.

    Args:
        image: (B, D) features of any length.
        text: (C, D) features of any length.
        logit_scale: scalar factor, already exponentiated (100 for OpenAI's weights).

    Returns:
        (B, C) logits.
    """
    return logit_scale * unit(image, dim=-1) @ unit(text, dim=-1).T


def sigmoid_loss(logits: Tensor, labels: Tensor, bias: Tensor) -> Tensor:
    """SigLIP's loss, which asks of every name apart whether it is the image's (Zhai et al., ICCV 2023).

    Args:
        logits: (B, C) of :func:`class_logits`.
        labels: (B,) int64 classes.
        bias: scalar that is added to all logits.

    Returns:
        The mean over the images of the sum over the names.
    """
    signs = 2.0 * one_hot(labels, logits.shape[1]) - 1
    return softplus(-signs * (logits + bias)).sum(dim=1).mean()


def distance(a: Tensor, b: Tensor, kind: Distance = "euclidean", normalize: bool = True) -> Tensor:
    """The distance between features along their last axis; the other axes broadcast.

    Args:
        a: (..., D).
        b: (..., D).
        kind: ``euclidean`` as ``torch.nn.TripletMarginLoss`` has it (its 1e-6 included), ``squared`` for its square, or
            ``cosine`` for one minus the cosine.
        normalize: bring both to unit length first; makes no difference to ``cosine``.

    Returns:
        (...) distances.
    """
    if normalize or kind == "cosine":
        a, b = unit(a, dim=-1), unit(b, dim=-1)
    if kind == "cosine":
        return 1 - (a * b).sum(-1)
    if kind == "squared":
        return (a - b).square().sum(-1)
    return torch.linalg.vector_norm(a - b + 1e-6, dim=-1)  # the offset keeps the gradient finite where a equals b


def drift(features: Tensor, frozen: Tensor) -> Tensor:
    """One minus the cosine between features (..., D) and the frozen ones: (...), 0 where they point alike."""
    return 1 - cosine_similarity(features, frozen, dim=-1)


def triplet(positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """How far each negative still is from being ``margin`` further away than its positive (Balntas et al., BMVC 2016).

    Args:
        positive: (...) distances between an anchor and its own name.
        negative: (...) distances between the anchor and another name.
        margin: in the distance's unit.

    Returns:
        (...) losses before any mean; a triplet is active where its loss is above zero.
    """
    return (positive - negative + margin).clamp_min(0)
