"""OpenDAS adapters in OVSeg (facebookresearch/ov-seg), without a change to its checkout.

On the command line: ``python -m integrations.ovseg train_net.py --clip-backend opendas --opendas-adapter A ...``. In
Python: :func:`patch`, and :func:`use_checkout` before OVSeg is imported. Everything here needs torch, numpy,
safetensors and the standard library alone, and runs on Python 3.8, as in the environment that OVSeg documents;
nothing here but the commands ``evaluate`` and ``convert`` imports ``opendas_plugin``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from integrations.ovseg.errors import OVSegError

if TYPE_CHECKING:
    import os

    from torch import nn

    from integrations.ovseg.patching import Patch

__all__ = ["OVSegError", "patch", "use_checkout"]


def patch(
    model: nn.Module,
    adapter: str | os.PathLike,
    *,
    base: str = "weights",
    text: str = "both",
    chunk: int | None = None,
    cache: str | os.PathLike | None = None,
    host_fixes: bool = True,
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
        host_fixes: mend, in this model, OVSeg's crashes on images with few valid masks and in its demo, and set the
            names of numpy's types that it uses and numpy has dropped; see :func:`use_checkout` for what importing
            OVSeg needs.
        cache: folder of text features that later processes read instead of encoding again; None: no such cache.

    Returns:
        a handle: ``with patch(model, adapter): ...`` or ``handle.undo()`` restores the model exactly.

    Raises:
        OVSegError: the adapter is damaged, does not fit the model's CLIP or has no effect in it, or the model already
            has one.
    """
    from integrations.ovseg.adapter import read_adapter
    from integrations.ovseg.patching import Patch

    return Patch(model, read_adapter(adapter), base=base, text=text, chunk=chunk, cache=cache, host_fixes=host_fixes)


def use_checkout(root: str | os.PathLike) -> None:
    """Makes an OVSeg checkout importable in this process, mended as the launcher does; call it before importing OVSeg.

    Its own CLIP, with mask prompts, is taken from the checkout's ``third_party/CLIP`` if it is not installed.

    Raises:
        OVSegError: ``root`` is no checkout, or detectron2 is not installed.
    """
    from pathlib import Path

    from integrations.ovseg.install import import_host

    import_host(Path(root))
