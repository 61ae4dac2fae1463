"""Text features on disk: every worker of an evaluation, and every later run, needs the same ones."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

LOGGER = logging.getLogger(__name__)
LAYOUT = 1
"""Raised where the same facts come to give other features."""


class TextCache:
    """A folder of text features, one file for what they were computed from; a file that is damaged counts as absent."""

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = Path(folder)

    def load(self, *facts: Any) -> torch.Tensor | None:
        """Returns the features (N, D) that were saved for these facts, or None."""
        try:
            return load_file(str(self._file(facts)))["features"]
        except Exception:  # noqa: BLE001  (absent or damaged in any way: it is computed again)
            return None

    def save(self, features: torch.Tensor, *facts: Any) -> None:
        """Saves features (N, D) for these facts: JSON values that name all that the features depend on."""
        temporary = ""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=str(self.folder), suffix=".part")
            os.close(handle)
            save_file({"features": features.detach().cpu().contiguous()}, temporary)
            os.replace(temporary, str(self._file(facts)))  # workers write at the same time: whole files or none
        except OSError as error:
            LOGGER.warning("text features are not kept for later runs: %s", error)
            if temporary:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()

    def _file(self, facts: Any) -> Path:
        return self.folder / (hashlib.sha256(json.dumps([LAYOUT, *facts]).encode()).hexdigest() + ".safetensors")
