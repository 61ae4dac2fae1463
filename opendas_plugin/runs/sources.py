"""What a training learns from: the segments, and the related names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from opendas_plugin import methods
from opendas_plugin.data.domain import Domain
from opendas_plugin.data.segments import Segment
from opendas_plugin.data.subsets import few_shots, jitter_masks, match_proposals
from opendas_plugin.eval.masks import read_proposals
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.adapter import CONFIG_FILE, WEIGHTS_FILE, find_folder
from opendas_plugin.negatives.database import NegativeDatabase, describe_leaks
from opendas_plugin.negatives.generate import offline
from opendas_plugin.negatives.words import word_list
from opendas_plugin.stamps import Inputs, named
from opendas_plugin.train.config import TrainConfig

logger = logging.getLogger(__name__)


def learning_segments(
    domain: Domain, config: TrainConfig, proposals: Path | None, images: Path | None
) -> Sequence[Segment]:
    """The segments to learn from: the domain's own, or what the recipe and proposed masks make of them.

    Args:
        domain: what is labelled.
        config: says how many, and how their masks are jittered.
        proposals: masks without classes to learn from in place of the labelled ones.
        images: the folder of their pictures.

    Raises:
        DataError: the proposals do not fit the domain.
    """
    wanted, segments = config.segments, domain.train
    if proposals is not None and images is not None:
        proposed = read_proposals(proposals, images)
        segments = match_proposals(proposed, segments, wanted.min_overlap)
        logger.info("learning from %d of %d proposed masks", len(segments), len(proposed))
    if wanted.shots is not None:
        segments = few_shots(segments, wanted.shots, config.seed)
    return jitter_masks(segments, wanted.mask_jitter, config.seed) if wanted.mask_jitter else segments


def training_inputs(domain: Domain, segments: Sequence[Segment], start: str | None) -> Inputs:
    """The pictures to learn from and to score on, and the files of the adapter to start from; all may move.

    Args:
        domain: what to score on.
        segments: what to learn from.
        start: an adapter's folder or hub id.
    """
    pictures = named({segment.image for segment in (*segments, *domain.val)})
    files = {f"the picture {name}": path for name, path in pictures.items()}
    if start is not None:
        folder = find_folder(start)
        files |= {f"{name} of the adapter to start from": folder / name for name in (CONFIG_FILE, WEIGHTS_FILE)}
    return Inputs(files)


def mines_in_related_names(config: TrainConfig) -> bool:
    """Whether a method's triplet loss takes its negatives from related names."""
    triplet = config.triplet
    stages = methods.get(config.method).stages
    return any(stage.triplet for stage in stages) and triplet.enabled and triplet.mining != "training"


def related_names(domain: Domain, clip: OpenDASCLIP, path: Path | None, *, drop_novel: bool) -> NegativeDatabase:
    """The related names to train with: from the file, the domain's own, or found offline.

    Args:
        domain: whose names they are related to.
        clip: finds them where there are none.
        path: a file of them.
        drop_novel: leave out those that equal novel names.

    Raises:
        DataError: the names do not fit the classes.
    """
    vocabulary = domain.vocabulary
    if path is not None:
        database = NegativeDatabase.load(path)
    elif domain.negatives is not None:
        database = NegativeDatabase.load(domain.negatives)
    else:
        logger.info("no file of related names: they are the nearest words by the text tower of the backbone")
        database = offline(vocabulary, clip, word_list())
    database.validate(vocabulary)
    if leaks := database.leaks(vocabulary):
        logger.info("%s", describe_leaks(leaks, dropped=drop_novel))
    return database.without_novel(vocabulary) if drop_novel else database
