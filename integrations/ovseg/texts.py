"""The text features of an OVSeg model with an adapter: which branch gets which, and what is remembered of them."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch

from integrations.ovseg.cache import TextCache
from integrations.ovseg.errors import OVSegError
from integrations.ovseg.fitting import text_sha256
from integrations.ovseg.model import ClipAdapter
from integrations.ovseg.perthread import PerThread
from integrations.ovseg.readers import read_texts
from integrations.ovseg.tokens import TextEncoder, TooLongError, interpolated
from integrations.ovseg.watching import WatchedClip

LOGGER = logging.getLogger(__name__)


class Texts:
    """What OVSeg's CLIP adapter asks for texts, in the place of its own methods."""

    def __init__(self, clip_adapter: ClipAdapter, watched: WatchedClip, branches: str, cache: TextCache | None) -> None:
        """Prepares.

        Args:
            clip_adapter: OVSeg's.
            watched: its CLIP, and the one with the adapter.
            branches: ``both``: OVSeg's own branch gets what was learnt of texts, too; or ``clip``.
            cache: of text features for later processes.
        """
        self.clip_adapter, self.watched, self.adapter = clip_adapter, watched, watched.adapter
        self.branches, self.cache = branches, cache
        self.features: dict[tuple[bool, str], torch.Tensor] = {}
        self._of = ""
        self._here = PerThread(in_clip_branch=False, adapted=True)
        adapter = self.adapter
        self._context = torch.empty(0, dtype=torch.long)
        if adapter.text is not None and not adapter.reads:
            row = self._tokenize(adapter.config["prompts"]["context"])[0]
            self._context = row[1 : int(row.argmax())][: adapter.text.shape[1]]
        self.encoder = TextEncoder(watched.adapted, None if adapter.reads else adapter.text, self._context)
        self.plain_encoder = TextEncoder(watched.own, None, torch.empty(0, dtype=torch.long))

    def remove(self) -> None:
        """Takes the learnt tokens out again."""
        self.encoder.remove()

    def in_clip_branch(self) -> AbstractContextManager[None]:
        """Says, inside the ``with`` block, that features are asked for by the CLIP branch."""
        return self._here.set(in_clip_branch=True)

    def of_names(self, noun_list: Sequence[str]) -> torch.Tensor:
        """``ClipAdapter._get_text_features``, remembered as long as the weights stay what they are."""
        sha256 = self.watched.look()
        if sha256 != self._of:
            self._of, self.features = sha256, {}
        features = self.features
        everywhere = self.branches == "both" and not self.adapter.reads  # OVSeg's own branch has plain CLIP's length
        adapted = self.adapter.is_learnt("text") and (everywhere or self._here.in_clip_branch)
        new = [noun for noun in noun_list if (adapted, noun) not in features]
        if new:
            for noun, feature in zip(new, self._compute(new, adapted, sha256)):
                features[adapted, noun] = feature
        device = self.watched.own.text_projection.device
        return torch.stack([features[adapted, noun].to(device) for noun in noun_list])

    def of_names_and_none(self, noun_list: Sequence[str]) -> torch.Tensor:
        """``MaskFormerClipAdapter.get_text_features``, with its feature of no object as long as the others."""
        texts, none = self.clip_adapter._get_text_features(noun_list), self.clip_adapter.non_object_embedding
        times = texts.shape[1] // none.shape[1]
        none = (none / none.norm(dim=-1, keepdim=True)).repeat(1, times) / times**0.5
        return torch.cat([texts, none.type_as(texts)])

    def encode(self, text: torch.Tensor) -> torch.Tensor:
        """``CLIP.encode_text``."""
        self.watched.look()
        if not self._here.adapted or not self.adapter.is_learnt("text"):
            return self.plain_encoder.encode(text)
        if self.adapter.reads and self.adapter.text is not None:
            return read_texts(self.watched.adapted, text, self.adapter.text.to(text.device))
        adapted, frozen = (partial(encoder.encode, text) for encoder in (self.encoder, self.plain_encoder))
        return interpolated(adapted, frozen, self.adapter.share("text"))

    def tell_places(self) -> None:
        """Says where learnt tokens stand in OVSeg's templates."""
        templates = getattr(self.clip_adapter.text_templates, "templates", None)
        if self.adapter.text is None or self.adapter.reads or not templates:
            return
        ids = torch.cat([self._tokenize(template.format("thing")) for template in templates])
        replaced = int(self.encoder.replaces(ids).sum())
        LOGGER.info(
            "learnt text tokens take the place of %r in %d of %d templates, and are inserted in the other %d",
            self.adapter.config["prompts"]["context"], replaced, len(ids), len(ids) - replaced,
        )  # fmt: skip

    def _compute(self, nouns: list[str], adapted: bool, sha256: str) -> torch.Tensor:
        clip_model, templates = self.watched.own, getattr(self.clip_adapter.text_templates, "templates", None)
        cache = None if templates is None or self.adapter.is_identity else self.cache
        learnt = text_sha256(self.adapter) if adapted else ""
        if adapted and self.adapter.share("text") != 1:
            learnt += f" at {self.adapter.share('text')}"
        context = self.adapter.config["prompts"]["context"]
        facts = (sha256, learnt, context, list(templates or ()), nouns, str(clip_model.dtype))
        features = cache.load(*facts) if cache else None
        if features is None:
            with self._here.set(adapted=adapted), self._naming(nouns):
                features = self.clip_adapter.text_templates(nouns, clip_model)
            if cache:
                cache.save(features, *facts)
        return features

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
                f"the class {longest!r} is too long for the {self.watched.own.context_length} tokens of a text; "
                "shorten its name"
            ) from error

    def _tokenize(self, text: str) -> Any:
        """Token ids (1, L) by the tokenizer that OVSeg's text templates use: their module's ``clip``."""
        for kind in type(self.clip_adapter.text_templates).__mro__:
            clip = getattr(sys.modules[kind.__module__], "clip", None)
            if clip is not None:
                return clip.tokenize(text)
        raise OVSegError(
            f"{type(self.clip_adapter.text_templates).__name__} does not say how it tokenises; "
            "use one of OVSeg's own text templates"
        )
