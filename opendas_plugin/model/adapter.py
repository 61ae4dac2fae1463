"""Adapter folders: ``adapter_config.json`` and ``adapter.safetensors``, written whole and read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.utils import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from opendas_plugin.errors import AdapterError, DataError, MissingFileError, OutputError
from opendas_plugin.files import atomic_file, atomic_folder, read_json, write_json
from opendas_plugin.model.adapter_config import AdapterConfig

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter.safetensors"


def save_adapter(folder: str | Path, config: AdapterConfig, tensors: Mapping[str, torch.Tensor]) -> None:
    """Writes an adapter folder in one step; an adapter that was there is replaced.

    Raises:
        OutputError: the folder cannot be written, or holds files that are no adapter's.
    """
    folder = Path(folder)
    others = {path.name for path in folder.iterdir()} - {CONFIG_FILE, WEIGHTS_FILE} if folder.is_dir() else set()
    if others:
        raise OutputError(
            f"{folder} holds other files ({', '.join(sorted(others)[:3])}); choose a new or an empty folder"
        )
    with atomic_folder(folder) as temporary:
        write_json(temporary / CONFIG_FILE, config.to_dict())
        plain = {key: value.detach().to("cpu", torch.float32).contiguous() for key, value in tensors.items()}
        with atomic_file(temporary / WEIGHTS_FILE) as file:
            file.write_bytes(save(plain))


def read_config(folder: Path) -> AdapterConfig:
    """Reads a folder's configuration.

    Raises:
        AdapterError: it is damaged, or of a newer format.
        MissingFileError: there is none.
    """
    path = folder / CONFIG_FILE
    try:
        return AdapterConfig.from_dict(read_json(path), str(path))
    except DataError as error:
        raise AdapterError(f"{error}; the adapter is damaged") from error


def read_tensors(folder: Path, expected: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Reads a folder's tensors, which must have exactly the names and shapes of ``expected``.

    Raises:
        AdapterError: the file is missing, damaged or holds other tensors.
    """
    path = folder / WEIGHTS_FILE
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{path} could not be read ({error}); the adapter is damaged") from error
    if missing := sorted(expected.keys() - tensors.keys()):
        raise AdapterError(f"{path} lacks {', '.join(missing)}; the adapter is damaged")
    if extra := sorted(tensors.keys() - expected.keys()):
        raise AdapterError(f"{path} holds {', '.join(extra)}, which this adapter does not have; the adapter is damaged")
    for key, tensor in expected.items():
        if tensors[key].shape != tensor.shape:
            raise AdapterError(
                f"{path}: {key} has shape {tuple(tensors[key].shape)}, expected {tuple(tensor.shape)}; "
                "the adapter is damaged or belongs to another backbone"
            )
    return tensors


def find_folder(path_or_id: str | Path, **hub_options: Any) -> Path:
    """Returns a local adapter folder, fetched from the Hugging Face Hub where no such folder is here.

    Args:
        path_or_id: a folder, or a hub id such as ``name/adapter``.
        hub_options: ``revision``, ``cache_dir``, ``token``, ``local_files_only``, ``force_download``.

    Raises:
        MissingFileError: there is neither.
    """
    if Path(path_or_id).is_dir():
        return Path(path_or_id)
    try:
        return Path(snapshot_download(str(path_or_id), allow_patterns=[CONFIG_FILE, WEIGHTS_FILE], **hub_options))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".:")
        raise MissingFileError(
            f"{path_or_id} is neither a folder nor an adapter on the hub ({reason}); check the path"
        ) from error
