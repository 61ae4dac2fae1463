"""A training that goes on from another adapter: what that one has learnt, and from which pictures."""

from __future__ import annotations

import dataclasses

from opendas_plugin.crops import CropPolicy
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.learnt import digests_of
from opendas_plugin.model import adapter as folders
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.loading import ADAPTER


def learnt_before(adapter: str) -> list[str]:
    """Digests of the pictures that an adapter, a folder or hub id, has learnt from; empty where it does not say."""
    config = folders.read_config(folders.find_folder(adapter.removeprefix(ADAPTER)))
    return digests_of(config.training) or []


def ways_of(adapter: str, crops: CropPolicy) -> tuple[str, CropPolicy]:
    """The template and the crop policy that an adapter was trained with; ``crops`` where it does not say which."""
    config = folders.read_config(folders.find_folder(adapter.removeprefix(ADAPTER)))
    return config.template, config.crop_policy or crops


def start_from(clip: OpenDASCLIP, adapter: str) -> None:
    """Gives ``clip`` what another adapter has learnt.

    Raises:
        AdapterError: it was learnt on another backbone.
        ConfigError: it holds other tokens or weights.
    """
    other = OpenDASCLIP.from_pretrained(adapter.removeprefix(ADAPTER), backbone=clip)
    for what in ("prompts", "weights"):
        theirs, ours = (dataclasses.asdict(getattr(one.config, what)) for one in (other, clip))
        for name in theirs:
            if theirs[name] != ours[name]:
                raise ConfigError(
                    f"cannot go on from {adapter}: its {what}.{name} is {theirs[name]!r}, this run's {ours[name]!r}"
                )
    clip.load_state_dict(other.learnt_state(), strict=False)
