"""A CLIP as what image and text features come from, known by the hash of all that they depend on."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import asdict
from typing import Any

import numpy as np

from opendas_plugin.crops import CropPolicy
from opendas_plugin.model.config import PREFIX, Interpolation

_ACTIVATIONS = ("GELU", "QuickGELU")


class FeatureSource:
    """A CLIP as the source of features: enough to tell whether image and text features come from the same one.

    Attributes:
        name: what it was asked for by: ``opendas:`` and an adapter's folder or hub id, or a plain CLIP's name or path.
        width: values of a feature.
        adapter: the adapter's folder or hub id; None: plain CLIP.
        template: the adapter's text template; None: plain CLIP.
        crops: the adapter's crop policy; None: plain CLIP, or one that says nothing of it.
    """

    def __init__(self, name: str, model: Any) -> None:
        """Takes a model as ``opendas.load`` or OpenAI's ``clip.load`` returns it."""
        self.name, self._model = name, model
        self.width = int(getattr(model, "feature_width", model.text_projection.shape[1]))
        self.adapter = name.removeprefix(PREFIX) if name.startswith(PREFIX) else None
        config = model.config if self.adapter is not None else None
        self.template: str | None = None if config is None else config.template
        self.crops: CropPolicy | None = None if config is None else config.crop_policy
        self.backbone: str = name if config is None else config.backbone

    def __str__(self) -> str:
        return f"plain CLIP {self.name}" if self.adapter is None else f"the adapter {self.adapter}"

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of all that features depend on: that of the weights alone where nothing was learnt."""
        from opendas_plugin.model.checkpoint import backbone_sha256

        if self.adapter is None:
            return backbone_sha256(self._model)
        digest, learnt = hashlib.sha256(self._model.config.backbone_sha256.encode()), self._model.learnt_state()
        for key, tensor in sorted(learnt.items()):
            digest.update(f"{key} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().float().cpu().contiguous().numpy().reshape(-1).view(np.uint8))
        config = self._model.config
        if config.interpolation != Interpolation() or config.weights.mix != 1:
            digest.update(f"{config.interpolation} {config.weights.mix}".encode())
        if config.cache.entries:
            digest.update(str(config.cache).encode())
        return digest.hexdigest() if learnt else str(self._model.config.backbone_sha256)

    @functools.cached_property
    def half_sha256(self) -> str | None:
        """Hash of a plain CLIP's weights as they are in half precision, which OpenAI's package casts them to on a GPU.

        None where something was learnt.
        """
        import torch

        if self.adapter is not None and self._model.learnt_state():
            return None
        digest, model = hashlib.sha256(), getattr(self._model, "model", self._model)
        for key, tensor in sorted(model.state_dict().items(), key=lambda item: item[0].removeprefix("text.")):
            values = tensor.detach().cpu().to(torch.float16).contiguous().numpy().reshape(-1).view(np.uint8)
            digest.update(f"{key.removeprefix('text.')} {tuple(tensor.shape)}\n".encode() + values.tobytes())
        return digest.hexdigest()

    @functools.cached_property
    def facts(self) -> dict[str, Any]:
        """What features depend on beside the weights, as far as the model says it."""
        found: dict[str, Any] = {}
        kinds = {type(module).__name__ for module in getattr(self._model, "model", self._model).modules()}
        if activations := sorted(kinds.intersection(_ACTIVATIONS)):
            found["activation"] = activations
        if (pixels := getattr(self._model, "pixels", None)) is not None:
            found |= {f"pixel {name}": list(v) if isinstance(v, tuple) else v for name, v in asdict(pixels).items()}
        if (size := getattr(self._model, "image_size", None)) is not None:
            found["image_size"] = size
        return found
