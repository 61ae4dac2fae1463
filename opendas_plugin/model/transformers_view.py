"""An adapted CLIP behind the interface of transformers' ``CLIPModel``, tokens and all: its pipelines take it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import MissingDependencyError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.rebuilt import facts_to_write
from opendas_plugin.model.tokenizer_export import save_tokenizer
from opendas_plugin.model.transformers_config import image_processor

if TYPE_CHECKING:
    from transformers import Pipeline
    from transformers.modeling_outputs import BaseModelOutputWithPooling
    from transformers.models.clip.modeling_clip import CLIPOutput


class TransformersCLIP(nn.Module):
    """An :class:`~opendas_plugin.model.adapted_clip.OpenDASCLIP` that is asked as a ``CLIPModel`` of transformers is.

    ``get_image_features`` and ``get_text_features`` return transformers' output objects, whose ``pooler_output`` is the
    feature; they have no ``last_hidden_state``. The ``model_type`` of ``config``, by which pipelines choose between
    softmax and sigmoid, is ``siglip`` where the model has a logit bias, and ``clip`` elsewhere; the object is a
    :class:`SiglipModel` or a :class:`CLIPModel` accordingly, since pipelines look at the name of a model's class.
    """

    def __new__(cls, clip: OpenDASCLIP) -> TransformersCLIP:
        """Makes the one of the two kinds that fits."""
        kind = CLIPModel if clip.model.logit_bias is None else SiglipModel
        return super().__new__(kind if cls is TransformersCLIP else cls)

    def __init__(self, clip: OpenDASCLIP) -> None:
        super().__init__()
        self.clip: OpenDASCLIP = clip
        facts = facts_to_write(clip.model, clip.backbone.name)
        visual = {"image_size": facts.image_size[0], "num_attention_heads": max(facts.visual_heads, 1)}
        text = {"max_position_embeddings": facts.context_length, "vocab_size": clip.towers.text.vocabulary_size}
        text |= dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), text["vocab_size"] - 1)
        name = "CLIPConfig" if clip.model.logit_bias is None else "SiglipConfig"
        self.config = getattr(_transformers(), name)(vision_config=visual, text_config=text)

    def get_image_features(self, pixel_values: torch.Tensor, **options: Any) -> BaseModelOutputWithPooling:
        """Returns the features (B, D), as ``pooler_output``, of pixels (B, 3, S, S)."""
        return _pooled(self.clip.encode_image(pixel_values))

    def get_text_features(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **options: Any
    ) -> BaseModelOutputWithPooling:
        """Returns the features (N, D), as ``pooler_output``, of token ids (N, L).

        Padding is read as the tower reads it, so the mask is not needed.

        Raises:
            AdapterError: they depend on the image (CoCoOp); ask ``forward`` of both.
        """
        return _pooled(self.clip.encode_text(input_ids))

    def forward(
        self,
        input_ids: torch.Tensor,
        pixel_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        **options: Any,
    ) -> CLIPOutput:
        """Returns transformers' output: logits per image (B, N) and per text, and unit features.

        Where text features depend on the image (CoCoOp), there are none.
        """
        from transformers.models.clip.modeling_clip import CLIPOutput

        image = self.clip.encode_image(pixel_values)
        texts: dict[str, Any] = {}
        image_embeds = unit(image, dim=-1)
        if self.clip.is_conditional:
            cosines = self.clip.classifier(input_ids)(image).to(image.dtype)
        else:
            text = self.clip.encode_text(input_ids)
            texts = {"text_embeds": unit(text, dim=-1), "text_model_output": _pooled(text)}
            cosines = image_embeds @ unit(text, dim=-1).T
        logits = self.clip.logit_scale.exp() * cosines
        if (bias := self.clip.model.logit_bias) is not None:
            logits = logits + bias
        return CLIPOutput(
            logits_per_image=logits,
            logits_per_text=logits.T,
            image_embeds=image_embeds,
            vision_model_output=_pooled(image),
            **texts,
        )

    def can_generate(self) -> bool:
        """Whether it makes texts, which pipelines ask: it does not."""
        return False

    @property
    def device(self) -> torch.device:
        """Where the towers are."""
        return self.clip.towers.visual.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the towers' matrices."""
        return self.clip.dtype


class CLIPModel(TransformersCLIP):
    """A :class:`TransformersCLIP` without a logit bias."""


class SiglipModel(TransformersCLIP):
    """A :class:`TransformersCLIP` with a logit bias."""


def zero_shot_pipeline(clip: OpenDASCLIP) -> Pipeline:
    """Returns transformers' pipeline ``zero-shot-image-classification`` of a CLIP, with or without an adapter.

    It has the CLIP's own tokenizer, pixels and, if it is not given another ``hypothesis_template``, template.

    Raises:
        MissingDependencyError: transformers is not installed.
        BackboneError: the CLIP's tokenizer is not here.
    """
    transformers, facts = _transformers(), facts_to_write(clip.model, clip.backbone.name)
    settings = image_processor(facts, "clip")
    # the name without the end is another resizing in releases from 5 on
    kind = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(clip, Path(folder), facts.tokenizer, cleans=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return transformers.pipeline(
        "zero-shot-image-classification",
        model=TransformersCLIP(clip),
        tokenizer=tokenizer,
        image_processor=kind(**settings),
        hypothesis_template=clip.config.template,
        device=clip.towers.visual.device,
    )


def _pooled(features: torch.Tensor) -> BaseModelOutputWithPooling:
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    return BaseModelOutputWithPooling(pooler_output=features)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingDependencyError(
            "the interface of transformers needs it; pip install 'opendas-plugin[transformers]'"
        ) from error
    return transformers
