"""Folders that hold a whole model, as transformers or open_clip has saved it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from open_clip.factory import LOCAL_DIR_PREFIX

from opendas_plugin.errors import BackboneError, MissingFileError
from opendas_plugin.model import open_clip_folder, stated, transformers_format
from opendas_plugin.model.construct import construct
from opendas_plugin.model.tokenizer_files import find_tokenizer, missing_tokenizer
from opendas_plugin.model.towers.parts import OpenCLIP
from opendas_plugin.model.weight_file import read_weights

_SLACK = 1_000_000
"""Values that a model may have beyond twice those of its file, before it is refused unbuilt."""


def build(folder: Path) -> tuple[OpenCLIP, dict[str, torch.Tensor]]:
    """Makes the model that a folder describes, with random weights, and reads its own.

    A folder of both open_clip and transformers, as there are on the hub, is open_clip's. The tokenizer's place, where
    its files lie there, is the model's ``tokenizer_folder``.

    Raises:
        BackboneError: another model, or one that cannot be read.
        MissingFileError: it holds no weights.
    """
    file = open_clip_folder.weights_in(folder)
    if _is_open_clips(folder, file):
        tensors = _tensors(folder, file)
        model = _built(functools.partial(open_clip_folder.build, folder), tensors, folder / stated.SIDECAR)
        foreign = bool(model.configuration["text_cfg"].get("hf_tokenizer_name"))
        own = find_tokenizer(folder, LOCAL_DIR_PREFIX) if foreign else None
    else:
        found = transformers_format.read_folder(folder)
        tensors = found.tensors()
        model = _built(found.build, tensors, folder / transformers_format.CONFIG)
        own, foreign = find_tokenizer(folder), not found.has_clips_vocabulary
    model.tokenizer_folder = missing_tokenizer(folder) if own is None and foreign else own
    return model, tensors


def build_as(folder: Path, config: Mapping[str, Any], name: str) -> tuple[OpenCLIP, dict[str, torch.Tensor]]:
    """Makes the model of a configuration of open_clip, with the pixels and activations that a folder says.

    Args:
        folder: of the weights, which are read.
        config: of the model; they have to fit it.
        name: the model's, for messages.

    Raises:
        BackboneError, MissingFileError: as :func:`build`.
    """
    file = open_clip_folder.weights_in(folder)
    if _is_open_clips(folder, file):
        said = stated.of_file(name, folder / open_clip_folder.WEIGHTS)
        quick = {} if said.quick_gelu is None else {"quick_gelu": said.quick_gelu}
        model, tensors = construct({**config, **quick}, said.pixels, name), _tensors(folder, file)
        model.tokenizer_folder = find_tokenizer(folder, LOCAL_DIR_PREFIX)
    else:
        found = transformers_format.read_folder(folder)
        model, tensors = construct(dict(config), found.pixels, name), found.tensors()
        found.activate(model)
        model.tokenizer_folder = find_tokenizer(folder)
    return model, tensors


def _built(make: Callable[[], OpenCLIP], tensors: Mapping[str, torch.Tensor], path: Path) -> OpenCLIP:
    """Makes the model that a file at ``path`` describes, if it is about as large as its weights, not by far larger."""
    with torch.device("meta"):
        sizes = [tensor.numel() for tensor in make().state_dict().values()]
    held = sum(tensor.numel() for tensor in tensors.values())
    if sum(sizes) > 2 * held + _SLACK:
        raise BackboneError(
            f"{path} describes a model of {sum(sizes):,} values, but the weights beside it hold {held:,}; correct it"
        )
    return make()


def _is_open_clips(folder: Path, file: Path | None) -> bool:
    described = (folder / stated.SIDECAR).is_file()
    return described and (file is not None or not (folder / transformers_format.CONFIG).is_file())


def _tensors(folder: Path, file: Path | None) -> dict[str, torch.Tensor]:
    if file is None:
        raise MissingFileError(f"{folder} holds no weights (expected {open_clip_folder.WEIGHTS}); save the model again")
    return read_weights(file).tensors
