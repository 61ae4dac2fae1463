"""The gates that a tiny CLIP has to pass, measured for any tower: whether its texts are as sound as its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from opendas_plugin.errors import DataError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.office.names import NAMES
from opendas_plugin.office.web import COLOURED, COLOURS
from opendas_plugin.vocabulary import DEFAULT_TEMPLATE, fill

PROMPT_STEPS = 30
FIRST_TOWERS_RATIO = 13.51
"""The first tower's participation ratio, 13.504, rounded up: a new one has to have more."""


@dataclass(frozen=True)
class Gate:
    """One figure and the bounds that it has to lie between: ``above`` < value < ``below``."""

    name: str
    value: float
    above: float = -np.inf
    below: float = np.inf
    detail: str = ""

    @property
    def holds(self) -> bool:
        """Whether the figure is within its bounds; what is no number is not."""
        return self.above < self.value < self.below

    def __str__(self) -> str:
        bounds = [f"above {self.above:g}"] if self.above > -np.inf else []
        bounds += [f"below {self.below:g}"] if self.below < np.inf else []
        verdict = "holds" if self.holds else "MISSED"
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.name}: {self.value:.3f}, to be {' and '.join(bounds)}: {verdict}{detail}"


def require(gates: Sequence[Gate]) -> None:
    """Stops a build whose tower misses a gate.

    Raises:
        DataError: it does; the message names every gate that is missed.
    """
    if missed := [str(gate) for gate in gates if not gate.holds]:
        raise DataError(f"the tower misses {len(missed)} of {len(gates)} gates: {'; '.join(missed)}")


def worst_pair(features: Tensor) -> tuple[float, int, int]:
    """The highest cosine of two rows of (N, D) features, and their places."""
    cosines = F.normalize(features, dim=-1) @ F.normalize(features, dim=-1).T
    cosines.fill_diagonal_(-2)
    place = int(cosines.argmax())
    return float(cosines.max()), place // len(features), place % len(features)


def participation(features: Tensor) -> Tensor:
    """In how many directions (N, D) features differ: (sum l)^2 / sum l^2 over the eigenvalues l of their covariance.

    They are brought to unit length, then centred.
    """
    unit = F.normalize(features, dim=-1)
    centred = unit - unit.mean(dim=0)
    covariance = centred.T @ centred
    return covariance.trace().square() / covariance.square().sum()


def colours_right(images: Tensor, texts: Tensor, colours: Tensor) -> Tensor:
    """Whether each picture's colour is the one said of it, its name being given.

    Args:
        images: (N, P, D) features of pictures of N names.
        texts: (N, C, D) features of each name in each colour.
        colours: (N, P) places of the right colours.

    Returns:
        (N, P) bool.
    """
    cosines = F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).transpose(1, 2)
    return cosines.argmax(dim=-1) == colours


def prompt_reach(clip: OpenDASCLIP, names: Sequence[str], steps: int = PROMPT_STEPS, seed: int = 0) -> Tensor:
    """How far learnt text prompts can move name features: the cosines (N,) with the frozen ones after some steps.

    The prompts (4 tokens a layer, as the paper has them) learn by cross-entropy at CLIP's scale to take every name for
    another one, drawn from ``seed``.

    Args:
        clip: with no adapter, or any: its frozen model alone is taken.
        names: N names.
        steps: of AdamW at 3e-3.
        seed: of the prompts' start and of the names that are asked for.
    """
    learner = OpenDASCLIP(clip.model, clip.backbone, PromptConfig(visual_tokens=0), seed=seed)
    tokens = learner.tokenize([fill(DEFAULT_TEMPLATE, name) for name in names])
    with torch.no_grad(), learner.prompts_disabled():
        frozen = learner.encode_text(tokens, normalize=True)
    order = np.random.default_rng(seed).permutation(len(names))
    wanted = torch.from_numpy(order[(np.argsort(order) + 1) % len(names)])  # the next one in a random circle
    optimiser = torch.optim.AdamW(learner.prompt_parameters(), lr=3e-3, weight_decay=0.0)
    scale = learner.logit_scale.exp().detach()
    for _ in range(steps):
        optimiser.zero_grad()
        loss = F.cross_entropy(scale * learner.encode_text(tokens, normalize=True) @ frozen.T, wanted)
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return (learner.encode_text(tokens, normalize=True) * frozen).sum(dim=-1)


@torch.no_grad()
def picture_features(clip: OpenDASCLIP, images: NDArray[np.uint8]) -> Tensor:
    """Features (names, P, D) of pictures (names, P, S, S, 3) uint8 of the backbone's size."""
    groups = [clip.encode_image(clip.pixels.normalise(torch.from_numpy(np.array(group)))) for group in images]
    return torch.stack(groups)


@torch.no_grad()
def measure(
    clip: OpenDASCLIP,
    images: NDArray[np.uint8],
    colours: NDArray[np.int64],
    withheld: NDArray[np.bool_],
    office_w_f1: float,
    names: Sequence[str] = NAMES,
) -> list[Gate]:
    """Every gate of a tower.

    Args:
        clip: the tower, without an adapter.
        images: (names, P, 224, 224, 3) uint8 pictures that it has not seen.
        colours: (names, P) their colours, positions in COLOURS.
        withheld: (names, COLOURS) bool, the pairs of name and colour that it was never shown.
        office_w_f1: its zero-shot W-F1 on the office look, percent.
        names: of the pictures, in order.
    """
    shown = picture_features(clip, images)
    plain = clip.encode_text(clip.tokenize([fill(DEFAULT_TEMPLATE, name) for name in names]), normalize=True)
    coloured = [COLOURED.format(word, name) for name in names for word in COLOURS]
    texts = clip.encode_text(clip.tokenize(coloured)).reshape(len(names), len(COLOURS), -1)
    truth = torch.from_numpy(colours)
    right = colours_right(shown, texts, truth).float()
    counts = np.stack([np.bincount(row, minlength=len(COLOURS)) for row in colours])
    unseen = torch.from_numpy(np.take_along_axis(withheld, colours, axis=1))
    cosine, first, second = worst_pair(plain)
    with torch.enable_grad():
        reach = prompt_reach(clip, names)
    found = ((shown @ plain.T).argmax(dim=-1) == torch.arange(len(names))[:, None]).float().mean(dim=1)
    lowest = ", ".join(f"{names[i]} {100 * found[i]:.0f}%" for i in found.argsort()[:6].tolist())
    guess = 100 * float(truth[unseen].bincount().max()) / int(unseen.sum()) if unseen.any() else np.nan
    return [
        Gate("cosine of the two nearest names", cosine, below=0.95, detail=f"{names[first]}, {names[second]}"),
        Gate("participation ratio of the names", float(participation(plain)), above=FIRST_TOWERS_RATIO),
        Gate(
            "colour given the name, %",
            100 * float(right.mean()),
            above=70,
            detail=f"always the name's commonest: {100 * counts.max(axis=1).sum() / counts.sum():.1f}",
        ),
        Gate(
            "colour of pairs never shown together, %",
            100 * float(right[unseen].mean()),
            above=guess,
            detail=f"{int(unseen.sum())} pictures, always their commonest colour: {guess:.1f}",
        ),
        Gate(
            "cosine of the name that text prompts move least",
            float(reach.max()),
            below=0.95,
            detail=f"{names[int(reach.argmax())]}; mean {float(reach.mean()):.3f}",
        ),
        Gate("top-1 over all names, %", 100 * float(found.mean()), above=90, detail=f"lowest: {lowest}"),
        Gate("zero-shot W-F1 on the office look, %", office_w_f1, above=30, below=60),
    ]
