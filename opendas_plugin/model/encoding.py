"""What an adapted CLIP makes of images and texts: open_clip's calls, with what was learnt at work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast, get_args

import torch
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import AdapterError, ConfigError
from opendas_plugin.model.cache import FeatureCache
from opendas_plugin.model.encoder import Encoder, cosines
from opendas_plugin.model.factored import FactoredPrompts
from opendas_plugin.model.input_shapes import check_ids, check_picture, check_pixels
from opendas_plugin.model.prompts import ConditionalPrompts, CoupledPrompts, Prompts, TextPrompts
from opendas_plugin.model.shares import AtWork, Shares
from opendas_plugin.model.tower import DenseAttention, DenseVisual


class Encodes(Shares):
    """Features of images and texts, by the frozen towers and what was learnt beside them.

    What is learnt in tokens lies in ``visual_prompts`` and ``text_prompts``, stored features in ``cache``.
    """

    visual_prompts: Prompts | CoupledPrompts | FactoredPrompts
    text_prompts: TextPrompts
    cache: FeatureCache | None
    _encoder: Encoder

    def encode_image(self, image: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        """Returns image features (B, D) of CLIP-normalised pixels (B, 3, S, S).

        Raises:
            DataError: pixels of another shape.
        """
        check_pixels(image, self.image_shape)
        features = self._interpolated("visual", lambda at_work: self._encode_image(image, at_work))
        return unit(features, dim=-1) if normalize else features

    def encode_dense(
        self, image: torch.Tensor, *, attention: DenseAttention = "qq+kk", normalize: bool = False
    ) -> torch.Tensor:
        """Returns features (B, h, w, D) of each patch of CLIP-normalised pixels (B, 3, H, W), from one pass.

        Args:
            image: of any size whose sides are multiples of the patch; positions between the learnt ones are bicubic.
            attention: how the last layer reads: ``qq+kk`` as SCLIP, ``value`` as MaskCLIP, ``qq`` or ``kk``, or CLIP's
                own ``qk``.
            normalize: bring the features to unit length.

        Raises:
            BackboneError: the visual tower is no plain ViT of open_clip's, or the adapter has read-only tokens.
            DataError: pixels of another shape.
        """
        check_picture(image)
        if attention not in get_args(DenseAttention):
            raise ConfigError(
                f"expected attention to be one of {', '.join(get_args(DenseAttention))}, got {attention!r}"
            )
        found = self._interpolated("visual", lambda at_work: self._encoder.dense(self, image, at_work, attention))
        features = found[:, 1:].unflatten(1, cast(DenseVisual, self.towers.visual).grid(image))
        return unit(features, dim=-1) if normalize else features

    def encode_image_layers(self, image: torch.Tensor) -> torch.Tensor:
        """Returns features (depth, B, D) of pixels (B, 3, S, S): what the class token behind each layer would give.

        Raises:
            BackboneError: the visual tower has no class token that its feature is read at.
        """
        return self._encoder.image_layers(self, image, self.at_work())

    def encode_text(self, text: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        """Returns text features (N, D) of token ids (N, L), L up to the context length, on any device.

        Learnt tokens take the place of the words they started from ("a photo of a"), where a text begins with them;
        in any other text they are inserted after the start token, or first where there is none. In open_clip's causal
        text towers padding is never computed, and the common beginning of the texts once; other towers read it as they
        do in open_clip, and where they have learnt tokens need all of it. Read-only
        tokens (RPO) have a feature each: the n of them, of unit length and divided by the square root of n, are laid
        end to end (n x D), and so in :meth:`encode_image`; the cosine of two such features is the mean of n cosines.

        Raises:
            DataError: ids of another shape or none of the model's, or a text that no longer fits the context with the
                tokens inserted.
            AdapterError: the adapter has no text features of its own, since they depend on the image (CoCoOp).
            ConfigError: under ``torch.jit.trace``, which cannot follow texts of several lengths.
        """
        check_ids(text, self.context_length)
        if self.is_conditional:
            raise AdapterError(
                f"the text features of the {self.config.method} adapter depend on the image, so there are none to "
                "keep; score images with classifier(), or choose another method"
            )
        if not torch.compiler.is_compiling() and not len(text):
            return torch.zeros(0, self.feature_width, dtype=self.towers.text.dtype, device=self.towers.text.device)
        features = self._interpolated("text", lambda at_work: self._encoder.text(self, text, at_work))
        return unit(features, dim=-1) if normalize else features

    def classifier(self, text: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        """Returns the function from image features (B, D) to their cosines (B, N) with texts of token ids (N, L).

        The texts are encoded once, except where they depend on the image (CoCoOp): then once for each image.
        """
        if self.is_conditional:
            return partial(self._encoder.cosines, self, text)
        features = self.encode_text(text, normalize=True).float()
        return partial(cosines, names=features)

    @property
    def is_conditional(self) -> bool:
        """Whether text features depend on the image, so that there is no fixed text classifier (CoCoOp)."""
        return self.at_work().text and isinstance(self.text_prompts, ConditionalPrompts)

    def forward(self, image: torch.Tensor | None = None, text: torch.Tensor | None = None) -> Any:
        """Returns what open_clip's forward does: unit features of both, the logit scale and, if any, the bias."""
        outputs = {
            "image_features": None if image is None else self.encode_image(image, normalize=True),
            "text_features": None if text is None else self.encode_text(text, normalize=True),
            "logit_scale": self.logit_scale.exp(),
        }
        if self.model.logit_bias is not None:
            outputs["logit_bias"] = self.model.logit_bias
        return outputs if getattr(self.model, "output_dict", False) else tuple(outputs.values())

    @property
    def feature_width(self) -> int:
        """Length of the features; where tokens have a feature each (RPO), of all of them laid end to end."""
        width = self.towers.visual.feature_width
        return width * self.config.prompts.visual_tokens if self.config.prompts.form == "read_only" else width

    def _encode_image(self, pixels: torch.Tensor, at_work: AtWork | None) -> torch.Tensor:
        features, cache = self._encoder.image(self, pixels, at_work), self.cache
        return features if at_work is None or cache is None else cache(features)
