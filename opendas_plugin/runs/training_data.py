"""What ``train_prompts.py`` learns from: the segments, their crops, and the related names."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from opendas_plugin import methods
from opendas_plugin.commands.common import UsageError
from opendas_plugin.commands.generate_negatives import describe_leaks
from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import Domain
from opendas_plugin.data.segments import Segment
from opendas_plugin.data.subsets import few_shots, jitter_masks, match_proposals
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.masks import read_proposals
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.negatives.database import NegativeDatabase
from opendas_plugin.negatives.generate import offline
from opendas_plugin.negatives.words import word_list
from opendas_plugin.train.config import TrainConfig

if TYPE_CHECKING:
    from opendas_plugin.commands.train_prompts import TrainPrompts

logger = logging.getLogger(__name__)


def learning_segments(options: TrainPrompts, domain: Domain) -> Sequence[Segment]:
    """The segments to learn from: the domain's own, or what the recipe and the flags make of them.

    Raises:
        UsageError: proposals without the folder of their pictures, or the folder alone.
        DataError: the proposals do not fit the domain.
    """
    wanted, segments, seed = options.config.segments, domain.train, options.config.seed
    if (options.proposals is None) != (options.proposal_images is None):
        raise UsageError("--proposals and --proposal-images go together; give both or neither")
    if options.proposals is not None and options.proposal_images is not None:
        proposals = read_proposals(options.proposals, options.proposal_images)
        segments = match_proposals(proposals, segments, wanted.min_overlap)
        logger.info("learning from %d of %d proposed masks", len(segments), len(proposals))
    if wanted.shots is not None:
        segments = few_shots(segments, wanted.shots, seed)
    return jitter_masks(segments, wanted.mask_jitter, seed) if wanted.mask_jitter else segments


def crop_policy(config: TrainConfig, clip: OpenDASCLIP) -> CropPolicy:
    """The recipe's crop policy at the backbone's image size.

    Raises:
        ConfigError: the recipe asks for another size.
    """
    if config.crops.size not in (CropPolicy().size, clip.image_size):
        raise ConfigError(f"{config.backbone} takes {clip.image_size} pixels, got crops.size {config.crops.size}")
    return dataclasses.replace(config.crops, size=clip.image_size)


def related_names(options: TrainPrompts, domain: Domain, clip: OpenDASCLIP) -> NegativeDatabase | None:
    """The related names to train with: from the file, the office domain's own, or found offline; None if none are used.

    Raises:
        UsageError: names are given to a run that uses none.
        DataError: the names do not fit the classes.
    """
    triplet, vocabulary = options.config.triplet, domain.vocabulary
    mines = any(stage.triplet for stage in methods.get(options.config.method).stages)
    if not mines or not triplet.enabled or triplet.mining == "training":
        if options.negatives is not None:
            raise UsageError(
                "--negatives is for methods with a triplet loss that mines in them, and this run has none; "
                "add --triplet.mining hardest, or leave --negatives out"
            )
        return None
    if options.negatives is not None:
        database = NegativeDatabase.load(options.negatives)
    elif domain.info.get("name") == "office":
        database = NegativeDatabase.load(Path(str(resources.files("opendas_plugin.office") / "negatives.json")))
    else:
        logger.info("no --negatives given: the related names are the nearest words by the text tower of the backbone")
        database = offline(vocabulary, clip, word_list())
    database.validate(vocabulary)
    if leaks := database.leaks(vocabulary):
        logger.info("%s", describe_leaks(leaks, dropped=options.drop_novel))
    return database.without_novel(vocabulary) if options.drop_novel else database
