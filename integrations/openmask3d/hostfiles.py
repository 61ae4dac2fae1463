"""What OpenMask3D's scripts read and write, looked at on its way: masks, and features with the record beside them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from integrations.openmask3d.clips import ClipLoader
from integrations.openmask3d.hostfixes import read_host_masks
from opendas_plugin.scenes.feature_records import check_pair
from opendas_plugin.scenes.mask_arrays import sparse_masks
from opendas_plugin.scenes.mask_features import save_features

FEATURES = "_openmask3d_features.npy"


class HostFiles:
    """The wrappers that take the place of ``torch.load``, ``np.load`` and ``np.save``.

    Attributes:
        described: what the next features are, for their record; empty: they get none.
    """

    def __init__(self, clips: ClipLoader, *, host_fixes: bool) -> None:
        self.clips, self.host_fixes = clips, host_fixes
        self.described: dict[str, Any] = {}
        self._masks: Any = None
        torch.load, np.load, np.save = self._masks_of(torch.load), self._checked(np.load), self._recorded(np.save)

    def _masks_of(self, load: Callable[..., Any]) -> Callable[..., Any]:
        """``torch.load`` that reads files of masks in every form, and remembers them; other files as before."""

        @functools.wraps(load)
        def load_masks(file: Any, *args: Any, **kwargs: Any) -> Any:
            if args or kwargs or not isinstance(file, str | Path) or "masks" not in Path(file).name:
                return load(file, *args, **kwargs)
            self._masks = read_host_masks(file) if self.host_fixes else load(file)
            return self._masks

        return load_masks

    def _checked(self, load: Callable[..., Any]) -> Callable[..., Any]:
        """``np.load`` that refuses features of another CLIP than the texts', or of other masks; others as before."""

        @functools.wraps(load)
        def load_checked(file: Any, *args: Any, **kwargs: Any) -> Any:
            array = load(file, *args, **kwargs)
            if self.clips.loaded is not None and isinstance(file, str | Path) and str(file).endswith("features.npy"):
                masks = None if self._masks is None else sparse_masks(self._masks, len(self._masks))
                check_pair(file, array, self.clips.loaded, masks)
            return array

        return load_checked

    def _recorded(self, save: Callable[..., None]) -> Callable[..., None]:
        """``np.save`` that writes features whole or not at all, with their record; other files as before."""

        @functools.wraps(save)
        def save_recorded(file: Any, array: Any, *args: Any, **kwargs: Any) -> None:
            if self.described and isinstance(file, str | Path) and str(file).endswith(FEATURES):
                save_features(file, array, self.described)
            else:
                save(file, array, *args, **kwargs)

        return save_recorded
