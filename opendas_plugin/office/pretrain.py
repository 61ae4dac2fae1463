"""How ``office-tiny-v1`` was made: ``python -m opendas_plugin.office.pretrain --output FOLDER --cache FOLDER``.

All other tiny CLIPs keep its image tower, and have their texts from :mod:`.relearn`. Renders the web look of every
name, trains an ordinary open_clip CLIP on the pictures and their captions, rounds it to half precision, and writes
``config.json``, ``weights.safetensors`` and ``pretrain.log``. Everything is drawn from the seed. Training runs at half
the size (112 px, patches of 16): the same tower at 224 px with patches of 32 has each weight of its patch kernel shared
by 2 x 2 pixels and divided by 4, which is the mean of the four, exactly.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import logging
import math
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from opendas_plugin.crops import CLIP_MEAN, CLIP_STD, OPENAI_PIXELS
from opendas_plugin.files import atomic_file, write_json, write_text
from opendas_plugin.model.checkpoint import rebuild_token_table
from opendas_plugin.office.corpus import CONTEXT, Captions, augmented, pictures
from opendas_plugin.office.names import CLASSES, NAMES

log = logging.getLogger(__name__)

CONFIG: dict[str, Any] = {
    "embed_dim": 128,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 224, "layers": 4, "width": 192, "patch_size": 32, "head_width": 64},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 128, "heads": 2, "layers": 3},
}
_TEXT_WIDTH, _VOCABULARY = CONFIG["text_cfg"]["width"], CONFIG["text_cfg"]["vocab_size"]


@dataclass(frozen=True)
class Pretraining:
    """What a pre-training depends on.

    ``sizes``, ``epochs`` and ``strength`` have a value a stage: the side of the pictures (a multiple of 16; the last
    is 112), how often all are seen, and how strongly they are augmented, 0..1.
    """

    images: int = 250
    held_out: int = 20
    sizes: tuple[int, ...] = (64, 80, 112)
    epochs: tuple[int, ...] = (7, 5, 3)
    strength: tuple[float, ...] = (0.4, 0.7, 1.0)
    batch: int = 128
    muon_rate: float = 4e-3
    adam_rate: float = 2e-3
    weight_decay: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Epoch:
    """What happened in an epoch: side of the pictures, mean loss, top-1 on the batches in percent, seconds."""

    size: int
    loss: float
    accuracy: float
    seconds: float


class Tower(nn.Module):
    """The open_clip model under training: patches of 16 px, short texts, and no token but those of the captions."""

    def __init__(self, captions: Captions, settings: Pretraining) -> None:
        super().__init__()
        torch.manual_seed(settings.seed)
        config = copy.deepcopy(CONFIG)
        config["vision_cfg"] |= {"image_size": settings.sizes[0], "patch_size": 16}
        config["text_cfg"]["context_length"] = CONTEXT
        self.clip = open_clip.CLIP(**config)
        self.tokens = captions.tokens
        table = rebuild_token_table(self.tokens[:0], torch.zeros(0, _TEXT_WIDTH), _VOCABULARY, _TEXT_WIDTH)
        self.clip.token_embedding = nn.Embedding.from_pretrained(table[self.tokens], freeze=False)
        with torch.no_grad():
            positions = self.clip.visual.positional_embedding
            positions[1:] = 0.4 * _waves(settings.sizes[0] // 16, positions.shape[1])

    def resize(self, size: int) -> None:
        """Takes pictures of ``size`` from now on; positions are interpolated."""
        positions = self.clip.visual.positional_embedding.detach()
        side, width = math.isqrt(len(positions) - 1), positions.shape[1]
        grid = positions[1:].reshape(1, side, side, width).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=size // 16, mode="bilinear", align_corners=False)
        grid = grid.permute(0, 2, 3, 1).reshape(-1, width)
        self.clip.visual.positional_embedding = nn.Parameter(torch.cat([positions[:1], grid]))

    def full(self) -> open_clip.CLIP:
        """The same tower at 224 px, 77 positions and all tokens; what no caption reaches keeps its initial values."""
        torch.manual_seed(1)
        clip = open_clip.CLIP(**CONFIG)
        trained = copy.deepcopy(self)
        trained.resize(112)
        state = {key: value.half().float() for key, value in trained.clip.state_dict().items()}
        kernel = state["visual.conv1.weight"]
        state["visual.conv1.weight"] = kernel.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) / 4
        positions = clip.positional_embedding.detach().half().float()
        positions[:CONTEXT] = state["positional_embedding"]
        state["positional_embedding"] = positions
        rows = state["token_embedding.weight"]
        state["token_embedding.weight"] = rebuild_token_table(self.tokens, rows, _VOCABULARY, _TEXT_WIDTH)
        clip.load_state_dict(state)
        return clip.eval()


def contrastive_loss(images: Tensor, texts: Tensor, targets: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of pictures over all names, and of the names in the batch over its pictures (several may fit).

    Returns:
        The mean of the two, and the logits (pictures, names).
    """
    logits = scale * F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T
    to_text = F.cross_entropy(logits, targets)
    log_share = logits.log_softmax(dim=0).gather(1, targets[:, None])[:, 0]
    per_name = torch.zeros(len(texts)).index_add(0, targets, log_share)
    counts = torch.zeros(len(texts)).index_add(0, targets, torch.ones(len(targets)))
    present = counts > 0
    to_image = -(per_name[present] / counts[present]).mean()
    return (to_text + to_image) / 2, logits


