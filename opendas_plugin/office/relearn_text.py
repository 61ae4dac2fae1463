"""Teaches a new text tower to a finished image tower: ``python -m opendas_plugin.office.relearn_text --output FOLDER``.

The images are encoded a few times beforehand (:mod:`.views`), so a step costs its captions alone. A batch has a plain
caption of every name, and of every colour and name that its pictures show one caption, beside captions of the same
names in wrong colours. Some pairs of colour and name are withheld: neither their pictures nor their captions are ever
shown, so that what the tower makes of "red desk" can be judged. Everything is drawn from the seed.
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
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from opendas_plugin.files import write_text
from opendas_plugin.model.checkpoint import (
    OFFICE_TINY,
    OpenCLIP,
    backbone_sha256,
    build_backbone,
    rebuild_token_table,
)
from opendas_plugin.model.openai_format import save_openai_clip
from opendas_plugin.office.corpus import pictures
from opendas_plugin.office.names import NAMES
from opendas_plugin.office.pretrain import CONFIG, Pretraining, contrastive_loss, save
from opendas_plugin.office.views import kept_states
from opendas_plugin.office.web import COLOURED, COLOURS, TEMPLATES

log = logging.getLogger(__name__)

COLOUR_FIRST: tuple[str, ...] = (COLOURED, "a {} {}.", "{} {}")
"""Captions with a colour, then a name."""
COLOUR_LAST: tuple[str, ...] = (COLOURED, "a photo of a {1} in {0}.", "a {1}, {0}.", "the {0} {1}.")
"""Captions in which the colour may stand behind the name as well."""
COLOUR_ALONE = "a photo of something {}."
SCHEMES = {"first": COLOUR_FIRST, "last": COLOUR_LAST}

_WIDTH, _VOCABULARY = CONFIG["text_cfg"]["width"], CONFIG["text_cfg"]["vocab_size"]


@dataclass(frozen=True)
class Relearning:
    """What a relearnt text tower depends on, beside the image tower and the corpus."""

    strengths: tuple[float, ...] = (0.7,)
    """How strongly the pictures are varied, a value a view."""
    steps: int = 260
    pictures: int = 128
    """Pictures a step."""
    wrong: int = 1
    """Captions in a wrong colour for each one in the right colour."""
    colour_weight: float = 1.5
    """Weight of the loss over captions with a colour; that over names has 1."""
    alone_weight: float = 0.5
    """Weight of the loss over captions with a colour and no name."""
    rate: float = 1.5e-3
    head_rate: float = 1e-3
    """Rate of the image tower's last matrix; 0 leaves it as it is."""
    weight_decay: float = 0.1
    """Of the text tower's matrices."""
    scheme: str = "first"
    """Which of :data:`SCHEMES` the captions with a colour are of."""
    withheld: float = 0.15
    """Part of the pairs of name and a colour that is not its commonest which are never shown."""
    seed: int = 0


def withheld_pairs(colours: NDArray[np.int64], part: float, seed: int = 0) -> NDArray[np.bool_]:
    """The pairs (names, COLOURS) that are never shown: some of those that occur, but no name's commonest colour.

    Args:
        colours: (names, P) int, positions in COLOURS.
        part: of those pairs.
        seed: of the draw.
    """
    counts = np.stack([np.bincount(row, minlength=len(COLOURS)) for row in colours])
    pairs = counts > 0
    pairs[np.arange(len(counts)), counts.argmax(axis=1)] = False
    return pairs & (np.random.default_rng([seed, 77]).random(pairs.shape) < part)


class Sentences:
    """Every caption: ``plain`` (names, templates, L), ``coloured`` (names, COLOURS, templates, L) and, with a
    colour and no name, ``alone`` (COLOURS, L).

    They hold positions in ``tokens``, the sorted ids of all tokens that occur; L is the length of the longest.
    """

    def __init__(self, scheme: str) -> None:
        tokenizer, words = open_clip.SimpleTokenizer(), list(COLOURS)
        plain = tokenizer([template.format(name) for name in NAMES for template in TEMPLATES])
        templates = SCHEMES[scheme]
        coloured = tokenizer([t.format(word, name) for name in NAMES for word in words for t in templates])
        alone = tokenizer([COLOUR_ALONE.format(word) for word in words])
        everything = torch.cat([plain, coloured, alone])
        self.length = int(everything.argmax(dim=1).max()) + 1
        everything = everything[:, : self.length].contiguous()
        self.tokens = everything.unique()
        places = torch.searchsorted(self.tokens, everything)
        plain, coloured, self.alone = places.split([len(plain), len(coloured), len(alone)])
        self.plain = plain.unflatten(0, (len(NAMES), len(TEMPLATES)))
        self.coloured = coloured.unflatten(0, (len(NAMES), len(words), len(templates)))

    def draw(self, columns: Tensor, generator: torch.Generator) -> Tensor:
        """A plain caption of every name, one for each of ``columns`` (K,), name * colours + colour, and ``alone``."""
        kinds = torch.randint(self.plain.shape[1], (len(self.plain),), generator=generator)
        plain = self.plain[torch.arange(len(self.plain)), kinds]
        kinds = torch.randint(self.coloured.shape[2], (len(columns),), generator=generator)
        return torch.cat([plain, self.coloured.flatten(0, 1)[columns, kinds], self.alone])


