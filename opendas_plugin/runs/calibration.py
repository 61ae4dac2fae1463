"""What calibration learns from: the same training without some of the training names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from opendas_plugin.data.building import hold_out
from opendas_plugin.data.domain import Domain
from opendas_plugin.data.splits import validation_groups
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.calibration import HeldOut
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.vocabulary import Vocabulary

JUDGED = 0.25
"""Share of the training images that a fold is judged by and not trained on."""


def fold_domains(domain: Domain, folds: int, seed: int) -> list[Domain]:
    """Splits the training part of a domain ``folds`` times, each with other training names held out as novel.

    Every training name is held out once; validation names and segments are not looked at.

    Raises:
        ConfigError: fewer than two folds, or too few names for them.
    """
    base = domain.vocabulary.base
    if not 2 <= folds <= len(base) // 2:
        raise ConfigError(f"`calibration_folds` must be from 2 to half of the {len(base)} training names, got {folds}")
    order = np.random.default_rng(seed).permutation(len(base)).tolist()
    groups = {segment.group for segment in domain.train}
    images = {group: len({s.image for s in domain.train if s.group == group}) for group in groups}
    judged = validation_groups(images, JUDGED, seed)
    named = [s for s in domain.train if s.label in base]
    train = [s for s in named if s.group not in judged]
    val = [s for s in named if s.group in judged]
    whole = Domain(train, val, Vocabulary(base, (), domain.vocabulary.template), domain.info)
    return [hold_out(whole, [base[place] for place in order[fold::folds]]) for fold in range(folds)]


def judge(adapter: Path, domain: Domain, device: torch.device) -> HeldOut:
    """What a fold's adapter says of the segments that the fold is judged by."""
    names = domain.vocabulary
    labeller = Labeller(OpenDASCLIP.from_pretrained(adapter, device=device), names)
    found = torch.empty(len(domain.val), len(names.names))
    for index, batch in labeller.segments(domain.val):
        found[index] = batch
    return HeldOut(
        cosines=found.numpy(),
        labels=np.array([names.index[segment.label] for segment in domain.val]),
        trained=np.array([name not in names.novel for name in names.names]),
    )
