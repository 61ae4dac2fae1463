"""The switch for the length of a ``with`` block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from opendas_plugin.switch.calls import answering
from opendas_plugin.switch.choice import Check
from opendas_plugin.switch.switch import Switch


@contextlib.contextmanager
def switched_on(
    adapter: str | Path, check: Check = "strict", *, identity: bool = False, features: str | Path | None = None
) -> Iterator[Switch]:
    """Switches an adapter on: in the ``with`` block, whoever loads its backbone gets the adapted model.

    ::

        with opendas.switched_on("runs/mine/adapter"):
            model, _, preprocess = open_clip.create_model_and_transforms("ViT-L-14", "openai")

    ``open_clip.create_model``, ``create_model_and_transforms``, ``create_model_from_pretrained``, ``clip.load`` of
    OpenAI's package and ``from_pretrained`` of transformers' ``CLIPModel`` and ``SiglipModel`` answer so, in all
    threads of this process, by whatever name they were imported before. Models keep the adapter after the block.

    Args:
        adapter: a folder or hub id.
        check: ``strict``: a block that never asked for the backbone raises at its end; ``warn``: it is said.
        identity: the calls are answered, with nothing of the adapter at work.
        features: a folder of this adapter alone, for the features that LERF, HOV-SG and Open3DIS keep; None: in the
            user's cache, by the adapter's hash.

    Raises:
        AdapterError, MissingFileError: there is no such adapter, it was never asked for, or ``features`` is another's.
    """
    switch = Switch.on(adapter, check, identity=identity, features=features)
    switch.kept.check()
    with answering(switch):
        yield switch
    switch.require_effect()