class Student(nn.Module):
    """A new text tower, short and with no token but those of the captions, and the image tower's last matrix."""

    def __init__(self, clip: OpenCLIP, sentences: Sentences, settings: Relearning) -> None:
        super().__init__()
        torch.manual_seed(settings.seed)
        config = copy.deepcopy(CONFIG)
        config["text_cfg"]["context_length"] = sentences.length
        self.text = open_clip.CLIP(**config)
        del self.text.visual
        table = rebuild_token_table(sentences.tokens[:0], torch.zeros(0, _WIDTH), _VOCABULARY, _WIDTH)
        self.text.token_embedding = nn.Embedding.from_pretrained(table[sentences.tokens], freeze=False)
        self.text.logit_scale.data.copy_(clip.logit_scale.data)
        self.head = nn.Parameter(clip.visual.proj.detach().clone(), requires_grad=settings.head_rate > 0)
        self.tokens = sentences.tokens

    def full(self, clip: OpenCLIP) -> OpenCLIP:
        """A copy of ``clip`` with this text tower and last matrix, rounded to half precision."""
        torch.manual_seed(1)
        made = open_clip.CLIP(**CONFIG)
        state = {key: value for key, value in clip.state_dict().items() if key.startswith("visual.")}
        state |= {key: value.detach().half().float() for key, value in self.text.state_dict().items()}
        state["visual.proj"] = self.head.detach().half().float()
        positions = made.positional_embedding.detach().half().float()
        positions[: len(state["positional_embedding"])] = state["positional_embedding"]
        state["positional_embedding"] = positions
        rows = state["token_embedding.weight"]
        state["token_embedding.weight"] = rebuild_token_table(self.tokens, rows, _VOCABULARY, _WIDTH)
        made.load_state_dict(state)
        return made.eval().requires_grad_(False)


@dataclass
class Step:
    """Means over some steps: both losses, top-1 over names and over the captions with a colour in percent, seconds."""

    names: float = 0.0
    colours: float = 0.0
    right: float = 0.0
    right_colours: float = 0.0
    begun: float = field(default_factory=time.perf_counter)


