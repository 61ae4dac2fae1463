"""Folders of open_clip: ``open_clip_config.json`` and weights, as ``create_model("local-dir:...")`` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from open_clip.transform import PreprocessCfg, merge_preprocess_dict

from opendas_plugin.errors import BackboneError, DataError
from opendas_plugin.files import read_json
from opendas_plugin.model.bounds import MAX_LAYERS, check_whole
from opendas_plugin.model.construct import construct
from opendas_plugin.model.stated import SIDECAR
from opendas_plugin.model.towers.parts import OpenCLIP

WEIGHTS = "open_clip_model.safetensors"
_WEIGHT_FILES = (WEIGHTS, "open_clip_pytorch_model.bin")


def weights_in(folder: Path) -> Path | None:
    """The weight file that open_clip has saved in a folder; None: there is none."""
    return next((folder / name for name in _WEIGHT_FILES if (folder / name).is_file()), None)


def build(folder: Path) -> OpenCLIP:
    """Makes the model that a folder describes, with random weights.

    Raises:
        BackboneError: it does not describe one, or its text tower is one of the hub.
    """
    path = folder / SIDECAR
    try:
        content = read_json(path)
        config, pixels = dict(content["model_cfg"]), merge_preprocess_dict(PreprocessCfg(), content["preprocess_cfg"])
        _check(config)
        return construct(config, _known(pixels), str(folder))
    except (DataError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, AssertionError) as error:
        if isinstance(error, BackboneError):
            raise
        raise BackboneError(
            f"{path} does not describe a model of open_clip ({type(error).__name__}: {error}); correct it"
        ) from error


def _check(config: Mapping[str, Any]) -> None:
    """Looks at what would take long, or ask a server, before anything is built."""
    for tower in ("vision_cfg", "text_cfg", "multimodal_cfg"):
        layers = (config.get(tower) or {}).get("layers", 1)
        for count in layers if isinstance(layers, list) else [layers]:
            check_whole(f"layers of {tower}", count, 1, MAX_LAYERS)
    if ":" in str(trunk := config["vision_cfg"].get("timm_model_name")):
        raise ValueError(f"expected timm_model_name to be a model of timm, got {trunk!r}, which lies elsewhere")


def _known(pixels: Mapping[str, Any]) -> dict[str, Any]:
    return {name: pixels[name] for name in ("mean", "std", "interpolation", "resize_mode") if name in pixels}
