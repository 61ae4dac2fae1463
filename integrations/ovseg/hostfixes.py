"""What OVSeg needs to run on current libraries, its crashes, and what it does without a word, mended from outside.

The fixes act under both backends. Each is applied only where it is needed and named once in the log. The numbers of a
run that OVSeg finishes by itself do not change, but for names that end in a comma.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from integrations.ovseg.model import Clip, ClipAdapter, DemoModel

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
    fix_numpy()


def fix_numpy() -> None:
    """Sets the old names of numpy's types that OVSeg uses, where numpy has dropped them."""
    missing = [name for name in _NUMPY_NAMES if not _numpy_has(name)]
    for name in missing:
        setattr(np, name, _NUMPY_NAMES[name])
    if missing:
        _tell(f"numpy {np.__version__} lacks {', '.join('np.' + name for name in missing)}: set to Python's own")


def fix_crashes() -> None:
    """Mends OVSeg's crashes on images with no valid mask, with exactly one, and in the demo, and its silences."""
    from open_vocab_seg import ovseg_model
    from open_vocab_seg.modeling.clip_adapter import adapter

    kind = adapter.MaskFormerClipAdapter
    _wrap(adapter.ClipAdapter, "__init__", _build_for_one_mask)
    _wrap(kind, "_preprocess_image", lambda original, *args, **kwargs: with_no_regions(original(*args, **kwargs)))
    _wrap(kind, "forward", lambda original, *args, **kwargs: with_no_logits(original(*args, **kwargs)))
    _wrap(ovseg_model.OVSegDEMO, "demo_inference", drop_invalid_queries)
    _wrap(ovseg_model.OVSegDEMO, "forward", _tidy_names)
    for model in (ovseg_model.OVSeg, ovseg_model.OVSegDEMO):
        if "__init__" in vars(model):
            _wrap(model, "__init__", _watch_weights)


