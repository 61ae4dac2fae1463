"""What tensors hold, as numbers to compare: checksums, and the hash of a frozen model while it does not change."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from weakref import WeakKeyDictionary

import torch
from torch import nn

from opendas_plugin.model.checkpoint import OpenCLIP, backbone_sha256

_KNOWN: WeakKeyDictionary[nn.Module, tuple[object, str]] = WeakKeyDictionary()
_CHUNK = 1 << 15  # words whose products stay in a core's cache


def known_sha256(model: OpenCLIP) -> str:
    """Returns :func:`~.checkpoint.backbone_sha256` of an open_clip model, computed anew only where it has changed.

    Whether it has is told by torch's count of changes of each tensor and by its :func:`checksum`: a third of the
    hash's time, and it notices writes that torch does not count.
    """
    state = [(key, t.shape, t.dtype, t._version, checksum(t)) for key, t in model.state_dict().items()]
    if (known := _KNOWN.get(model)) is None or known[0] != state:
        known = _KNOWN[model] = state, backbone_sha256(model)
    return known[1]


def contents(tensors: Iterable[torch.Tensor]) -> tuple[object, ...]:
    """Returns what tells whether tensors hold what they held: types, devices and checksums of them."""
    return tuple((t.shape, t.dtype, t.device, checksum(t)) for t in tensors)


@torch.no_grad()
def checksum(tensor: torch.Tensor) -> int:
    """Returns a sum over a tensor's bytes, eight at a time, each by a weight of its own, modulo 2^64.

    It changes with any write, through ``data`` or numpy too, and with values that change places. No cryptographic hash.
    """
    flat = tensor.detach().contiguous().flatten().view(torch.uint8)
    if flat.numel() % 8 or flat.storage_offset() % 8:
        flat = torch.nn.functional.pad(flat, (0, -flat.numel() % 8))
    words, factors = flat.view(torch.int64), _factors(flat.device)
    sums = [(part * factors[: len(part)]).sum() for part in words.split(_CHUNK)]
    total = 0
    for part in torch.stack(sums).tolist() if sums else ():
        total = (total * 0x9E3779B97F4A7C15 + part) % (1 << 64)
    return total


@functools.cache
def _factors(device: torch.device) -> torch.Tensor:
    """Odd weights (_CHUNK,) int64: of the same bytes in other places come other sums."""
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode(False):
        low, high = (torch.randint(1 << 32, (_CHUNK,), generator=generator) for _ in range(2))
        return ((high << 32) | low | 1).to(device)
