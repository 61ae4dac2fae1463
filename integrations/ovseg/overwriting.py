"""A file of CLIP that a run names and never uses: OVSeg's checkpoints hold a CLIP, which is loaded over it."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import torch

from integrations.ovseg.errors import OVSegError
from integrations.ovseg.fitting import clip_tensors
from integrations.ovseg.model import Clip


class NamedFile:
    """Refuses a checkpoint with another CLIP than the one of the file that CLIP_MODEL_NAME names.

    OpenAI's own files are no such case: without a network they stand in for the names ViT-B/16 and ViT-L/14, and only
    say what shape CLIP has.
    """

    def __init__(self, clip_model: Clip, file: str) -> None:
        """Watches what is loaded into ``clip_model``, which was read from ``file``."""
        self.clip_model, self.file = clip_model, file
        clip_model._register_load_state_dict_pre_hook(self.compare)

    def compare(self, state: dict[str, torch.Tensor], prefix: str, *args: Any) -> None:
        """Compares what is about to be loaded with what is there, both in half precision, as OVSeg reads matrices.

        Raises:
            OVSegError: they differ.
        """
        for key, own in clip_tensors(self.clip_model).items():
            new = state.get(prefix + key)
            if new is None or (new.shape == own.shape and torch.equal(new.to(own.device).half(), own.half())):
                continue
            if is_openais(Path(self.file)):
                return
            raise OVSegError(
                f"MODEL.WEIGHTS holds a CLIP that overwrites the one of {self.file} (MODEL.CLIP_ADAPTER."
                "CLIP_MODEL_NAME), which then has no effect: give what was learnt as --opendas-adapter, or say which "
                "CLIP is meant by --opendas-base weights (the checkpoint's) or, with an adapter, clip (the file's)"
            )


def is_openais(file: Path) -> bool:
    """Whether a file is one that OpenAI publishes, whose addresses have the files' SHA-256 in them."""
    clip = sys.modules.get("clip.clip", sys.modules.get("clip"))
    addresses = getattr(clip, "_MODELS", {}).values()
    digest = hashlib.sha256()
    with open(file, "rb") as opened:
        for block in iter(lambda: opened.read(1 << 20), b""):
            digest.update(block)
    return any(digest.hexdigest() in address.split("/") for address in addresses)