def _wrap(kind: type, name: str, wrapper: Callable[..., Any]) -> None:
    original = getattr(kind, name)
    if getattr(original, "opendas_fixed", False):
        return

    @functools.wraps(original)
    def fixed(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    fixed.opendas_fixed = True  # type: ignore[attr-defined]
    setattr(kind, name, fixed)


def with_no_regions(result: Any) -> Any:
    """``_preprocess_image`` returns two values for an image without a valid mask, where its caller unpacks three."""
    if len(result) == 3:
        return result
    _tell("an image has no valid mask, on which OVSeg crashes: it goes on without the CLIP branch there")
    return (None, None), None, result[1]


def with_no_logits(result: Any) -> Any:
    """``forward`` likewise; OVSeg's models know what to do with None as logits."""
    return result if len(result) == 3 else (None, None, result[1])


def accept_one_mask(clip_model: Clip) -> Any:
    """With one region, the visual tower squeezes its mask to two dimensions, which average pooling refuses.

    Returns the handle of the hook that mends it; None where there is one already, or nothing to mend.
    """
    pool = getattr(clip_model.visual, "mask_pool", None)
    if pool is None or _add_batch_dimension in pool._forward_pre_hooks.values():
        return None
    return pool.register_forward_pre_hook(_add_batch_dimension)


def _build_for_one_mask(original: Callable[..., Any], clip_adapter: ClipAdapter, *args: Any, **kwargs: Any) -> None:
    original(clip_adapter, *args, **kwargs)
    accept_one_mask(clip_adapter.clip_model)


def _add_batch_dimension(pool: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
    if inputs[0].dim() > 2:
        return None
    _tell("an image has exactly one valid mask, on which OVSeg's mask prompts crash: the mask stays a batch")
    return (inputs[0][None],)


def drop_invalid_queries(
    original: Callable[..., Any], model: DemoModel, mask_cls: torch.Tensor, mask_pred: torch.Tensor, *args: Any
) -> Any:
    """``demo_inference`` sizes a table by the valid queries and indexes it by all of them.

    An invalid query has no pixel, so that it can be left out; with CLIP_ENSEMBLE_WEIGHT 0 OVSeg leaves it out itself.
    """
    if not model.clip_ensemble:
        _tell("OVSeg's demo crashes with CLIP_ENSEMBLE False: its own branch alone names the masks")
        return _name_by_maskformer(model, mask_cls, mask_pred, args[-1]), None
    valid = (mask_pred.sigmoid() > model.clip_adapter.mask_thr).flatten(1).any(dim=1)
    if bool(valid.all()):
        return original(model, mask_cls, mask_pred, *args)
    if not bool(valid.any()):
        _tell("an image has no valid mask, on which OVSeg's demo crashes: nothing is segmented in it")
        return mask_pred.new_zeros((mask_cls.shape[-1] - 1, *mask_pred.shape[1:])), None
    if model.clip_ensemble_weight > 0:
        _tell("OVSeg's demo crashes with CLIP_ENSEMBLE_WEIGHT > 0 on a query without a pixel: it is left out")
        mask_cls, mask_pred = mask_cls[valid], mask_pred[valid]
    return original(model, mask_cls, mask_pred, *args)


def _name_by_maskformer(
    model: DemoModel, mask_cls: torch.Tensor, mask_pred: torch.Tensor, class_names: Sequence[str]
) -> torch.Tensor:
    """The demo's rule without CLIP: each class has the query that scores it highest, its mask cut at the threshold.

    Args:
        model: OVSeg's demo model.
        mask_cls: (Q, classes + 1) logits.
        mask_pred: (Q, H, W) logits.
        class_names: of the classes; an "others" that OVSeg has added itself to a single name gets no query.

    Returns:
        scores (classes, H, W).
    """
    scores = mask_cls.softmax(dim=-1)[..., :-1]
    best = scores.argmax(dim=0)
    if list(class_names[1:]) == ["others"]:
        best = best[:1]
    kept = torch.zeros_like(scores)
    kept[best] = scores[best]
    return torch.einsum("qc,qhw->chw", kept, (mask_pred.sigmoid() > model.clip_adapter.mask_thr).float())


def _tidy_names(original: Callable[..., Any], model: DemoModel, batched_inputs: Any, *args: Any) -> Any:
    """The names of the demo are taken as they were typed, with a comma behind them or nothing before it.

    They are changed in the caller's list, as OVSeg itself does, so that the picture has them too.
    """
    for inputs in batched_inputs:
        names = inputs.get("class_names")
        if not isinstance(names, list):
            continue
        tidy = [name for name in (name.strip().strip(",").strip() for name in names) if name]
        if tidy and tidy != names:
            _tell(f"class names with commas or spaces around them: {names} is read as {tidy}")
            names[:] = tidy
        several = next((name for name in tidy if "," in name), None)
        if several is not None:
            _tell(f"{several!r} is one class name, with a comma in it; demo.py separates names by spaces")
    return original(model, batched_inputs, *args)


def _watch_weights(original: Callable[..., Any], model: DemoModel, *args: Any, **kwargs: Any) -> None:
    """Without a checkpoint of OVSeg's own, masks and names mean nothing, of which OVSeg does not say a word."""
    original(model, *args, **kwargs)
    WatchedWeights(model)


class WatchedWeights:
    """Warns at the first image that a model segments if no checkpoint has been loaded into its mask head."""

    def __init__(self, model: DemoModel) -> None:
        self.loaded = False
        model._register_load_state_dict_pre_hook(self.load)
        self.handle = model.register_forward_pre_hook(self.look)

    def load(self, state: dict[str, torch.Tensor], prefix: str, *args: Any) -> None:
        """Notes that weights of the mask head are being loaded."""
        self.loaded = self.loaded or any(key.startswith(f"{prefix}sem_seg_head.") for key in state)

    def look(self, model: nn.Module, inputs: Any) -> None:
        """Says that there were none."""
        self.handle.remove()
        if not self.loaded and not model.training:
            LOGGER.warning(
                "OVSeg's mask head has random weights, so that its masks and names mean nothing: no checkpoint of "
                "OVSeg was loaded; give one as MODEL.WEIGHTS"
            )


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
