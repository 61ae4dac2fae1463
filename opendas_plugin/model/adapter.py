"""Adapter folders: ``adapter_config.json`` and ``adapter.safetensors``, written whole and read strictly.

Finding a folder and reading what it says needs no torch, which takes seconds to import.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from opendas_plugin.errors import AdapterError, DataError, MissingFileError, OutputError
from opendas_plugin.files import atomic_file, atomic_folder, read_json, write_json, write_text
from opendas_plugin.model.adapter_config import AdapterConfig
from opendas_plugin.model.bounds import shortened
from opendas_plugin.model.config import PREFIX
from opendas_plugin.model.naming import CONFIG_FILE, no_adapter

if TYPE_CHECKING:
    import torch

WEIGHTS_FILE = "adapter.safetensors"
MAX_CONFIG = 32 << 20


def save_adapter(
    folder: str | Path, config: AdapterConfig, tensors: Mapping[str, torch.Tensor], name: str | None = None
) -> None:
    """Writes an adapter folder with its card in one step; an adapter that was there is replaced, an edited card kept.

    Args:
        folder: new, empty, or an adapter.
        config: what the adapter says of itself.
        tensors: what was learnt.
        name: by which the card calls it; None: as the folder.

    Raises:
        OutputError: the folder cannot be written, or holds files that are no adapter's.
    """
    import torch
    from safetensors.torch import save

    from opendas_plugin.model.cards import CARD, card_text, kept_card

    folder = Path(folder)
    others = {path.name for path in folder.iterdir()} - {CONFIG_FILE, WEIGHTS_FILE, CARD} if folder.is_dir() else set()
    if others:
        raise OutputError(
            f"{folder} holds other files ({', '.join(sorted(others)[:3])}); choose a new or an empty folder"
        )
    card = kept_card(folder) or card_text(config, name or folder.name)
    with atomic_folder(folder) as temporary:
        write_text(temporary / CARD, card)
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
        if path.is_file() and path.stat().st_size > MAX_CONFIG:
            raise AdapterError(f"{path} is larger than {MAX_CONFIG >> 20} MiB; the adapter is damaged")
        return AdapterConfig.from_dict(read_json(path), str(path))
    except DataError as error:
        raise AdapterError(f"{error}; the adapter is damaged") from error
    except (RecursionError, ValueError) as error:
        if isinstance(error, AdapterError):
            raise
        raise AdapterError(f"{path} holds JSON that cannot be read; the adapter is damaged") from error


def check_sizes(folder: Path, config: AdapterConfig) -> None:
    """Compares the counts that a configuration asks for with the tensor file's header, before anything is allocated.

    Raises:
        AdapterError: the file is missing or damaged, or its tensors are not of these counts, or not float32.
    """
    path = folder / WEIGHTS_FILE
    with _opened(path) as file:
        shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 (no mapping)
        kinds = {file.get_slice(key).get_dtype() for key in shapes}
    if kinds - {"F32"}:
        raise AdapterError(f"{path} holds tensors of {', '.join(sorted(kinds))}, expected F32; the adapter is damaged")
    for key, place, count in _counts(config):
        for name in (name for name in shapes if name.startswith(key)):
            shape = shapes[name]
            if len(shape) <= place or shape[place] != count or 0 in shape:
                raise AdapterError(
                    f"{path}: {shortened(name)} has shape {tuple(shape)}, where the configuration says {count}; the "
                    "adapter is damaged"
                )
        if "_weights." not in key and not any(name.startswith(key) for name in shapes):  # a tower may have no matrices
            raise AdapterError(f"{path} lacks {key.rstrip('.')}; the adapter is damaged")


def _counts(config: AdapterConfig) -> Iterator[tuple[str, int, int]]:
    """What tensors begin with, and which of their axes has how many places."""
    prompts, weights = config.prompts, config.weights
    if prompts.form == "factored":
        yield "text_prompts.column", 0, prompts.text_tokens
        return
    if prompts.visual_tokens and prompts.form != "coupled":
        yield "visual_prompts.tokens", 1, prompts.visual_tokens
    if prompts.text_tokens:
        yield "text_prompts.tokens", 1, prompts.text_tokens
    for tower, kind in (("visual", weights.visual), ("text", weights.text)):
        if "low_rank" in kind:
            joined = "+" in kind  # the low-rank part is the second
            yield f"{tower}_weights.{'parts.1.' if joined else ''}down.", 1, weights.rank
    if config.cache.entries:
        yield "cache.keys", 0, config.cache.entries


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{path} could not be read ({error}); the adapter is damaged") from error


def read_tensors(folder: Path, expected: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Reads a folder's tensors, which must have exactly the names and shapes of ``expected``.

    Raises:
        AdapterError: the file is missing, damaged or holds other tensors.
    """
    import torch

    path = folder / WEIGHTS_FILE
    with _opened(path) as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    if missing := sorted(expected.keys() - tensors.keys()):
        raise AdapterError(f"{path} lacks {', '.join(missing)}; the adapter is damaged")
    if extra := sorted(tensors.keys() - expected.keys()):
        found = shortened(", ".join(extra)).strip("'")
        raise AdapterError(f"{path} holds {found}, which this adapter does not have; the adapter is damaged")
    for key, tensor in expected.items():
        if tensors[key].shape != tensor.shape:
            raise AdapterError(
                f"{path}: {key} has shape {tuple(tensors[key].shape)}, expected {tuple(tensor.shape)}; "
                "the adapter is damaged or belongs to another backbone"
            )
        if not bool(torch.isfinite(tensors[key]).all()):
            raise AdapterError(f"{path}: {key} holds values that are no numbers; the adapter is damaged")
    return tensors


def find_folder(path_or_id: str | Path, **hub_options: Any) -> Path:
    """Returns a local adapter folder, fetched from the Hugging Face Hub where no such folder is here.

    Args:
        path_or_id: a folder, or a hub id such as ``name/adapter``; ``opendas:`` before it is left out.
        hub_options: ``revision``, ``cache_dir``, ``token``, ``local_files_only``, ``force_download``.

    Raises:
        MissingFileError: there is neither.
    """
    path_or_id = str(path_or_id).removeprefix(PREFIX)
    if (reason := no_adapter(path_or_id)) is not None:
        raise MissingFileError(reason)
    if Path(path_or_id).is_dir():
        return Path(path_or_id)
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.utils import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    from opendas_plugin.model.downloads import unreachable

    silent = unreachable(constants.ENDPOINT)  # what was fetched before is still here
    options = {**hub_options, "local_files_only": True} if silent else hub_options
    try:
        return Path(snapshot_download(path_or_id, allow_patterns=[CONFIG_FILE, WEIGHTS_FILE], **options))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = silent or str(error).splitlines()[0].rstrip(".:")
        raise MissingFileError(
            f"{path_or_id} is neither a folder nor an adapter on the hub ({reason}); check the path"
        ) from error
