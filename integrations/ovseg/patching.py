"""An adapter in an OVSeg model: what of the model is overridden, and how it is put back."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from integrations.ovseg import hostfixes
from integrations.ovseg.adapter import Adapter
from integrations.ovseg.cache import TextCache
from integrations.ovseg.errors import OVSegError
from integrations.ovseg.fitting import check_facts, check_fits, clip_sha256, clip_tensors, say_crops, text_sha256
from integrations.ovseg.model import Clip, ClipAdapter, VisualTower
from integrations.ovseg.perthread import PerThread
from integrations.ovseg.readers import VisualReaders, read_texts
from integrations.ovseg.regions import can_crop, crop_regions
from integrations.ovseg.tokens import TextEncoder, TooLongError, VisualTokens, interpolated
from integrations.ovseg.weights import MergedClip

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
        self.cache = None if cache is None else TextCache(cache)
        self.features: dict[tuple[bool, str], torch.Tensor] = {}
        self.sha256, self._warned = "", False
        self._weights_seen: list[tuple[int, int]] | None = None
        self._here = PerThread(in_clip_branch=False, adapted=True, regions_are_read=True)
        self._undo: list[Callable[[], None]] = []
        self.model: Any = None
        inner = getattr(model, "module", model)
        if inner is not self.clip_adapter:
            check_effect(adapter, inner, text)
        self._attach(base)
        if inner is not self.clip_adapter:
            self.join(inner)
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

    def _attach(self, base: str) -> None:
        clip_adapter, clip_model, adapter = self.clip_adapter, self.clip_model, self.adapter
        if self.host_fixes:
            hostfixes.fix_numpy()
            handle = hostfixes.accept_one_mask(clip_model)
            self._undo += [] if handle is None else [handle.remove]
        self.merged = MergedClip(clip_model, adapter.weights, adapter.config["weights"]) if adapter.weights else None
        self.adapted: Clip = self.merged.clip if self.merged else clip_model
        self._override(clip_adapter, "opendas", self)
        if base == "clip":
            self._undo.append(clip_model._register_load_state_dict_pre_hook(self._keep_weights).remove)
        self.readers: VisualReaders | None = None
        if adapter.reads and adapter.visual is not None:
            self.readers = VisualReaders(self.adapted.visual, adapter.visual)
            self._undo.append(self.readers.remove)
            if hasattr(clip_adapter, "non_object_embedding"):
                self._override(clip_adapter, "get_text_features", self._text_features_with_none)
        elif adapter.visual is not None:
            self.visual_tokens = VisualTokens(self.adapted.visual, adapter.visual)
            self._undo.append(self.visual_tokens.remove)
        self._override(clip_model.visual, "forward", self._encode_regions)
        self._override(clip_adapter, "_preprocess_image", self._preprocess_image)
        self._override(clip_adapter, "forward", self._classify)
        self._override(clip_adapter, "_get_text_features", self._text_features)
        if not adapter.is_identity:
            tokens = None if adapter.reads else adapter.text
            self.encoder = TextEncoder(self.adapted, tokens, self._context())
            self.plain_encoder = TextEncoder(clip_model, None, torch.empty(0, dtype=torch.long))
            self._undo.append(self.encoder.remove)
            self._override(clip_model, "encode_text", self._encode_text)
            self._tell_places()

    def _override(self, module: nn.Module, name: str, value: Any) -> None:
        before = vars(module).get(name)
        setattr(module, name, value)
        self._undo.append(partial(delattr, module, name) if before is None else partial(setattr, module, name, before))

    def _segment(self, *args: Any, **kwargs: Any) -> Any:
        """``forward`` of OVSeg's models."""
        with self._here.set(regions_are_read=False):
            return type(self.model).forward(self.model, *args, **kwargs)

    def _segment_freely(self, *args: Any) -> Any:
        """``OVSegDEMO.demo_inference``, without its crashes."""
        return hostfixes.drop_invalid_queries(type(self.model).demo_inference, self.model, *args)

    def _classify(self, *args: Any, **kwargs: Any) -> Any:
        """``MaskFormerClipAdapter.forward``: the CLIP branch."""
        with self._here.set(in_clip_branch=True):
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
        self._look_at_weights()
        visual = self.clip_model.visual

        def frozen() -> torch.Tensor:
            if self.merged is not None or self.adapter.visual is None:
                return self._run_tower(visual, x, m)  # what was learnt is in another CLIP
            with self.visual_tokens.off():
                return self._run_tower(visual, x, m)

        learnt = self.adapter.is_learnt("visual") and self.readers is None
        share = self.adapter.share("visual") if learnt else 1.0
        return interpolated(partial(self._run_tower, self.adapted.visual, x, m), frozen, share)

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

    def _text_features(self, noun_list: Sequence[str]) -> torch.Tensor:
        """``ClipAdapter._get_text_features``, remembered as long as the weights stay what they are."""
        features = self._look_at_weights()
        everywhere = self.text == "both" and self.readers is None  # OVSeg's own branch has features of plain length
        adapted = self.adapter.is_learnt("text") and (everywhere or self._here.in_clip_branch)
        new = [noun for noun in noun_list if (adapted, noun) not in features]
        if new:
            for noun, feature in zip(new, self._compute_text_features(new, adapted)):
                features[adapted, noun] = feature
        return torch.stack([features[adapted, noun] for noun in noun_list])

    def _text_features_with_none(self, noun_list: Sequence[str]) -> torch.Tensor:
        """``MaskFormerClipAdapter.get_text_features``, with its feature of no object as long as the others."""
        texts, none = self.clip_adapter._get_text_features(noun_list), self.clip_adapter.non_object_embedding
        times = texts.shape[1] // none.shape[1]
        none = (none / none.norm(dim=-1, keepdim=True)).repeat(1, times) / times**0.5
        return torch.cat([texts, none.type_as(texts)])

    def _compute_text_features(self, nouns: list[str], adapted: bool) -> torch.Tensor:
        templates = getattr(self.clip_adapter.text_templates, "templates", None)
        cache = None if templates is None or self.adapter.is_identity else self.cache
        learnt = text_sha256(self.adapter) if adapted else ""
        if adapted and self.adapter.share("text") != 1:
            learnt += f" at {self.adapter.share('text')}"
        context = self.adapter.config["prompts"]["context"]
        facts = (self.sha256, learnt, context, list(templates or ()), nouns, str(self.clip_model.dtype))
        features = cache.load(*facts) if cache else None
        if features is None:
            with self._here.set(adapted=adapted), self._naming(nouns):
                features = self.clip_adapter.text_templates(nouns, self.clip_model)
            if cache:
                cache.save(features, *facts)
        return features.to(self.clip_model.text_projection.device)

    def _encode_text(self, text: torch.Tensor) -> torch.Tensor:
        self._look_at_weights()
        if not self._here.adapted or not self.adapter.is_learnt("text"):
            return self.plain_encoder.encode(text)
        if self.readers is not None and self.adapter.text is not None:
            return read_texts(self.adapted, text, self.adapter.text.to(text.device))
        adapted, frozen = (partial(encoder.encode, text) for encoder in (self.encoder, self.plain_encoder))
        return interpolated(adapted, frozen, self.adapter.share("text"))

    @contextlib.contextmanager
    def _naming(self, nouns: Sequence[str]) -> Iterator[None]:
        """Names the class whose text is too long."""
        try:
            yield
        except TooLongError as error:
            raise OVSegError(f"the class {nouns[error.row]!r} in a template {error.reason}; shorten its name") from None
        except RuntimeError as error:
            said = str(error)
            if "too long for context length" not in said:
                raise
            longest = max(nouns, key=lambda noun: (noun in said, len(noun)))
            raise OVSegError(
                f"the class {longest!r} is too long for the {self.clip_model.context_length} tokens of a text; shorten "
                "its name"
            ) from error

    def _look_at_weights(self) -> dict[tuple[bool, str], torch.Tensor]:
        """Returns the text features that are remembered; those of other weights are forgotten.

        Where the weights of OVSeg's CLIP have changed, learnt ones are merged anew, and that they are not the adapter's
        is said once.
        """
        seen = [(tensor.data_ptr(), tensor._version) for tensor in clip_tensors(self.clip_model).values()]
        if seen == self._weights_seen:
            return self.features
        if self.merged is not None:
            self.merged.refresh()
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
