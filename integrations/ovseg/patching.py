"""An adapter in an OVSeg model: what of the model is overridden, and how it is put back."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import nn

from integrations.ovseg import hostfixes
from integrations.ovseg.adapter import Adapter
from integrations.ovseg.cache import TextCache
from integrations.ovseg.errors import OVSegError
from integrations.ovseg.fitting import check_facts, check_fits, say_crops
from integrations.ovseg.model import ClipAdapter, VisualTower
from integrations.ovseg.perthread import PerThread
from integrations.ovseg.readers import VisualReaders
from integrations.ovseg.regions import can_crop, crop_regions
from integrations.ovseg.texts import Texts
from integrations.ovseg.tokens import VisualTokens, interpolated
from integrations.ovseg.watching import WatchedClip

LOGGER = logging.getLogger(__name__)
BASES = ("weights", "clip")
TEXTS = ("both", "clip")
CPU_CHUNK = 10


class Patch:
    """An adapter in one model, from construction to :meth:`undo`; see :func:`integrations.ovseg.patch`.

    Methods are overridden on the instance, so that OVSeg's classes and other models stay as they are. All overrides are
    bound methods, which a deep copy of the model takes along. An identity adapter leaves OVSeg's own text path alone:
    the numbers stay the host's, bit for bit.
    """

    def __init__(
        self,
        model: nn.Module,
        adapter: Adapter,
        *,
        base: str = "weights",
        text: str = "both",
        chunk: int | None = None,
        cache: str | os.PathLike | None = None,
        host_fixes: bool = True,
    ) -> None:
        """Arguments as for :func:`integrations.ovseg.patch`, with the adapter read."""
        _check_choice("base", base, BASES)
        _check_choice("text", text, TEXTS)
        if chunk is not None and chunk < 0:
            raise OVSegError(f"chunk should be 0 (all regions at once) or more, got {chunk}")
        self.clip_adapter = _find_clip_adapter(model)
        self.clip_model = self.clip_adapter.clip_model
        if isinstance(getattr(self.clip_adapter, "opendas", None), Patch):
            raise OVSegError("this model already has an adapter; undo that patch first")
        check_fits(adapter, self.clip_model)
        check_facts(adapter, self.clip_adapter)
        self.adapter, self.text, self.chunk, self.host_fixes = adapter, text, chunk, host_fixes
        self._here = PerThread(regions_are_read=True)
        self._undo: list[Callable[[], None]] = []
        self.model: Any = None
        inner = getattr(model, "module", model)
        try:
            self._attach(base, None if cache is None else TextCache(cache))
            if inner is not self.clip_adapter:
                self.join(inner)
        except BaseException:
            self.undo()
            raise
        say_crops(adapter, self.clip_adapter)

    def __enter__(self) -> Patch:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.undo()

    def undo(self) -> None:
        """Restores the model exactly; a second call does nothing."""
        while self._undo:
            self._undo.pop()()

    def join(self, model: Any) -> None:
        """Takes in the model that the CLIP adapter is part of: nobody in it reads un-normalised regions.

        Raises:
            OVSegError: with the model's settings, nothing of the adapter has an effect.
        """
        if self.model is not None:
            return
        check_effect(self.adapter, model, self.text)
        self.model = model
        self._override(model, "forward", self._segment)
        if self.host_fixes and hasattr(model, "demo_inference"):
            self._override(model, "demo_inference", self._segment_freely)

    def regions_unread(self) -> AbstractContextManager[None]:
        """Leaves un-normalised regions out inside the ``with`` block, as in OVSeg's models, where nobody reads them."""
        return self._here.set(regions_are_read=False)

    def _attach(self, base: str, cache: TextCache | None) -> None:
        clip_adapter, clip_model, adapter = self.clip_adapter, self.clip_model, self.adapter
        if self.host_fixes:
            hostfixes.fix_numpy()
            handle = hostfixes.accept_one_mask(clip_model)
            self._undo += [] if handle is None else [handle.remove]
        self.watched = WatchedClip(clip_model, adapter)
        self.texts = Texts(clip_adapter, self.watched, self.text, cache)
        self._undo.append(self.texts.remove)
        self._override(clip_adapter, "opendas", self)
        if base == "clip":
            self._undo.append(clip_model._register_load_state_dict_pre_hook(self.watched.keep).remove)
        self.readers: VisualReaders | None = None
        if adapter.reads and adapter.visual is not None:
            self.readers = VisualReaders(self.watched.adapted.visual, adapter.visual)
            self._undo.append(self.readers.remove)
            if hasattr(clip_adapter, "non_object_embedding"):
                self._override(clip_adapter, "get_text_features", self.texts.of_names_and_none)
        elif adapter.visual is not None:
            self.visual_tokens = VisualTokens(self.watched.adapted.visual, adapter.visual)
            self._undo.append(self.visual_tokens.remove)
        self._override(clip_model.visual, "forward", self._encode_regions)
        self._override(clip_adapter, "_preprocess_image", self._preprocess_image)
        self._override(clip_adapter, "forward", self._classify)
        self._override(clip_adapter, "_get_text_features", self.texts.of_names)
        if not adapter.is_identity:
            self._override(clip_model, "encode_text", self.texts.encode)
            self.texts.tell_places()

    def _override(self, module: nn.Module, name: str, value: Any) -> None:
        before = vars(module).get(name)
        setattr(module, name, value)
        self._undo.append(partial(delattr, module, name) if before is None else partial(setattr, module, name, before))

    def _segment(self, *args: Any, **kwargs: Any) -> Any:
        """``forward`` of OVSeg's models."""
        with self.regions_unread():
            return type(self.model).forward(self.model, *args, **kwargs)

    def _segment_freely(self, *args: Any) -> Any:
        """``OVSegDEMO.demo_inference``, without its crashes."""
        return hostfixes.drop_invalid_queries(type(self.model).demo_inference, self.model, *args)

    def _classify(self, *args: Any, **kwargs: Any) -> Any:
        """``MaskFormerClipAdapter.forward``: the CLIP branch."""
        with self.texts.in_clip_branch():
            result = type(self.clip_adapter).forward(self.clip_adapter, *args, **kwargs)
        return hostfixes.with_no_logits(result) if self.host_fixes else result

    def _preprocess_image(self, image: torch.Tensor, mask: torch.Tensor, normalize: bool = True) -> Any:
        cropped = None
        if can_crop(self.clip_adapter, normalize):
            cropped = crop_regions(self.clip_adapter, image, mask, self._here.regions_are_read)
        if cropped is None:
            result = type(self.clip_adapter)._preprocess_image(self.clip_adapter, image, mask, normalize=normalize)
            return hostfixes.with_no_regions(result) if self.host_fixes else result
        regions, unnormalised, region_masks, valid = cropped
        return (regions, unnormalised), region_masks, valid

    def _encode_regions(self, x: torch.Tensor, m: torch.Tensor | None = None) -> torch.Tensor:
        """``VisionTransformer.forward``, mixed with plain CLIP's where the adapter asks for it."""
        self.watched.look()
        visual = self.clip_model.visual

        def frozen() -> torch.Tensor:
            if self.watched.merged is not None or self.adapter.visual is None:
                return self._run_tower(visual, x, m)  # what was learnt is in another CLIP
            with self.visual_tokens.off():
                return self._run_tower(visual, x, m)

        learnt = self.adapter.is_learnt("visual") and self.readers is None
        share = self.adapter.share("visual") if learnt else 1.0
        return interpolated(partial(self._run_tower, self.watched.adapted.visual, x, m), frozen, share)

    def _run_tower(self, visual: VisualTower, x: torch.Tensor, m: torch.Tensor | None) -> torch.Tensor:
        """``VisionTransformer.forward``, a few regions at a time: faster on a CPU, and bounded in memory."""
        whole = x.is_cuda or self.adapter.is_identity  # other batches round otherwise, which an identity must not
        chunk = self.chunk if self.chunk is not None else 0 if whole else CPU_CHUNK
        parts = min(-(-len(x) // chunk), len(x) // 2) if chunk else 1  # OVSeg's mask prompts crash on one region
        if parts <= 1:
            return self._forward(visual, x, m)
        masks = [None] * parts if m is None else m.tensor_split(parts)
        return torch.cat([self._forward(visual, *part) for part in zip(x.tensor_split(parts), masks)])

    def _forward(self, visual: VisualTower, x: torch.Tensor, m: torch.Tensor | None) -> torch.Tensor:
        features = type(visual).forward(visual, x, m)
        return features if self.readers is None else self.readers.features()


def check_effect(adapter: Adapter, model: Any, text: str) -> None:
    """Looks whether an adapter has an effect in a model whose CLIP branch may be off (CLIP_ENSEMBLE False).

    Raises:
        OVSegError: nothing of it has.
    """
    if adapter.is_identity or getattr(model, "clip_ensemble", True):
        return
    off = "OVSeg leaves its CLIP branch out (MODEL.CLIP_ADAPTER.CLIP_ENSEMBLE False), so that"
    if not adapter.is_learnt("text") or text == "clip" or adapter.reads:
        why = "only the text features of its own branch could, which --opendas-text both gives to it"
        if not adapter.is_learnt("text") or adapter.reads:
            why = "it learnt nothing for the texts of the other branch"
        raise OVSegError(f"{off} the adapter {adapter.folder} has no effect: {why}; leave CLIP_ENSEMBLE on")
    if adapter.is_learnt("visual"):
        LOGGER.warning(
            "%s what the adapter learnt in the visual tower has no effect, only what it learnt of texts", off
        )


def _find_clip_adapter(model: nn.Module) -> ClipAdapter:
    model = getattr(model, "module", model)
    clip_adapter: Any = getattr(model, "clip_adapter", model)
    if not hasattr(clip_adapter, "clip_model") or not hasattr(clip_adapter, "text_templates"):
        raise OVSegError(f"expected OVSeg's model or its clip_adapter, got {type(model).__name__}")
    return clip_adapter


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise OVSegError(f"{name} should be {' or '.join(choices)}, got {value!r}")
