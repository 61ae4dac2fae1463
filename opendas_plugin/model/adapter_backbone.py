"""The backbone that an adapter was learnt on: built as its folder says, and compared with it."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from opendas_plugin.errors import AdapterError, MissingFileError
from opendas_plugin.model.adapter_config import AdapterConfig
from opendas_plugin.model.checkpoint import OpenCLIP, build_backbone
from opendas_plugin.model.config import BackboneConfig
from opendas_plugin.model.hashes import known_sha256
from opendas_plugin.model.tiny_clips import TINY_CLIPS, name_of
from opendas_plugin.model.towers.facts import facts_of

logger = logging.getLogger(__name__)


def build_named(
    folder: Path, config: AdapterConfig, pretrained: str | Path | None, device: str | torch.device
) -> tuple[OpenCLIP, BackboneConfig]:
    """Builds the backbone that an adapter's folder names.

    Args:
        folder: for messages.
        config: what the folder says.
        pretrained: where the weights lie now, if not where the folder says.
        device: where to put it.

    Raises:
        MissingFileError: its weights are not there.
        BackboneError: it cannot be built.
    """
    name, weights = config.backbone, pretrained or config.pretrained
    if pretrained and config.pretrained is None and config.backbone_seed is None:
        name, weights = str(pretrained), None  # the backbone was itself a file, which has moved
    try:
        return build_backbone(name, weights, seed=config.backbone_seed or 0, device=device, facts=config.backbone_facts)
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
