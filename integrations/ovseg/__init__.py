"""OpenDAS adapters in OVSeg (facebookresearch/ov-seg), without a change to its checkout.

On the command line: ``python -m integrations.ovseg train_net.py --clip-backend opendas --opendas-adapter A ...``. In
Python: :func:`patch`. Everything here needs torch, numpy, safetensors and the standard library alone, and runs on
Python 3.8, so that it also works in the environment that OVSeg documents; nothing here imports ``opendas_plugin``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from integrations.ovseg.errors import OVSegError

if TYPE_CHECKING:
    import os

    from torch import nn

    from integrations.ovseg.patching import Patch

__all__ = ["OVSegError", "patch"]


def patch(
    model: nn.Module,
    adapter: str | os.PathLike,
    *,
    base: str = "weights",
    text: str = "both",
    chunk: int | None = None,
    cache: str | os.PathLike | None = None,
) -> Patch:
    """Makes an OVSeg model classify its masks with an adapter, until the returned handle is undone.

    Parameters, state-dict keys and every attribute that OVSeg uses stay as they are.

    Args:
        model: OVSeg's model, one wrapped in DistributedDataParallel, or its ``clip_adapter`` alone.
        adapter: the adapter folder.
        base: ``weights``: the CLIP is whatever weights are loaded into it; ``clip``: the CLIP that the model has now
            stays, also when a checkpoint with another one is loaded later.
        text: do learnt text tokens reach ``both`` branches, or the ``clip`` branch alone.
        chunk: regions that go through the visual tower at a time; 0: all; None: 10 on a CPU, all on a GPU or where
            nothing was learnt.
        cache: folder of text features that later processes read instead of encoding again; None: no such cache.

    Returns:
        a handle: ``with patch(model, adapter): ...`` or ``handle.undo()`` restores the model exactly.

    Raises:
        OVSegError: the adapter is damaged or does not fit the model's CLIP, or the model already has one.
    """
    from integrations.ovseg.adapter import read_adapter
    from integrations.ovseg.patching import Patch

    return Patch(model, read_adapter(adapter), base=base, text=text, chunk=chunk, cache=cache)
