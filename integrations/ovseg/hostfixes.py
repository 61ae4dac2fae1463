"""What OVSeg needs to run on current libraries, and its crashes on images with few valid masks, mended from outside.

The fixes act under both backends. Each is applied only where it is needed and named once in the log. The numbers of a
run that OVSeg finishes by itself do not change.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from integrations.ovseg.model import ClipAdapter, DemoModel

LOGGER = logging.getLogger(__name__)
_NUMPY_NAMES = {"int": int, "float": float, "bool": bool, "str": str}  # those that OVSeg uses
_told: set[str] = set()


def fix_environment(root: Path) -> None:
    """Mends what keeps OVSeg from being imported; call it before."""
    own_clip = root / "third_party" / "CLIP"
    if own_clip.is_dir() and not _has_ovsegs_clip():
        sys.path.insert(1, str(own_clip))
        _tell("OVSeg's own CLIP is not installed: it is taken from third_party/CLIP")
    if importlib.util.find_spec("wandb") is None:
        sys.path.append(str(Path(__file__).parent / "stubs"))  # spawned workers inherit the path, and so the stub
        _tell("wandb is not installed: a stub stands in for it, which is enough for evaluation and demo")
    missing = [name for name in _NUMPY_NAMES if not _numpy_has(name)]
    for name in missing:
        setattr(np, name, _NUMPY_NAMES[name])
    if missing:
        _tell(f"numpy {np.__version__} lacks {', '.join('np.' + name for name in missing)}: set to Python's own")


def fix_crashes() -> None:
    """Mends OVSeg's crashes on images with no valid mask, with exactly one, and in the demo's ensemble."""
    from open_vocab_seg import ovseg_model
    from open_vocab_seg.modeling.clip_adapter import adapter

    kind = adapter.MaskFormerClipAdapter
    _wrap(adapter.ClipAdapter, "__init__", _accept_one_mask)
    _wrap(kind, "_preprocess_image", _name_no_regions)
    _wrap(kind, "forward", _name_no_logits)
    _wrap(ovseg_model.OVSegDEMO, "demo_inference", _drop_invalid_queries)


def _wrap(kind: type, name: str, wrapper: Callable[..., Any]) -> None:
    original = getattr(kind, name)
    if getattr(original, "opendas_fixed", False):
        return

    @functools.wraps(original)
    def fixed(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    fixed.opendas_fixed = True  # type: ignore[attr-defined]
    setattr(kind, name, fixed)


def _name_no_regions(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``_preprocess_image`` returns two values for an image without a valid mask, where its caller unpacks three."""
    result = original(*args, **kwargs)
    if len(result) == 3:
        return result
    _tell("an image has no valid mask, on which OVSeg crashes: it goes on without the CLIP branch there")
    return (None, None), None, result[1]


def _name_no_logits(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``forward`` likewise; OVSeg's models know what to do with None as logits."""
    result = original(*args, **kwargs)
    return result if len(result) == 3 else (None, None, result[1])


def _accept_one_mask(original: Callable[..., Any], clip_adapter: ClipAdapter, *args: Any, **kwargs: Any) -> None:
    """With one region, the visual tower squeezes its mask to two dimensions, which average pooling refuses."""
    original(clip_adapter, *args, **kwargs)
    pool = getattr(clip_adapter.clip_model.visual, "mask_pool", None)
    if pool is not None:
        pool.register_forward_pre_hook(_add_batch_dimension)


def _add_batch_dimension(pool: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
    if inputs[0].dim() > 2:
        return None
    _tell("an image has exactly one valid mask, on which OVSeg's mask prompts crash: the mask stays a batch")
    return (inputs[0][None],)


def _drop_invalid_queries(
    original: Callable[..., Any], model: DemoModel, mask_cls: torch.Tensor, mask_pred: torch.Tensor, *args: Any
) -> Any:
    """``demo_inference`` sizes a table by the valid queries and indexes it by all of them.

    An invalid query has no pixel, so that it can be left out; with CLIP_ENSEMBLE_WEIGHT 0 OVSeg leaves it out itself.
    """
    valid = (mask_pred.sigmoid() > model.clip_adapter.mask_thr).flatten(1).any(dim=1)
    if not model.clip_ensemble or bool(valid.all()):
        return original(model, mask_cls, mask_pred, *args)
    if not bool(valid.any()):
        _tell("an image has no valid mask, on which OVSeg's demo crashes: nothing is segmented in it")
        return mask_pred.new_zeros((mask_cls.shape[-1] - 1, *mask_pred.shape[1:])), None
    if model.clip_ensemble_weight > 0:
        _tell("OVSeg's demo crashes with CLIP_ENSEMBLE_WEIGHT > 0 on a query without a pixel: it is left out")
        mask_cls, mask_pred = mask_cls[valid], mask_pred[valid]
    return original(model, mask_cls, mask_pred, *args)


def _has_ovsegs_clip() -> bool:
    """Whether ``import clip`` finds the CLIP with mask prompts; OpenAI's package has the same name."""
    spec = importlib.util.find_spec("clip")
    if spec is None or spec.origin is None:
        return False
    model = Path(spec.origin).parent / "model.py"
    return model.is_file() and "mask_prompt_depth" in model.read_text(encoding="utf-8")


def _numpy_has(name: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy 1.20 to 1.23 warn, and have it
        return hasattr(np, name)


def _tell(message: str) -> None:
    if message not in _told:
        _told.add(message)
        LOGGER.info("host fix: %s", message)