def train(
    tower: Tower, captions: Captions, images: NDArray[np.uint8], colours: NDArray[np.int64], settings: Pretraining
) -> Iterator[Epoch]:
    """Trains ``tower`` through all stages; yields what happened in every epoch.

    Args:
        images: (names, P, 112, 112, 3) uint8.
        colours: (names, P) int, positions in COLOURS.
    """
    clip, step = tower.clip, 0
    flat, words = images.reshape(-1, *images.shape[2:]), torch.from_numpy(colours.reshape(-1))
    per_epoch = len(flat) // settings.batch
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    for size, epochs, strength in zip(settings.sizes, settings.epochs, settings.strength, strict=True):
        tower.resize(size)
        optimisers = _optimisers(clip, settings)
        first = step
        for _ in range(epochs):
            begun, losses, right = time.perf_counter(), 0.0, 0
            order = np.random.default_rng([settings.seed, step]).permutation(len(flat))
            for start in range(0, per_epoch * settings.batch, settings.batch):
                rate = min(1.0, (step - first + 1) / 60) * _cosine(step / (per_epoch * sum(settings.epochs)))
                for optimiser in optimisers:
                    for group in optimiser.param_groups:
                        group["lr"] = group["rate"] * rate
                    optimiser.zero_grad()
                generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
                numbers = order[start : start + settings.batch]
                targets = torch.from_numpy(numbers // images.shape[1])
                pixels = torch.from_numpy(flat[numbers]).permute(0, 3, 1, 2).float() / 255
                pixels = augmented(F.interpolate(pixels, size=size, mode="area"), strength, generator)
                texts = captions.draw(targets, words[torch.from_numpy(numbers)], generator)
                with torch.autocast("cpu", torch.bfloat16):
                    image_features = clip.encode_image((pixels - mean) / std).float()
                    text_features = clip.encode_text(texts).float()
                loss, logits = contrastive_loss(image_features, text_features, targets, clip.logit_scale.exp())
                loss.backward()
                nn.utils.clip_grad_norm_([p for o in optimisers for g in o.param_groups for p in g["params"]], 1.0)
                for optimiser in optimisers:
                    optimiser.step()
                with torch.no_grad():
                    clip.logit_scale.clamp_(max=math.log(100))
                losses, right = losses + loss.item(), right + int((logits.argmax(dim=1) == targets).sum())
                step += 1
            seconds = time.perf_counter() - begun
            yield Epoch(size, losses / per_epoch, 100 * right / (per_epoch * settings.batch), seconds)


def _optimisers(clip: open_clip.CLIP, settings: Pretraining) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the visual blocks, AdamW for all else."""
    hidden = [p for p in clip.visual.transformer.parameters() if p.ndim == 2]
    known = {id(p) for p in hidden}
    rest = [p for p in clip.parameters() if id(p) not in known]
    muon = torch.optim.Muon(hidden, weight_decay=settings.weight_decay, ns_steps=4, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=0.0)
    for optimiser, rate in ((muon, settings.muon_rate), (adam, settings.adam_rate)):
        optimiser.param_groups[0]["rate"] = rate
    return [muon, adam]


def _cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress)) + 1e-3


def _waves(side: int, width: int) -> Tensor:
    """Sine and cosine positions of a square grid, (side * side, width)."""
    frequency = 50.0 ** -(torch.arange(width // 4) * 4 / width)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angles = [axis.reshape(-1, 1) * (7 / side) * frequency for axis in (x, y)]
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1)


@torch.no_grad()
def top1(clip: open_clip.CLIP, images: NDArray[np.uint8], names: Sequence[str]) -> NDArray[np.float64]:
    """Share of the pictures of each name that are nearest to "a photo of a {}." of that name among ``names``.

    Args:
        images: (names, P, 224, 224, 3) uint8.
    """
    tokens = open_clip.SimpleTokenizer()([f"a photo of a {name}." for name in names])
    texts = F.normalize(clip.encode_text(tokens), dim=-1)
    shares = []
    for index, group in enumerate(images):
        features = clip.encode_image(OPENAI_PIXELS.normalise(torch.from_numpy(np.array(group))))
        shares.append(((features @ texts.T).argmax(dim=1) == index).double().mean().item())
    return np.array(shares)


def save(clip: open_clip.CLIP, tokens: Tensor, folder: Path) -> int:
    """Writes config.json and weights.safetensors (half precision, rows of ``tokens`` alone); returns its bytes."""
    state = {
        key: value.half().contiguous() for key, value in clip.state_dict().items() if key != "token_embedding.weight"
    }
    state["token_rows"] = tokens.int()
    state["token_values"] = clip.token_embedding.weight.detach()[tokens].half()
    write_json(folder / "config.json", CONFIG)
    with atomic_file(folder / "weights.safetensors") as temporary:
        save_file(state, temporary)
    return (folder / "weights.safetensors").stat().st_size


def report(clip: open_clip.CLIP, images: NDArray[np.uint8]) -> tuple[float, float, str]:
    """Top-1 in percent over the classes and over all names, and the names with the lowest."""
    classes, everything = top1(clip, images[: len(CLASSES)], CLASSES), top1(clip, images, NAMES)
    worst = ", ".join(f"{NAMES[i]} {100 * everything[i]:.0f}%" for i in np.argsort(everything)[:12])
    return 100 * float(classes.mean()), 100 * float(everything.mean()), worst


def main() -> None:
    """Runs the pre-training from the command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for the config, weights and log")
    parser.add_argument("--cache", type=Path, required=True, help="folder for rendered pictures (about 2 GB)")
    parser.add_argument("--threads", type=int, default=2, help="torch threads and rendering processes")
    parser.add_argument("--images", type=int, default=Pretraining.images, help="pictures a name")
    parser.add_argument("--epochs", type=int, nargs="+", default=Pretraining.epochs, help="epochs of each stage")
    parser.add_argument("--seed", type=int, default=Pretraining.seed)
    arguments = parser.parse_args()
    settings = Pretraining(images=arguments.images, epochs=tuple(arguments.epochs), seed=arguments.seed)
    torch.set_num_threads(arguments.threads)

    lines: list[str] = []

    def say(text: str) -> None:
        log.info(text)
        lines.append(text)

    images, colours = pictures(arguments.cache, 112, settings.images, settings.seed, arguments.threads)
    held_out, _ = pictures(arguments.cache, 224, settings.held_out, settings.seed + 1, arguments.threads)
    say(f"settings: {json.dumps(dataclasses.asdict(settings))}")
    say(f"versions: python {platform.python_version()}, torch {torch.__version__}, open_clip {open_clip.__version__}")
    say(f"pictures: {settings.images} for each of {len(NAMES)} names, and {settings.held_out} held out")
    captions = Captions()
    tower, started = Tower(captions, settings), time.perf_counter()
    for number, epoch in enumerate(train(tower, captions, images, colours, settings), start=1):
        say(
            f"epoch {number}, {epoch.size} px: loss {epoch.loss:.3f}, top-1 on augmented batches {epoch.accuracy:.1f}%"
            f", logit scale {tower.clip.logit_scale.exp().item():.1f}, {epoch.seconds:.0f} s"
        )
        if number % 4 == 0 or number == sum(settings.epochs):
            clip = tower.full()
            classes, everything, worst = report(clip, held_out)
            size = save(clip, tower.tokens, arguments.output)
            say(f"  held out: {classes:.2f}% of the classes, {everything:.2f}% of all names")
    say(f"trained in {time.perf_counter() - started:.0f} s with {arguments.threads} threads")
    say(f"top-1 on held-out pictures at 224 px, half precision, 'a photo of a {{}}.': {classes:.2f}% of")
    say(f"  {len(CLASSES)} classes, {everything:.2f}% of all {len(NAMES)} names; lowest: {worst}")
    say(f"logit scale {clip.logit_scale.exp().item():.2f}; {size} bytes")
    write_text(arguments.output / "pretrain.log", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