def columns_of(
    targets: Tensor, colours: Tensor, withheld: Tensor, wrong: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Which captions with a colour compete in a batch, each once.

    Args:
        targets: (B,) names.
        colours: (B,) positions in COLOURS.
        withheld: (names, COLOURS) bool, the pairs that are never shown.
        wrong: wrong colours for each of the batch's pairs.

    Returns:
        (K,) sorted pairs as name * colours + colour, and the place (B,) of each picture's own among them.
    """
    own = targets * withheld.shape[1] + colours
    shown = own.unique()
    names = (shown // withheld.shape[1]).repeat(wrong)
    others = torch.randint(withheld.shape[1], (len(names),), generator=generator)
    others = (names * withheld.shape[1] + others)[~withheld[names, others]]
    columns = torch.cat([shown, others]).unique()
    return columns, torch.searchsorted(columns, own)


def relearn(
    student: Student,
    sentences: Sentences,
    views: Tensor,
    colours: NDArray[np.int64],
    withheld: NDArray[np.bool_],
    settings: Relearning,
) -> Iterator[str]:
    """Trains ``student``; yields a line every 50 steps.

    Args:
        views: (views, names, P, width) states of the image tower before its last matrix.
        colours: (names, P) int, positions in COLOURS.
        withheld: (names, COLOURS) bool, see :func:`withheld_pairs`.
    """
    count = views.shape[2]
    words, hidden = torch.from_numpy(colours.reshape(-1)), torch.from_numpy(withheld)
    flat = views.flatten(1, 2)
    usable = torch.from_numpy(np.flatnonzero(~np.take_along_axis(withheld, colours, axis=1).reshape(-1)))
    generator = torch.Generator().manual_seed(settings.seed)
    optimiser = _optimiser(student, settings)
    seen = Step()
    for step in range(settings.steps):
        factor = min(1.0, (step + 1) / 30) * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * factor
        chosen = usable[torch.randint(len(usable), (settings.pictures,), generator=generator)]
        view = torch.randint(len(flat), (settings.pictures,), generator=generator)
        targets = chosen // count
        columns, places = columns_of(targets, words[chosen], hidden, settings.wrong, generator)
        images = flat[view, chosen] @ student.head
        texts = student.text.encode_text(sentences.draw(columns, generator))
        plain, coloured, alone = texts.split([len(NAMES), len(columns), len(COLOURS)])
        scale = student.text.logit_scale.exp()
        names, logits = contrastive_loss(images, plain, targets, scale)
        pairs = _logits(images, coloured, scale)
        loss_pairs = F.cross_entropy(pairs, places)
        loss_alone = F.cross_entropy(_logits(images, alone, scale), words[chosen])
        optimiser.zero_grad()
        (names + settings.colour_weight * loss_pairs + settings.alone_weight * loss_alone).backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            student.text.logit_scale.clamp_(max=math.log(100))
            seen.names += names.item() / 50
            seen.colours += loss_pairs.item() / 50
            seen.right += 2 * (logits.argmax(dim=1) == targets).float().mean().item()
            seen.right_colours += 2 * (pairs.argmax(dim=1) == places).float().mean().item()
        if (step + 1) % 50 == 0:
            yield (
                f"step {step + 1}: loss over names {seen.names:.3f}, over colours {seen.colours:.3f}, top-1 "
                f"{seen.right:.1f}% and {seen.right_colours:.1f}%, logit scale {scale.item():.1f}, "
                f"{time.perf_counter() - seen.begun:.0f} s"
            )
            seen = Step()


def _logits(images: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    return scale * F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T


def _optimiser(student: Student, settings: Relearning) -> torch.optim.Optimizer:
    """AdamW; the matrices of the text tower decay, tables, norms and biases do not."""
    text = student.text
    matrices = [p for p in text.transformer.parameters() if p.ndim == 2] + [text.text_projection]
    known = {id(p) for p in matrices}
    rest = [p for p in text.parameters() if id(p) not in known]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay, "rate": settings.rate},
        {"params": rest, "weight_decay": 0.0, "rate": settings.rate},
        {"params": [student.head], "weight_decay": 0.0, "rate": settings.head_rate},
    ]
    return torch.optim.AdamW([g for g in groups if g["rate"]], lr=settings.rate, betas=(0.9, 0.98))


def main() -> None:
    """Runs the relearning from the command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for the config, weights, clip.pt and log")
    parser.add_argument("--cache", type=Path, required=True, help="folder for rendered pictures (about 2 GB)")
    parser.add_argument("--tower", default=OFFICE_TINY, help="whose images are kept: office-tiny or a clip.pt")
    parser.add_argument("--threads", type=int, default=2, help="torch threads and rendering processes")
    for name in ("steps", "scheme", "seed"):
        value = getattr(Relearning, name)
        choices = sorted(SCHEMES) if name == "scheme" else None
        parser.add_argument(f"--{name}", type=type(value), default=value, choices=choices)
    arguments = parser.parse_args()
    settings = Relearning(steps=arguments.steps, scheme=arguments.scheme, seed=arguments.seed)
    torch.set_num_threads(arguments.threads)
    for line in make(arguments.tower, arguments.cache, arguments.output, settings, arguments.threads):
        log.info(line)


def make(tower: str, cache: Path, output: Path, settings: Relearning, threads: int = 2) -> Iterator[str]:
    """Makes a tower: yields what is to be said, and writes config.json, weights.safetensors, clip.pt and relearn.log.

    Args:
        tower: the backbone whose images are kept.
        cache: folder of the rendered pictures and of what the image tower says of them.
        output: folder for the tower.
        settings: of the relearning.
        threads: processes that render.
    """
    clip, corpus, lines = build_backbone(tower)[0], Pretraining(), []
    images, colours = pictures(cache, 112, corpus.images, corpus.seed, threads)
    lines.append(f"images: {tower}, {backbone_sha256(clip)}; settings: {json.dumps(dataclasses.asdict(settings))}")
    lines.append(
        f"versions: python {platform.python_version()}, torch {torch.__version__}, open_clip {open_clip.__version__}"
    )
    yield from lines
    views = kept_states(cache, clip, images, settings.strengths, corpus.seed)
    sentences, withheld = Sentences(settings.scheme), withheld_pairs(colours, settings.withheld)
    student, begun = Student(clip, sentences, settings), time.perf_counter()
    for line in relearn(student, sentences, views, colours, withheld, settings):
        lines.append(line)
        yield line
    made = student.full(clip)
    size = save(made, sentences.tokens, output)
    save_openai_clip(tower, output / "clip.pt", weights=made.state_dict())
    lines.append(
        f"{int(withheld.sum())} pairs of name and colour were never shown; relearnt in "
        f"{time.perf_counter() - begun:.0f} s; {size} bytes, {backbone_sha256(made)}"
    )
    yield lines[-1]
    write_text(output / "relearn.log", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
