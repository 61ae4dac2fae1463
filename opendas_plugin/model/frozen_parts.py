"""What programs that were written for open_clip or for OpenAI's package read of a CLIP beside its features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, cast

import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import nn

from opendas_plugin.crops import PixelFormat
from opendas_plugin.errors import BackboneError, DataError
from opendas_plugin.model.checkpoint import OpenCLIP
from opendas_plugin.model.config import BackboneConfig
from opendas_plugin.model.tokenizing import build_tokenizer
from opendas_plugin.model.tower import DenseVisual, Towers


class FrozenParts(nn.Module):
    """Sizes, types and parts of the frozen ``model``, what a text or a picture has to become for it, by their names.

    ``backbone`` is what the model was built from, ``towers`` are its two towers.
    """

    model: OpenCLIP
    towers: Towers
    backbone: BackboneConfig

    def tokenize(self, texts: str | Sequence[str]) -> torch.Tensor:
        """Returns token ids (N, context length) int64.

        Raises:
            DataError: a text does not fit the context.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        room = self.context_length
        tokens, longer = (self.tokenizer([*texts, ""], context_length=length) for length in (room, room + 1))
        ends_later = longer[:, room] != longer[-1, room]  # no padding, as behind the empty text
        cut = (tokens != longer[:, :room]).any(dim=1) | ends_later  # most keep the end of a text that they cut
        if cut.any():
            text = texts[int(cut.nonzero()[0])]
            shown = text if len(text) <= 80 else f"{text[:77]}..."
            raise DataError(f"{shown!r} does not fit the context of {room} tokens; shorten it")
        return tokens[:-1]

    @property
    def logit_scale(self) -> torch.Tensor:
        """Logarithm of the factor from cosine to logit."""
        return self.model.logit_scale

    @property
    def logit_bias(self) -> torch.Tensor | None:
        """What is added to logits before their sigmoid; None where the model was not trained with one.

        Weights that hold none for an architecture that has one (open_clip then sets 0) were trained with a softmax.
        """
        bias = getattr(self.model, "logit_bias", None)
        return bias if bias is not None and bool(bias) else None

    @property
    def dtype(self) -> torch.dtype:
        """Type of the frozen model's matrices."""
        return self.towers.visual.dtype

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of the input, in pixels."""
        return self.towers.visual.image_shape

    @property
    def image_size(self) -> int:
        """Side of the square input, in pixels."""
        return self.image_shape[0]

    @property
    def patch(self) -> int:
        """Side of a patch of which there can be a feature (``encode_dense``), in pixels.

        Raises:
            BackboneError: the visual tower makes none.
        """
        if lacking := self.towers.visual.no_grid:
            raise BackboneError(f"{self.backbone.name} has no features of patches: it lacks {lacking}")
        return cast(DenseVisual, self.towers.visual).patch

    @property
    def pixels(self) -> PixelFormat:
        """What the model takes as pixels, as its checkpoint says."""
        facts = self.towers.visual.preprocessing
        return PixelFormat(tuple(facts["mean"]), tuple(facts["std"]), facts["interpolation"])

    @property
    def context_length(self) -> int:
        """Longest text, in tokens, with start and end."""
        return self.towers.text.room

    @property
    def transformer(self) -> nn.Module:
        """The text transformer, frozen and without learnt tokens; hosts read its ``width``."""
        return self.towers.text.transformer

    @property
    def token_embedding(self) -> nn.Embedding:
        """The frozen token table."""
        return self.towers.text.token_embedding

    @property
    def text_projection(self) -> torch.Tensor | None:
        """(width, D) projection of the text feature, if the model has one."""
        return self.towers.text.projection

    @cached_property
    def tokenizer(self) -> Any:
        """open_clip's tokenizer of the backbone; it cuts long texts off, :meth:`tokenize` refuses them."""
        brought = getattr(self.model, "tokenizer_folder", None)
        return build_tokenizer(self.backbone.name, self.towers.text, self.backbone.tokenizer, brought)

    @cached_property
    def preprocess(self) -> Callable[..., torch.Tensor]:
        """open_clip's transform of a PIL image into pixels (3, S, S)."""
        return image_transform_v2(PreprocessCfg(**self.towers.visual.preprocessing), is_train=False)
