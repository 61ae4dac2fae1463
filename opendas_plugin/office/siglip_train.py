"""How ``office-siglip`` was made: ``python -m opendas_plugin.office.siglip_train --output FOLDER --cache FOLDER``.

Trains :mod:`.siglip` on the pictures of the pre-training and on captions with and without a colour, and writes it as
transformers writes a ``SiglipModel``, with its tokenizer, and ``siglip.log``. A caption of every name, one of each pair
of colour and name that a batch shows, as many in wrong colours, and one of every colour: by the sigmoid loss (Zhai et
al., ICCV 2023) a picture says of each of them whether it is its own. Everything is drawn from the seed, and computed in
fp32, since a processor without bf16 of its own takes six times as long in it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import math
import pickle
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.files import atomic_file, write_text
from opendas_plugin.model.checkpoint import backbone_sha256, build_backbone
from opendas_plugin.model.tiny_clips import OFFICE_TINY_V1
from opendas_plugin.model.towers.parts import OpenCLIP
from opendas_plugin.office import siglip
from opendas_plugin.office.corpus import augmented, pictures
from opendas_plugin.office.names import NAMES
from opendas_plugin.office.pretrain import Pretraining, contrastive_loss
from opendas_plugin.office.sentences import Sentences, columns_of, withheld_pairs
from opendas_plugin.office.web import COLOURS

log = logging.getLogger(__name__)

_SAID_EVERY = 50


@dataclass(frozen=True)
class SiglipTraining:
    """What the training of a tiny SigLIP depends on, beside the corpus and the tower whose blocks it starts from."""

    loss: Literal["sigmoid", "softmax"] = "sigmoid"
    """sigmoid: of all captions; softmax: of those of each kind, as office-tiny has it."""
    steps: int = 400
    pictures: int = 128
    """Pictures a step."""
    strength: float = 0.7
    """How strongly the pictures are varied, 0..1."""
    wrong: int = 1
    """Captions in a wrong colour for each one in the right colour."""
    muon_rate: float = 2e-3
    """Rate of the matrices of the visual blocks."""
    adam_rate: float = 1e-3
    """Rate of all else, but for the next."""
    scale_rate: float = 1e-2
    """Rate of the logit scale and the logit bias."""
    weight_decay: float = 0.05
    """Of the matrices of the visual blocks."""
    withheld: float = 0.15
    """Part of the pairs of name and a colour that is not its commonest which are never shown."""
    seed: int = 0


def make(tower: str, cache: Path, output: Path, settings: SiglipTraining, threads: int = 2) -> Iterator[str]:
    """Makes a tower and writes it; yields what is to be said.

    Args:
        tower: the tiny CLIP whose patches and blocks it starts from.
        cache: folder of the rendered pictures, and of the training's checkpoint, from which it goes on.
        output: folder for the tower.
        settings: of the training.
        threads: processes that render.
    """
    clip, corpus, lines = build_backbone(tower)[0], Pretraining(), []
    sentences = Sentences("first", siglip.tokenize)  # before the work, since transformers may not be there
    images, colours = pictures(cache, 112, corpus.images, corpus.seed, threads)
    lines.append(f"blocks: {tower}, {backbone_sha256(clip)}; settings: {json.dumps(dataclasses.asdict(settings))}")
    lines.append(
        f"versions: python {platform.python_version()}, torch {torch.__version__}, open_clip {open_clip.__version__}, "
        f"{torch.get_num_threads()} threads"
    )
    yield from lines
    model, begun = siglip.start(clip, settings.seed), time.perf_counter()
    withheld = withheld_pairs(colours, settings.withheld)
    checkpoint = cache / f"siglip_{settings.loss}_seed{settings.seed}.pt"
    for line in train(model, sentences, images, colours, withheld, settings, checkpoint):
        lines.append(line)
        yield line
    made = siglip.finished(model)
    siglip.save(made, output)
    lines.append(f"trained in {time.perf_counter() - begun:.0f} s; {backbone_sha256(made)}")
    yield lines[-1]
    write_text(output / "siglip.log", "\n".join(lines) + "\n")
    checkpoint.unlink(missing_ok=True)


def train(
    model: OpenCLIP,
    sentences: Sentences,
    images: NDArray[np.uint8],
    colours: NDArray[np.int64],
    withheld: NDArray[np.bool_],
    settings: SiglipTraining,
    checkpoint: Path,
) -> Iterator[str]:
    """Trains ``model``, from where one that was broken off has left ``checkpoint``; yields a line every 50 steps.

    Args:
        model: of :func:`.siglip.start`.
        sentences: its captions.
        images: (names, P, 112, 112, 3) uint8.
        colours: (names, P) int, positions in COLOURS.
        withheld: (names, COLOURS) bool, see :func:`.sentences.withheld_pairs`.
        settings: of the training.
        checkpoint: the file that is written every 50 steps.
    """
    flat, count = images.reshape(-1, *images.shape[2:]), images.shape[1]
    words, hidden = torch.from_numpy(colours.reshape(-1)), torch.from_numpy(withheld)
    usable = torch.from_numpy(np.flatnonzero(~np.take_along_axis(withheld, colours, axis=1).reshape(-1)))
    generator, order = torch.Generator().manual_seed(settings.seed), usable[:0]
    optimisers, begun, seen = _optimisers(model, settings), time.perf_counter(), torch.zeros(3)
    first, order = _go_on(checkpoint, settings, model, optimisers, generator, order)
    for step in range(first, settings.steps):
        factor = min(1.0, (step + 1) / 40) * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["rate"] * factor
            optimiser.zero_grad()
        if len(order) < settings.pictures:
            order = usable[torch.randperm(len(usable), generator=generator)]
        chosen, order = order[: settings.pictures].sort().values, order[settings.pictures :]
        pixels = torch.from_numpy(flat[chosen.numpy()]).permute(0, 3, 1, 2).float() / 255
        targets, own = chosen // count, words[chosen]
        columns, places = columns_of(targets, own, hidden, settings.wrong, generator)
        texts = sentences.tokens[sentences.draw(columns, generator)]
        image_features = model.encode_image(augmented(pixels, settings.strength, generator) * 2 - 1)
        text_features = model.encode_text(texts)
        loss, right = batch_loss(model, image_features, text_features, (targets, places, own), settings.loss)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        seen += torch.cat([loss.detach()[None], right]) / _SAID_EVERY
        if (step + 1) % _SAID_EVERY == 0:
            mean, names, pairs = seen.tolist()
            yield (
                f"step {step + 1}: loss {mean:.3f}, top-1 {100 * names:.1f}% of names and {100 * pairs:.1f}% of pairs "
                f"with a colour, logit scale {model.logit_scale.exp().item():.1f}, bias {model.logit_bias.item():.2f}, "
                f"{time.perf_counter() - begun:.0f} s"
            )
            seen = torch.zeros(3)
            states = {"settings": dataclasses.asdict(settings), "step": step + 1, "order": order}
            states |= {"model": model.state_dict(), "generator": generator.get_state()}
            with atomic_file(checkpoint) as temporary:
                torch.save({**states, "optimisers": [one.state_dict() for one in optimisers]}, temporary)


def _go_on(
    checkpoint: Path,
    settings: SiglipTraining,
    model: OpenCLIP,
    optimisers: list[torch.optim.Optimizer],
    generator: torch.Generator,
    order: Tensor,
) -> tuple[int, Tensor]:
    """The step to go on from, and the pictures that are still to come in its round; all else is put back in place."""
    if not checkpoint.is_file():
        return 0, order
    try:
        states = torch.load(checkpoint, map_location="cpu", weights_only=True)
        known = states["settings"]
    except (OSError, RuntimeError, EOFError, LookupError, TypeError, pickle.UnpicklingError) as error:
        raise DataError(f"{checkpoint} cannot be read; remove it to begin again") from error
    if known != dataclasses.asdict(settings):
        raise ConfigError(f"{checkpoint} is of a training with other settings; remove it")
    model.load_state_dict(states["model"])
    generator.set_state(states["generator"])
    for optimiser, state in zip(optimisers, states["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    return states["step"], states["order"]


def batch_loss(
    model: OpenCLIP, images: Tensor, texts: Tensor, places: tuple[Tensor, Tensor, Tensor], kind: str
) -> tuple[Tensor, Tensor]:
    """The loss of a batch, and (2,) how often names and pairs of a colour and a name are right, 0..1.

    Args:
        model: whose logit scale and bias are taken.
        images: (B, D) features.
        texts: (names + K + COLOURS, D) features of the captions of all names, of K pairs, and of all colours.
        places: (B,) each picture's own among the three.
        kind: ``sigmoid`` or ``softmax``.
    """
    scale, sizes = model.logit_scale.exp(), [len(NAMES), len(texts) - len(NAMES) - len(COLOURS), len(COLOURS)]
    logits = scale * F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T
    names, pairs, colours = logits.split(sizes, dim=1)
    right = [
        (found.argmax(dim=1) == place).float().mean() for found, place in zip((names, pairs), places, strict=False)
    ]
    if kind == "sigmoid":
        own = [F.one_hot(place, size) for place, size in zip(places, sizes, strict=True)]
        signs = 2.0 * torch.cat(own, dim=1) - 1
        return F.softplus(-signs * (logits + model.logit_bias)).sum(dim=1).mean(), torch.stack(right)
    loss, _ = contrastive_loss(images, texts[: sizes[0]], places[0], scale)
    loss = loss + 2 * F.cross_entropy(pairs, places[1]) + 0.5 * F.cross_entropy(colours, places[2])
    return loss, torch.stack(right)


def _optimisers(model: OpenCLIP, settings: SiglipTraining) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the visual blocks, AdamW for all else."""
    hidden = [p for p in model.visual.trunk.blocks.parameters() if p.ndim == 2]
    logit = [model.logit_scale, model.logit_bias]
    known = {id(p) for p in (*hidden, *logit)}
    rest = [p for p in model.parameters() if id(p) not in known]
    muon = torch.optim.Muon(hidden, weight_decay=settings.weight_decay, ns_steps=4, adjust_lr_fn="match_rms_adamw")
    groups = [{"params": rest, "rate": settings.adam_rate}, {"params": logit, "rate": settings.scale_rate}]
    adam = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)
    muon.param_groups[0]["rate"] = settings.muon_rate
    return [muon, adam]


def main() -> None:
    """Runs the training from the command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for the tower and its log")
    parser.add_argument("--cache", type=Path, required=True, help="folder for rendered pictures (about 2 GB)")
    parser.add_argument("--threads", type=int, default=2, help="torch threads and rendering processes")
    parser.add_argument("--loss", choices=("sigmoid", "softmax"), default=SiglipTraining.loss)
    parser.add_argument("--steps", type=int, default=SiglipTraining.steps)
    parser.add_argument("--seed", type=int, default=SiglipTraining.seed)
    arguments = parser.parse_args()
    settings = SiglipTraining(loss=arguments.loss, steps=arguments.steps, seed=arguments.seed)
    torch.set_num_threads(arguments.threads)
    for line in make(OFFICE_TINY_V1, arguments.cache, arguments.output, settings, arguments.threads):
        log.info(line)


if __name__ == "__main__":
    main()
