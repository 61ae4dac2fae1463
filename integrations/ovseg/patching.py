"""An adapter in an OVSeg model: what of the model is overridden, and how it is put back."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from integrations.ovseg.adapter import Adapter, check_facts, check_fits, clip_sha256, clip_tensors, tokens_sha256
from integrations.ovseg.cache import TextCache
from integrations.ovseg.errors import OVSegError
from integrations.ovseg.model import ClipAdapter
from integrations.ovseg.perthread import PerThread
from integrations.ovseg.readers import VisualReaders, read_texts
from integrations.ovseg.regions import can_crop, crop_regions
from integrations.ovseg.tokens import TextEncoder, VisualTokens, interpolated

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
        self.adapter, self.text, self.chunk = adapter, text, chunk
        self.cache = None if cache is None else TextCache(cache)
        self.features: dict[tuple[bool, str], torch.Tensor] = {}
        self.sha256, self._warned = "", False
        self._weights_seen: list[tuple[int, int]] | None = None
        self._here = PerThread(in_clip_branch=False, prompted=True)
        self._undo: list[Callable[[], None]] = []
        self._attach(base)

    def __enter__(self) -> Patch:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.undo()

    def undo(self) -> None:
        """Restores the model exactly; a second call does nothing."""
        while self._undo:
            self._undo.pop()()

    def _attach(self, base: str) -> None:
        clip_adapter, clip_model, adapter = self.clip_adapter, self.clip_model, self.adapter
        self._override(clip_adapter, "opendas", self)
        if base == "clip":
            self._undo.append(clip_model._register_load_state_dict_pre_hook(self._keep_weights).remove)
        self.readers: VisualReaders | None = None
        if adapter.reads and adapter.visual is not None:
            self.readers = VisualReaders(clip_model.visual, adapter.visual)
            self._undo.append(self.readers.remove)
            if hasattr(clip_adapter, "non_object_embedding"):
                self._override(clip_adapter, "get_text_features", self._text_features_with_none)
        elif adapter.visual is not None:
            self.visual_tokens = VisualTokens(clip_model.visual, adapter.visual)
            self._undo.append(self.visual_tokens.remove)
        self._override(clip_model.visual, "forward", self._encode_regions)
        self._override(clip_adapter, "_preprocess_image", self._preprocess_image)
        self._override(clip_adapter, "forward", self._classify)
        self._override(clip_adapter, "_get_text_features", self._text_features)
        if not adapter.is_identity:
            self.encoder = TextEncoder(clip_model, None if adapter.reads else adapter.text, self._context())
            self._undo.append(self.encoder.remove)
            self._override(clip_model, "encode_text", self._encode_text)
            self._tell_places()

    def _override(self, module: nn.Module, name: str, value: Any) -> None:
        before = vars(module).get(name)
        setattr(module, name, value)
        self._undo.append(partial(delattr, module, name) if before is None else partial(setattr, module, name, before))

    def _classify(self, *args: Any, **kwargs: Any) -> Any:
        """``MaskFormerClipAdapter.forward``: the CLIP branch."""
        with self._here.set(in_clip_branch=True):
            return type(self.clip_adapter).forward(self.clip_adapter, *args, **kwargs)

    def _preprocess_image(self, image: torch.Tensor, mask: torch.Tensor, normalize: bool = True) -> Any:
        cropped = crop_regions(self.clip_adapter, image, mask) if can_crop(self.clip_adapter, normalize) else None
        if cropped is None:
            return type(self.clip_adapter)._preprocess_image(self.clip_adapter, image, mask, normalize=normalize)
        regions, region_masks, valid = cropped
        return (regions, None), region_masks, valid

    def _encode_regions(self, x: torch.Tensor, m: torch.Tensor | None = None) -> torch.Tensor:
        """``VisionTransformer.forward``, mixed with plain CLIP's where the adapter asks for it."""

        def frozen() -> torch.Tensor:
            with self.visual_tokens.off():
                return self._run_tower(x, m)

        share = 1.0 if self.adapter.visual is None or self.readers else self.adapter.share("visual")
        return interpolated(partial(self._run_tower, x, m), frozen, share)

    def _run_tower(self, x: torch.Tensor, m: torch.Tensor | None) -> torch.Tensor:
        """``VisionTransformer.forward``, a few regions at a time: faster on a CPU, and bounded in memory."""
        whole = x.is_cuda or self.adapter.is_identity  # other batches round otherwise, which an identity must not
        chunk = self.chunk if self.chunk is not None else 0 if whole else CPU_CHUNK
        parts = min(-(-len(x) // chunk), len(x) // 2) if chunk else 1  # OVSeg's mask prompts crash on one region
        if parts <= 1:
            return self._forward(x, m)
        masks = [None] * parts if m is None else m.tensor_split(parts)
        return torch.cat([self._forward(*part) for part in zip(x.tensor_split(parts), masks)])

    def _forward(self, x: torch.Tensor, m: torch.Tensor | None) -> torch.Tensor:
        features = type(self.clip_model.visual).forward(self.clip_model.visual, x, m)
        return features if self.readers is None else self.readers.features()

    def _text_features(self, noun_list: Sequence[str]) -> torch.Tensor:
        """``ClipAdapter._get_text_features``, remembered as long as the weights stay what they are."""
        features = self._current_features()
        everywhere = self.text == "both" and self.readers is None  # OVSeg's own branch has features of plain length
        prompted = self.adapter.text is not None and (everywhere or self._here.in_clip_branch)
        new = [noun for noun in noun_list if (prompted, noun) not in features]
        if new:
            for noun, feature in zip(new, self._compute_text_features(new, prompted)):
                features[prompted, noun] = feature
        return torch.stack([features[prompted, noun] for noun in noun_list])

    def _text_features_with_none(self, noun_list: Sequence[str]) -> torch.Tensor:
        """``MaskFormerClipAdapter.get_text_features``, with its feature of no object as long as the others."""
        texts, none = self.clip_adapter._get_text_features(noun_list), self.clip_adapter.non_object_embedding
        times = texts.shape[1] // none.shape[1]
        none = (none / none.norm(dim=-1, keepdim=True)).repeat(1, times) / times**0.5
        return torch.cat([texts, none.type_as(texts)])

    def _compute_text_features(self, nouns: list[str], prompted: bool) -> torch.Tensor:
        templates = getattr(self.clip_adapter.text_templates, "templates", None)
        cache = None if templates is None or self.adapter.is_identity else self.cache
        tokens = tokens_sha256(self.adapter.text) if prompted else ""
        if prompted and self.adapter.share("text") != 1:
            tokens += f" at {self.adapter.share('text')}"
        context = self.adapter.config["prompts"]["context"]
        facts = (self.sha256, tokens, context, list(templates or ()), nouns, str(self.clip_model.dtype))
        features = cache.load(*facts) if cache else None
        if features is None:
            with self._here.set(prompted=prompted):
                features = self.clip_adapter.text_templates(nouns, self.clip_model)
            if cache:
                cache.save(features, *facts)
        return features.to(self.clip_model.text_projection.device)

    def _encode_text(self, text: torch.Tensor) -> torch.Tensor:
        if self.readers is not None and self._here.prompted and self.adapter.text is not None:
            return read_texts(self.clip_model, text, self.adapter.text.to(text.device))
        share = self.adapter.share("text") if self._here.prompted else 1.0
        adapted, frozen = (partial(self.encoder.encode, text, prompted) for prompted in (self._here.prompted, False))
        return interpolated(adapted, frozen, share)

    def _current_features(self) -> dict[tuple[bool, str], torch.Tensor]:
        """What is remembered; of other weights it is forgotten, and that they are not the adapter's is said once."""
        seen = [(tensor.data_ptr(), tensor._version) for tensor in clip_tensors(self.clip_model).values()]
        if seen == self._weights_seen:
            return self.features
        features = self.features = {}
        self._weights_seen, self.sha256 = seen, clip_sha256(self.clip_model)
        if self.sha256 != self.adapter.backbone_sha256 and not self._warned:
            self._warned = True
            LOGGER.warning(
                "the adapter was learnt on %s with weights %s, but OVSeg's CLIP has weights %s, such as those of a "
                "mask-adapted CLIP in MODEL.WEIGHTS; --opendas-base clip keeps the CLIP that CLIP_MODEL_NAME names, "
                "--opendas-base weights the one in MODEL.WEIGHTS",
                self.adapter.backbone, self.adapter.backbone_sha256[:12], self.sha256[:12],
            )  # fmt: skip
        return features

    def _keep_weights(self, state: dict[str, torch.Tensor], prefix: str, *args: Any) -> None:
        """Puts the CLIP's own tensors in the place of those that are being loaded, all but OVSeg's mask tokens."""
        for key, tensor in clip_tensors(self.clip_model).items():
            if prefix + key in state:
                state[prefix + key] = tensor

    def _tell_places(self) -> None:
        templates = getattr(self.clip_adapter.text_templates, "templates", None)
        if self.adapter.text is None or self.adapter.reads or not templates:
            return
        ids = torch.cat([self._tokenize(template.format("thing")) for template in templates])
        replaced = int(self.encoder.replaces(ids).sum())
        LOGGER.info(
            "learnt text tokens take the place of %r in %d of %d templates, and are inserted in the other %d",
            self.adapter.config["prompts"]["context"], replaced, len(ids), len(ids) - replaced,
        )  # fmt: skip

    def _context(self) -> torch.Tensor:
        """The token ids of the words that the learnt text tokens started from, (m,)."""
        if self.adapter.text is None or self.adapter.reads:
            return torch.empty(0, dtype=torch.long)
        row = self._tokenize(self.adapter.config["prompts"]["context"])[0]
        return row[1 : int(row.argmax())][: self.adapter.text.shape[1]]

    def _tokenize(self, text: str) -> torch.Tensor:
        """Token ids (1, L) by the tokenizer that OVSeg's text templates use: their module's ``clip``."""
        for kind in type(self.clip_adapter.text_templates).__mro__:
            clip = getattr(sys.modules[kind.__module__], "clip", None)
            if clip is not None:
                return clip.tokenize(text)
        raise OVSegError(
            f"{type(self.clip_adapter.text_templates).__name__} does not say how it tokenises; "
            "use one of OVSeg's own text templates"
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
