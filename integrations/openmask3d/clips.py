"""``clip.load`` for OpenMask3D: adapters by ``opendas:``, everything else as before, and what was loaded last."""

from __future__ import annotations

import functools
import hashlib
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from opendas_plugin.model.checkpoint import backbone_sha256

PREFIX = "opendas:"
logger = logging.getLogger(__name__)


class Clip:
    """A CLIP that was loaded: enough to tell whether image and text features come from the same one.

    Attributes:
        name: what it was asked for by.
        width: values of a feature.
        adapter: the adapter's folder or hub id; None: plain CLIP.
        template: the adapter's text template; None: plain CLIP.
        crop_policy: the adapter's crop policy, empty for plain CLIP.
    """

    def __init__(self, name: str, model: torch.nn.Module) -> None:
        self.name, self._model = name, model
        self.width = int(model.text_projection.shape[1])
        self.adapter = name.removeprefix(PREFIX) if name.startswith(PREFIX) else None
        config = model.config if self.adapter is not None else None
        self.template: str | None = None if config is None else config.template
        self.crop_policy: dict[str, Any] = {} if config is None else dict(config.crop_policy)
        self.backbone: str = name if config is None else config.backbone

    def __str__(self) -> str:
        return f"plain CLIP {self.name}" if self.adapter is None else f"the adapter {self.adapter}"

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of all that features depend on: that of the weights alone where nothing was learnt."""
        if self.adapter is None:
            return backbone_sha256(self._model)
        digest, learnt = hashlib.sha256(self._model.config.backbone_sha256.encode()), self._model.learnt_state()
        for key, tensor in sorted(learnt.items()):
            digest.update(f"{key} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().float().cpu().contiguous().numpy().reshape(-1).view(np.uint8))
        return digest.hexdigest() if learnt else self._model.config.backbone_sha256


class ClipLoader:
    """The wrapper that takes the place of ``clip.load``.

    Attributes:
        loaded: the CLIP of the last call.
        always: the name that stands in for every other, for scripts that have one written into them.
    """

    def __init__(self, package: ModuleType, *, host_fixes: bool, always: str | None = None) -> None:
        self.package, self.host_fixes, self.always = package, host_fixes, always
        self.original: Callable[..., Any] = package.load
        self.loaded: Clip | None = None
        self._kept: tuple[tuple[str, str], Any, Clip] | None = None

    def __call__(self, name: str, device: str | torch.device = "", *args: Any, **kwargs: Any) -> Any:
        """As ``clip.load``: the model, and the preprocessing of a PIL image. An adapter is read once, not a scene."""
        name = self.always or name
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        key = (name, str(device))
        if self._kept is None or self._kept[0] != key:
            found = self._load(name, device, *args, **kwargs)
            self._kept = (key, found, Clip(name, found[0]))
        self.loaded = self._kept[2]
        return self._kept[1]

    def _load(self, name: str, device: str | torch.device, *args: Any, **kwargs: Any) -> Any:
        if name.startswith(PREFIX):
            from opendas_plugin import load

            model, preprocess = load(name, device)
            logger.info("adapter %s, learnt on %s", name.removeprefix(PREFIX), model.config.backbone)
            return model, preprocess
        if self.host_fixes and _holds_state_dict(Path(name)):
            return self._load_state_dict(Path(name), device)
        return self.original(name, device, *args, **kwargs)

    def _load_state_dict(self, path: Path, device: str | torch.device) -> Any:
        logger.info("host fix: clip.load cannot read state dicts by path (openai/CLIP #396): %s is read for it", path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        model = self.package.clip.build_model(dict(state.get("state_dict", state))).to(device)
        if str(device) == "cpu":
            model.float()
        return model, self.package.clip._transform(model.visual.input_resolution)


def _holds_state_dict(path: Path) -> bool:
    """Whether a file was written by ``torch.save`` and not by TorchScript, whose archives OpenAI publishes."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return not any(name.endswith("/constants.pkl") for name in archive.namelist())
