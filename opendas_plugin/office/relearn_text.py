"""Teaches a new text tower to a finished image tower, of which the last matrix alone learns too.

The pictures are encoded beforehand (:mod:`.views`), so a step costs its captions alone. A batch has a plain caption of
every name, one of every pair of colour and name that its pictures show, beside captions of the same names in wrong
colours, and one of every colour. Some pairs are withheld: neither their pictures nor their captions are ever shown, so
that what the tower makes of "red desk" can be judged. Everything is drawn from the seed.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from opendas_plugin.model.checkpoint import OpenCLIP, rebuild_token_table
from opendas_plugin.office.gates import participation
from opendas_plugin.office.names import NAMES
from opendas_plugin.office.pretrain import CONFIG, contrastive_loss
from opendas_plugin.office.sentences import Sentences, columns_of
from opendas_plugin.office.web import COLOURS

_WIDTH, _VOCABULARY = CONFIG["text_cfg"]["width"], CONFIG["text_cfg"]["vocab_size"]


@dataclass(frozen=True)
class Relearning:
    """What a relearnt text tower depends on, beside the image tower and the corpus."""

    strengths: tuple[float, ...] = (0.7,)
    """How strongly the pictures are varied, a value a view."""
    steps: int = 300
    pictures: int = 192
    """Pictures a step."""
    wrong: int = 1
    """Captions in a wrong colour for each one in the right colour."""
    colour_weight: float = 2.0
    """Weight of the loss over captions with a colour; that over names has 1."""
    alone_weight: float = 0.5
    """Weight of the loss over captions with a colour and no name."""
    spread: float = 5.0
    """Weight of one over the participation ratio of the names' features (:func:`.gates.participation`)."""
    rate: float = 1.5e-3
    head_rate: float = 1e-2
    """Rate of the image tower's last matrix; 0 leaves it as it is."""
    scale: float = 16.0
    """The logit scale while texts are learnt: a small one asks for names further apart. Then it is fitted."""
    weight_decay: float = 0.1
    """Of the text tower's matrices."""
    scheme: str = "first"
    """Which of :data:`.sentences.SCHEMES` the captions with a colour are of."""
    withheld: float = 0.15
    """Part of the pairs of name and a colour that is not its commonest which are never shown."""
    seed: int = 0


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
        self.text.logit_scale.data.fill_(math.log(settings.scale)).requires_grad_(False)
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


def relearn(
    student: Student,
    sentences: Sentences,
    views: Tensor,
    colours: NDArray[np.int64],
    withheld: NDArray[np.bool_],
    settings: Relearning,
) -> Iterator[str]:
    """Trains ``student``; yields a line every 50 steps, and at the end.

    Args:
        views: (views, names, P, width) states of the image tower before its last matrix.
        colours: (names, P) int, positions in COLOURS.
        withheld: (names, COLOURS) bool, see :func:`.sentences.withheld_pairs`.
    """
    count, flat = views.shape[2], views.flatten(1, 2)
    words, hidden = torch.from_numpy(colours.reshape(-1)), torch.from_numpy(withheld)
    usable = torch.from_numpy(np.flatnonzero(~np.take_along_axis(withheld, colours, axis=1).reshape(-1)))
    generator = torch.Generator().manual_seed(settings.seed)
    optimiser, seen, begun = _optimiser(student, settings), torch.zeros(4), time.perf_counter()
    for step in range(settings.steps):
        factor = min(1.0, (step + 1) / 30) * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * factor
        chosen = usable[torch.randint(len(usable), (settings.pictures,), generator=generator)]
        view = torch.randint(len(flat), (settings.pictures,), generator=generator)
        images = flat[view, chosen] @ student.head
        loss, figures = batch_loss(
            student, sentences, images, chosen // count, words[chosen], hidden, settings, generator
        )
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimiser.step()
        seen += figures / 50
        if (step + 1) % 50 == 0:
            names, pairs, right, right_pairs = seen.tolist()
            yield (
                f"step {step + 1}: loss over names {names:.3f}, over colours {pairs:.3f}, top-1 {100 * right:.1f}% "
                f"and {100 * right_pairs:.1f}%, {time.perf_counter() - begun:.0f} s"
            )
            seen = torch.zeros(4)
    some = usable[::16]
    with torch.no_grad():
        scale = fitted_scale(
            flat[0, some] @ student.head, student.text.encode_text(sentences.plain[:, 0]), some // count
        )
    student.text.logit_scale.data.fill_(math.log(scale))
    yield f"logit scale fitted to the names: {scale}"


def batch_loss(
    student: Student,
    sentences: Sentences,
    images: Tensor,
    targets: Tensor,
    colours: Tensor,
    withheld: Tensor,
    settings: Relearning,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """The loss of a batch: over names, over captions of a colour and a name, over colours alone, and of likeness.

    Args:
        images: (B, D) features.
        targets: (B,) their names.
        colours: (B,) their colours.
        withheld: (names, COLOURS) bool, the pairs that are never shown.

    Returns:
        The loss, and (4,) the first two parts and how often each is right, 0..1.
    """
    columns, places = columns_of(targets, colours, withheld, settings.wrong, generator)
    texts = student.text.encode_text(sentences.draw(columns, generator))
    plain, coloured, alone = texts.split([len(NAMES), len(columns), len(COLOURS)])
    scale = student.text.logit_scale.exp()
    of_names, names = contrastive_loss(images, plain, targets, scale)
    pairs = scale * _cosines(images, coloured)
    of_pairs = F.cross_entropy(pairs, places)
    of_colours = F.cross_entropy(scale * _cosines(images, alone), colours)
    loss = of_names + settings.colour_weight * of_pairs + settings.alone_weight * of_colours
    loss = loss + settings.spread / participation(plain)
    right = [(found.argmax(dim=1) == true).float().mean() for found, true in ((names, targets), (pairs, places))]
    return loss, torch.stack([of_names, of_pairs, *right]).detach()


def fitted_scale(images: Tensor, texts: Tensor, targets: Tensor) -> int:
    """The whole logit scale, 1 to 100, with the least cross-entropy of pictures (M, D) over names (N, D)."""
    cosines = _cosines(images, texts)
    return min(range(1, 101), key=lambda scale: float(F.cross_entropy(scale * cosines, targets)))


def _cosines(images: Tensor, texts: Tensor) -> Tensor:
    return F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T


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
