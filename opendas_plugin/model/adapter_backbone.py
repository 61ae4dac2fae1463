"""The backbone that an adapter was learnt on: built as its folder says, and compared with it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from opendas_plugin.errors import AdapterError, MissingFileError
from opendas_plugin.model.adapter_config import AdapterConfig
from opendas_plugin.model.checkpoint import OpenCLIP, build_backbone
from opendas_plugin.model.config import BackboneConfig
from opendas_plugin.model.hashes import known_sha256
from opendas_plugin.model.tiny_clips import TINY_CLIPS, name_of
from opendas_plugin.model.tokenizing import require_folder, tokenizer_sha256
from opendas_plugin.model.towers.facts import facts_of

logger = logging.getLogger(__name__)


def build_named(
    folder: Path,
    config: AdapterConfig,
    pretrained: str | Path | None,
    device: str | torch.device,
    tokenizer: str | Path | None = None,
) -> tuple[OpenCLIP, BackboneConfig]:
    """Builds the backbone that an adapter's folder names.

    Args:
        folder: for messages.
        config: what the folder says.
        pretrained: where the weights lie now, if not where the folder says.
        device: where to put it.
        tokenizer: where its tokenizer's folder lies now, if not where the folder says.

    Raises:
        MissingFileError: its weights or its tokenizer are not there.
        BackboneError: it cannot be built.
    """
    name, weights = config.backbone, pretrained or config.pretrained
    if pretrained and config.pretrained is None and config.backbone_seed is None:
        name, weights = str(pretrained), None  # the backbone was itself a file, which has moved
    try:
        words = require_folder(tokenizer or config.tokenizer)
    except MissingFileError as error:
        raise MissingFileError(f"{folder} needs its tokenizer: {error}, or give it as `tokenizer`") from error
    try:
        seed, facts = config.backbone_seed or 0, config.backbone_facts
        model, source = build_backbone(name, weights, seed=seed, device=device, facts=facts)
        return model, replace(source, tokenizer=words)
    except MissingFileError as error:
        advice = "" if name in TINY_CLIPS else f"; {_where(config)}"
        raise MissingFileError(f"{folder} needs its backbone: {error}{advice}") from error


def require_same(
    folder: Path, config: AdapterConfig, model: OpenCLIP, source: BackboneConfig, *, in_memory: bool
) -> None:
    """Compares a backbone with the one that an adapter was learnt on: its tensors by their hash, and its facts.

    Args:
        folder: of the adapter, for messages.
        config: what the folder says.
        model: the backbone that is here.
        source: what it was built from.
        in_memory: whether the caller gave it, for the advice.

    Raises:
        AdapterError: it is another one.
    """
    if (found := known_sha256(model)) != config.backbone_sha256:
        raise AdapterError(
            f"{folder} was learnt on {config.backbone} with weights {config.backbone_sha256[:12]}, but "
            f"{source.title} has weights {found[:12]}; {_where(config, in_memory=in_memory)}"
        )
    theirs, ours = config.backbone_facts, facts_of(model, source.name)
    if theirs is None or ours is None:
        silent = f"{folder}, of an older format," if theirs is None else source.title
        logger.warning(
            "%s does not say how the backbone reads pixels and texts (statistics, sizes, activation, tokenizer); they "
            "are taken as they are here, unchecked",
            silent,
        )
    elif differences := theirs.differences(ours):
        raise AdapterError(
            f"{folder} was learnt on a backbone with {differences}, though the weights are the same; give the one "
            "that it was learnt on"
        )


def require_same_tokenizer(folder: Path, config: AdapterConfig, tokenizer: Callable[[], Any]) -> None:
    """Compares the tokenizer with that of an adapter that has it from a folder; ``tokenizer`` makes it.

    Raises:
        AdapterError: it is another one.
    """
    if config.tokenizer_sha256 and (found := tokenizer_sha256(tokenizer())) != config.tokenizer_sha256:
        raise AdapterError(
            f"{folder} was learnt with the tokenizer {config.tokenizer_sha256[:12]} of {config.tokenizer}, but the one "
            f"here is {found[:12]}; give the folder of that one as `tokenizer`"
        )


def _where(config: AdapterConfig, *, in_memory: bool = False) -> str:
    """How the weights that an adapter was learnt on are given, which a tiny CLIP's are by its name."""
    name = name_of(config.backbone_sha256)
    if in_memory:
        return f"those are {name}, which is to be the `backbone`" if name else "give the right ones as backbone"
    if name:
        return (
            f"those are {name}: load it by OpenDASCLIP.from_pretrained(ADAPTER, pretrained={name!r}), in a run by "
            f'`pretrained` {name}, or everywhere by writing that name as "backbone" into its adapter_config.json'
        )
    return (
        "where its weights lie elsewhere, say so by OpenDASCLIP.from_pretrained(ADAPTER, pretrained=FILE), "
        "or to a run by `pretrained`"
    )
