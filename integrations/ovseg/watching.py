"""OVSeg's CLIP and the one with learnt weights, kept up with what is loaded into the former."""

from __future__ import annotations

import logging
from typing import Any

import torch

from integrations.ovseg.adapter import Adapter
from integrations.ovseg.fitting import clip_sha256, clip_tensors
from integrations.ovseg.model import Clip
from integrations.ovseg.weights import MergedClip

LOGGER = logging.getLogger(__name__)


class WatchedClip:
    """``own`` is OVSeg's CLIP, ``adapted`` the one that an adapter's features come from; of tokens alone, the same."""

    def __init__(self, clip_model: Clip, adapter: Adapter) -> None:
        """Merges learnt weights into a CLIP of its own."""
        self.own, self.adapter = clip_model, adapter
        self.merged = MergedClip(clip_model, adapter.weights, adapter.config["weights"]) if adapter.weights else None
        self.adapted: Clip = self.merged.clip if self.merged else clip_model
        self._seen: list[tuple[int, int]] | None = None
        self._sha256, self._warned = "", False

    def look(self) -> str:
        """Returns the hash of OVSeg's weights as they are now.

        Where they have changed, learnt ones are merged anew, and that they are not the adapter's is said once.
        """
        seen = [(tensor.data_ptr(), tensor._version) for tensor in clip_tensors(self.own).values()]
        if seen == self._seen:
            return self._sha256
        if self.merged is not None:
            self.merged.refresh()
        self._sha256 = clip_sha256(self.own)
        self._seen = seen
        if self._sha256 != self.adapter.backbone_sha256 and not self._warned:
            self._warned = True
            LOGGER.warning(
                "the adapter was learnt on %s with weights %s, but OVSeg's CLIP has weights %s, such as those of a "
                "mask-adapted CLIP in MODEL.WEIGHTS; --opendas-base clip keeps the CLIP that CLIP_MODEL_NAME names, "
                "--opendas-base weights the one in MODEL.WEIGHTS",
                self.adapter.backbone, self.adapter.backbone_sha256[:12], self._sha256[:12],
            )  # fmt: skip
        return self._sha256

    def keep(self, state: dict[str, torch.Tensor], prefix: str, *args: Any) -> None:
        """Puts OVSeg's own tensors in the place of those that are being loaded, all but its mask tokens."""
        for key, tensor in clip_tensors(self.own).items():
            if prefix + key in state:
                state[prefix + key] = tensor
