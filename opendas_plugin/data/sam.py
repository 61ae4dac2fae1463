"""All masks that SAM or SAM 2 finds in a picture, through transformers; the one file that knows its pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opendas_plugin.errors import ConfigError, DataError, MissingDependencyError, MissingFileError

if TYPE_CHECKING:
    import torch


CONFIG = "config.json"


@dataclass(frozen=True)
class SamSettings:
    """Which of SAM's masks are kept; the defaults are those of its authors."""

    points_per_side: int = 32
    """Points of the grid that masks are asked at, in each direction."""
    points_per_batch: int = 64
    """Points a forward."""
    pred_iou_thresh: float = 0.88
    """Least quality of a mask by SAM's own estimate."""
    stability_score_thresh: float = 0.95
    """Least IoU of a mask with itself at another cut-off."""
    crops_nms_thresh: float = 0.7
    """IoU of two masks' boxes above which the worse mask is dropped."""

    def check(self) -> None:
        """Looks at the counts.

        Raises:
            ConfigError: one is below 1.
        """
        for name in ("points_per_side", "points_per_batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`sam.{name}` must be 1 or more, got {getattr(self, name)}")


class Sam:
    """SAM's automatic mask generation over a whole picture.

    Attributes:
        files: the checkpoint's own files, by name; none of one on the hub.
    """

    def __init__(self, checkpoint: str, settings: SamSettings, device: torch.device) -> None:
        """Loads a checkpoint.

        Args:
            checkpoint: a folder as transformers saves it, or an id on the Hugging Face hub.
            settings: which masks are kept.
            device: where it runs.

        Raises:
            MissingDependencyError: transformers is not installed.
            MissingFileError: there is no such checkpoint.
            DataError: it cannot be loaded as one of SAM's.
        """
        self.checkpoint, self.settings = checkpoint, settings
        folder = Path(checkpoint).expanduser()
        _require_checkpoint(folder, checkpoint)
        self.files = {path.name: path for path in sorted(folder.glob("*")) if path.is_file()} if folder.is_dir() else {}
        try:
            from transformers import pipeline
            from transformers.utils.logging import disable_progress_bar
        except ImportError as error:
            raise MissingDependencyError("SAM needs transformers; pip install 'opendas-plugin[segment]'") from error
        disable_progress_bar()  # of weights that take a moment, in each process
        model = str(folder) if folder.is_dir() else checkpoint
        try:
            self._pipeline: Any = pipeline("mask-generation", model=model, device=device)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = str(error).strip().split("\n")[0]
            raise DataError(
                f"{checkpoint} cannot be loaded as SAM or SAM 2 ({reason:.200}); give a folder that transformers saved "
                "it in, or its id on the Hugging Face hub"
            ) from error

    @property
    def revision(self) -> str | None:
        """The commit of a checkpoint from the hub, where transformers knows it."""
        return getattr(self._pipeline.model.config, "_commit_hash", None)

    def __call__(self, picture: NDArray[np.uint8]) -> list[NDArray[np.bool_]]:
        """The masks (H, W) of a picture (H, W, 3), RGB, best first; empty ones are left out."""
        import torch

        found = self._pipeline(
            Image.fromarray(picture),
            points_per_crop=self.settings.points_per_side,
            points_per_batch=self.settings.points_per_batch,
            pred_iou_thresh=self.settings.pred_iou_thresh,
            stability_score_thresh=self.settings.stability_score_thresh,
            crops_nms_thresh=self.settings.crops_nms_thresh,
        )
        masks = [np.asarray(torch.as_tensor(mask).cpu(), dtype=bool) for mask in found["masks"]]
        return [mask for mask in masks if mask.any()]


def _require_checkpoint(folder: Path, checkpoint: str) -> None:
    if checkpoint and folder.is_file():
        raise DataError(
            f"{checkpoint} is a file; SAM is loaded through transformers from a folder with {CONFIG}, or from the hub, "
            "such as sam:facebook/sam-vit-base"
        )
    if checkpoint and folder.is_dir() and not (folder / CONFIG).is_file():
        raise MissingFileError(f"{checkpoint} has no {CONFIG}; give the folder that transformers saved SAM in")
    is_path = checkpoint.startswith(("/", ".", "~")) or checkpoint.count("/") != 1
    if not checkpoint or (not folder.exists() and is_path):
        raise MissingFileError(
            f"there is no SAM checkpoint {checkpoint!r}; give a folder that transformers saved it in, or an id on the "
            "Hugging Face hub, as in sam:facebook/sam-vit-base"
        )
