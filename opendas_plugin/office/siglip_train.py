"""How ``office-siglip`` was made: ``python -m opendas_plugin.office.siglip_train --output FOLDER --cache FOLDER``."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from opendas_plugin.model.towers.parts import OpenCLIP
from opendas_plugin.office.corpus import augmented
from opendas_plugin.office.gates import participation
from opendas_plugin.office.names import NAMES
from opendas_plugin.office.pretrain import contrastive_loss
from opendas_plugin.office.sentences import Sentences, columns_of
from opendas_plugin.office.web import COLOURS


@dataclass(frozen=True)
class SiglipTraining:
    """What the training of a tiny SigLIP depends on."""

    loss: Literal["sigmoid", "softmax"] = "sigmoid"
    steps: int = 400
    pictures: int = 128
    strength: float = 0.7
    wrong: int = 1
    muon_rate: float = 2e-3
    adam_rate: float = 1e-3
    weight_decay: float = 0.05
    spread: float = 0.0
    withheld: float = 0.15
    seed: int = 0


def train(
    model: OpenCLIP,
    sentences: Sentences,
    images: NDArray[np.uint8],
    colours: NDArray[np.int64],
    withheld: NDArray[np.bool_],
    settings: SiglipTraining,
) -> Iterator[str]:
    flat, count = images.reshape(-1, *images.shape[2:]), images.shape[1]
    words, hidden = torch.from_numpy(colours.reshape(-1)), torch.from_numpy(withheld)
    usable = torch.from_numpy(np.flatnonzero(~np.take_along_axis(withheld, colours, axis=1).reshape(-1)))
    generator = torch.Generator().manual_seed(settings.seed)
    optimisers, begun, seen = _optimisers(model, settings), time.perf_counter(), torch.zeros(3)
    order = usable[torch.randperm(len(usable), generator=generator)]
    for step in range(settings.steps):
        factor = min(1.0, (step + 1) / 40) * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["rate"] * factor
            optimiser.zero_grad()
        if len(order) < settings.pictures:
            order = usable[torch.randperm(len(usable), generator=generator)]
        chosen, order = order[: settings.pictures].sort().values, order[settings.pictures :]
        pixels = torch.from_numpy(flat[chosen.numpy()]).permute(0, 3, 1, 2).float() / 255
        pixels = augmented(pixels, settings.strength, generator) * 2 - 1
        targets, own = chosen // count, words[chosen]
        columns, places = columns_of(targets, own, hidden, settings.wrong, generator)
        texts = sentences.tokens[sentences.draw(columns, generator)]
        with torch.autocast("cpu", torch.bfloat16):
            image_features = model.encode_image(pixels).float()
            text_features = model.encode_text(texts).float()
        loss, right = _loss(model, image_features, text_features, (targets, places, own), len(columns), settings)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        seen += torch.stack([loss.detach(), *right]) / 50
        if (step + 1) % 50 == 0:
            yield (
                f"step {step + 1}: loss {seen[0]:.3f}, top-1 {100 * seen[1]:.1f}% of names and {100 * seen[2]:.1f}% of "
                f"colours, scale {model.logit_scale.exp().item():.1f}, bias {model.logit_bias.item():.2f}, "
                f"{time.perf_counter() - begun:.0f} s"
            )
            seen = torch.zeros(3)


def _loss(
    model: OpenCLIP, images: Tensor, texts: Tensor, places: tuple[Tensor, Tensor, Tensor], pairs: int, settings: SiglipTraining
) -> tuple[Tensor, list[Tensor]]:
    logits = model.logit_scale.exp() * F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T
    sizes = [len(NAMES), pairs, len(COLOURS)]
    groups = logits.split(sizes, dim=1)
    right = [(found.argmax(dim=1) == place).float().mean() for found, place in zip(groups, places, strict=True)][:2]
    if settings.loss == "sigmoid":
        signs = torch.full_like(logits, -1.0)
        for place, first in zip(places, (0, sizes[0], sizes[0] + sizes[1]), strict=True):
            signs[torch.arange(len(signs)), first + place] = 1.0
        loss = F.softplus(-signs * (logits + model.logit_bias)).sum(dim=1).mean()
    else:
        of_names, _ = contrastive_loss(images, texts[: sizes[0]], places[0], model.logit_scale.exp())
        loss = of_names + 2 * F.cross_entropy(groups[1], places[1]) + 0.5 * F.cross_entropy(groups[2], places[2])
    return loss + settings.spread / participation(texts[: sizes[0]]), right


def _optimisers(model: OpenCLIP, settings: SiglipTraining) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the visual blocks, AdamW for all else."""
    hidden = [p for p in model.visual.trunk.blocks.parameters() if p.ndim == 2]
    known = {id(p) for p in hidden}
    rest = [p for p in model.parameters() if id(p) not in known]
    muon = torch.optim.Muon(hidden, weight_decay=settings.weight_decay, ns_steps=4, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=0.0)
    for optimiser, rate in ((muon, settings.muon_rate), (adam, settings.adam_rate)):
        optimiser.param_groups[0]["rate"] = rate
    return [muon, adam]
