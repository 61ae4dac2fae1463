"""The hash of a frozen model, kept as long as the model does not change."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import nn

from opendas_plugin.model.checkpoint import OpenCLIP, backbone_sha256

_KNOWN: WeakKeyDictionary[nn.Module, tuple[object, str]] = WeakKeyDictionary()


def known_sha256(model: OpenCLIP) -> str:
    """Returns :func:`~.checkpoint.backbone_sha256` of an open_clip model, computed anew only where it has changed.

    Whether it has is told by torch's count of changes of each tensor and by the sum of its bytes, eight at a time: a
    twentieth of the hash's time, and it notices writes that torch does not count.
    """
    state = _state(model)
    if (known := _KNOWN.get(model)) is None or known[0] != state:
        known = _KNOWN[model] = state, backbone_sha256(model)
    return known[1]


def _state(model: nn.Module) -> list[tuple[object, ...]]:
    return [(key, t.shape, t.dtype, t._version, _sum(t)) for key, t in model.state_dict().items()]


def _sum(tensor: torch.Tensor) -> int:
    flat = tensor.detach().contiguous().flatten()
    words = flat.nbytes % 8 == 0 and flat.storage_offset() * flat.itemsize % 8 == 0
    return int(flat.view(torch.int64 if words else torch.uint8).sum())
