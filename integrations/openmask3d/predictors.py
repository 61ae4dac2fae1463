"""What turns points on an object into its mask in a picture: segment-anything, SAM 2, or no network at all."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import ConfigError, MissingDependencyError, MissingFileError

if TYPE_CHECKING:
    import torch


Kind = Literal["sam", "sam2", "boxes"]
_INSTALL = {"segment_anything": "segment-anything", "sam2": "sam2"}


class Predictor(Protocol):
    """What ``segment_anything.SamPredictor`` and ``sam2.sam2_image_predictor.SAM2ImagePredictor`` have in common."""

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Encodes a picture, (H, W, 3) RGB; what :meth:`predict` answers is about the last one."""

    def predict(
        self, *, point_coords: NDArray, point_labels: NDArray, multimask_output: bool
    ) -> tuple[NDArray, NDArray, Any]:
        """Returns masks (C, H, W), their scores (C,), and anything, for points (n, 2) in x, y with labels 1."""


def load_predictor(
    kind: Kind, model_type: str, checkpoint: str | Path | None, device: str | torch.device
) -> Predictor | None:
    """Loads a predictor; ``boxes`` is None: the box around the points stands in for a mask.

    Args:
        kind: which package.
        model_type: ``vit_h``, ``vit_l`` or ``vit_b`` of segment-anything, or the config file of SAM 2's package.
        checkpoint: its weight file.
        device: where to put it.

    Raises:
        MissingDependencyError: the package is not installed.
        MissingFileError: there is no such weight file.
        ConfigError: an unknown model type.
    """
    if kind == "boxes":
        return None
    if checkpoint is None or not Path(checkpoint).is_file():
        raise MissingFileError(f"no weights of {kind} at {checkpoint}; download them, or choose the predictor boxes")
    if kind == "sam2":
        build = _import("sam2", "sam2.build_sam").build_sam2
        kind_of_predictor = _import("sam2", "sam2.sam2_image_predictor").SAM2ImagePredictor
        return kind_of_predictor(build(model_type, str(checkpoint), device=str(device)))
    package = _import("segment_anything", "segment_anything")
    if model_type not in package.sam_model_registry:
        known = ", ".join(package.sam_model_registry)
        raise ConfigError(f"expected a SAM model type among {known}, got {model_type!r}")
    return package.SamPredictor(package.sam_model_registry[model_type](checkpoint=str(checkpoint)).to(device))


def _import(package: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{package} cannot be imported ({error}); pip install {_INSTALL[package]}, or choose the predictor boxes"
        ) from error
