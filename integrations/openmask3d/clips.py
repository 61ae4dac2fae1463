"""``clip.load`` for OpenMask3D: adapters by ``opendas:``, everything else as before, and what was loaded last."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from opendas_plugin.model.config import PREFIX
from opendas_plugin.model.loading import clip_name
from opendas_plugin.model.weight_file import is_torchscript, read_weights
from opendas_plugin.scenes.feature_source import FeatureSource
from opendas_plugin.switch.calls import replace_code

logger = logging.getLogger(__name__)


class ClipLoader:
    """What answers ``clip.load``, by whatever name a script has imported it.

    Attributes:
        loaded: the CLIP of the last call.
        always: the name that stands in for every other, for scripts that have one written into them.
    """

    def __init__(self, package: ModuleType, *, host_fixes: bool, always: str | None = None) -> None:
        self.package, self.host_fixes, self.always = package, host_fixes, always
        self.original = self._take_the_place(package.load)
        self.loaded: FeatureSource | None = None
        self._kept: tuple[tuple[str, str], Any, FeatureSource] | None = None

    @classmethod
    def at_work(cls, package: ModuleType) -> ClipLoader | None:
        """The one that answers for a package already."""
        found = getattr(package.load, "opendas", package.load)
        return found if isinstance(found, cls) else None

    def _take_the_place(self, load: Any) -> Callable[..., Any]:
        try:
            original = replace_code("clip.clip.load", load, lambda _, args, kwargs: self(*args, **kwargs))
            load.opendas = self
        except TypeError:  # a fork's, whose code cannot be replaced
            original, self.package.load = load, self  # type: ignore[attr-defined]
        return original

    def __call__(self, name: str, device: str | torch.device = "", *args: Any, **kwargs: Any) -> Any:
        """As ``clip.load``: the model, and the preprocessing of a PIL image. An adapter is read once, not a scene."""
        name = clip_name(self.always or name)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        key = (name, str(device))
        if self._kept is None or self._kept[0] != key:
            found = self._load(name, device, *args, **kwargs)
            self._kept = (key, found, FeatureSource(name, found[0]))
        self.loaded = self._kept[2]
        return self._kept[1]

    def _load(self, name: str, device: str | torch.device, *args: Any, **kwargs: Any) -> Any:
        if name.startswith(PREFIX):
            from opendas_plugin import load

            model, preprocess = load(name, device)
            logger.info("adapter %s, learnt on %s", name.removeprefix(PREFIX), model.config.backbone)
            return model, preprocess
        if self.host_fixes and Path(name).is_file() and not is_torchscript(Path(name)):
            return self._load_state_dict(Path(name), device)
        return self.original(name, device, *args, **kwargs)

    def _load_state_dict(self, path: Path, device: str | torch.device) -> Any:
        logger.info("host fix: clip.load cannot read state dicts by path (openai/CLIP #396): %s is read for it", path)
        model = self.package.clip.build_model(read_weights(path).tensors).to(device)
        if str(device) == "cpu":
            model.float()
        return model, self.package.clip._transform(model.visual.input_resolution)
