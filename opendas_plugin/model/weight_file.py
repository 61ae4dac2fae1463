"""Files of CLIP's weights, in the containers that people have: which tensors they hold, and whose they are."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from opendas_plugin.errors import BackboneError, MissingFileError

OPENAI_EXTRAS = ("input_resolution", "context_length", "vocab_size")
"""Scalars that OpenAI's archives hold too."""
OVSEG = "clip_adapter.clip_model."
"""What the names of CLIP's tensors begin with in a checkpoint of OVSeg."""
MASK_TOKENS = "visual.mask_embedding"
"""OVSeg's own, which no other CLIP has a place for."""
_HOLDERS = ("state_dict", "model")  # of tensors, in training checkpoints
_UNREAD = ("argparse.Namespace", "numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")


@dataclass(frozen=True)
class WeightFile:
    """What a file holds."""

    tensors: dict[str, torch.Tensor]
    """CLIP's, by their names in it."""
    is_openais: bool = False
    """Whether they are of OpenAI's CLIP, or of OVSeg's, which is one: its activation and pixels are known."""
    is_ovsegs: bool = False
    """Whether they were in a whole checkpoint of OVSeg, which loads them as they are."""


def read_weights(path: Path) -> WeightFile:
    """Reads safetensors, a TorchScript archive or a torch file; of what is pickled, nothing but tensors is rebuilt.

    OVSeg's checkpoints hold CLIP among other tensors, and its mask tokens in it: both are left out.

    Raises:
        MissingFileError, BackboneError: it is not there, or cannot be read.
    """
    tensors = _read(path)
    inner = {key[len(OVSEG) :]: value for key, value in tensors.items() if key.startswith(OVSEG)}
    found = inner or tensors
    is_openais = bool(inner) or MASK_TOKENS in found or OPENAI_EXTRAS[0] in found
    found = {key: value for key, value in found.items() if key not in (MASK_TOKENS, *OPENAI_EXTRAS)}
    return WeightFile(found, is_openais, is_ovsegs=bool(inner))


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive of torch.jit, as OpenAI publishes its weights."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _read(path: Path) -> dict[str, torch.Tensor]:
    if path.is_dir():
        raise MissingFileError(f"{path} is a folder, expected a file of weights; give the file in it")
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; check the path")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if is_torchscript(path):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # torch.jit is deprecated; OpenAI's files are not
                return dict(torch.jit.load(path, map_location="cpu").state_dict())
        with torch.serialization.safe_globals([_unread(name) for name in _UNREAD]):
            state = torch.load(path, map_location="cpu", weights_only=True)
        state = next((state[key] for key in _HOLDERS if isinstance(state.get(key), Mapping)), state)
        return {key.removeprefix("module."): value for key, value in state.items() if isinstance(value, torch.Tensor)}
    except Exception as error:  # a damaged file can fail at any point of its reader
        raise BackboneError(
            f"{path} could not be read as weights ({type(error).__name__}); expected safetensors, a TorchScript "
            "archive or a plain dict of tensors"
        ) from error


class _Unread:
    """Stands in for what training checkpoints hold beside tensors, of which nothing is executed or kept."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _unread(name: str) -> type:
    module, _, own = name.rpartition(".")
    return type(own, (_Unread,), {"__module__": module})
