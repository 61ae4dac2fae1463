"""The settings that name a model, its template and its crops, and the labeller that they make."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from opendas_plugin.errors import ConfigError
from opendas_plugin.model.config import PREFIX, BackboneConfig
from opendas_plugin.model.devices import pick_device
from opendas_plugin.model.naming import RANDOM, is_model, require_weights
from opendas_plugin.model.tiny_clips import OFFICE_TINY
from opendas_plugin.runs.run import Result, Run
from opendas_plugin.scenes.feature_source import FeatureSource

if TYPE_CHECKING:
    from opendas_plugin.classifier import Names, TextClassifier
    from opendas_plugin.labeller import Labeller
    from opendas_plugin.model.adapted_clip import OpenDASCLIP


DEFAULT_BACKBONE = OFFICE_TINY
CROPS = ("background", "expand", "resize")

logger = logging.getLogger(__name__)

Chosen = TypeVar("Chosen", bound="ModelRun[Any]")


@dataclass(frozen=True)
class ClipRun(Run[Result]):
    """The model that a run works with: an adapter on its backbone, or plain CLIP."""

    _: KW_ONLY
    adapter: str | None = None
    """Adapter to switch on: a folder, or an id on the Hugging Face hub."""
    backbone: str | None = None
    """open_clip model name, OpenAI-format file, folder of transformers' CLIPModel or SiglipModel or of open_clip, or a
    tiny CLIP: office-tiny (the default), office-tiny-v1, -b, -c, office-siglip. An adapter names its own."""
    pretrained: str | None = None
    """open_clip tag, weight file or folder, or random. With an adapter: where its backbone's weights lie now, or the
    tiny CLIP that it was learnt on."""
    tokenizer: str | None = None
    """Folder with the files of the backbone's Hugging Face tokenizer, where it has one (SigLIP, CLIPA) and that is not
    fetched. With an adapter: where the folder lies now."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        if self.adapter is not None and self.backbone is not None:
            raise ConfigError("give `adapter` or `backbone`, not both: an adapter names its own backbone")
        if self.adapter is None:
            require_weights(self.backbone or DEFAULT_BACKBONE, self.pretrained)

    def say(self, seed: int = 0) -> None:
        """Says in the log what the run works with, before anything large is read; ``seed`` is that of random weights.

        Raises:
            MissingFileError: there is no such adapter.
        """
        from opendas_plugin.model.adapter import find_folder, read_config

        device = pick_device(self.device)
        if self.adapter is None:
            say_model(device, self.backbone or DEFAULT_BACKBONE, self.pretrained, seed)
        else:
            config = read_config(find_folder(self.adapter))
            say_model(device, config.backbone, self.pretrained or config.pretrained, config.backbone_seed, self.adapter)

    def clip(self, seed: int = 0) -> OpenDASCLIP:
        """Loads the model; ``seed`` is that of random weights."""
        from opendas_plugin.model.adapted_clip import OpenDASCLIP

        device = pick_device(self.device)
        if self.adapter is not None:
            return OpenDASCLIP.from_pretrained(self.adapter, self.pretrained, device, tokenizer=self.tokenizer)
        name, words = self.backbone or DEFAULT_BACKBONE, self.tokenizer
        return OpenDASCLIP.from_backbone(name, self.pretrained, device=device, seed=seed, tokenizer=words)

    def source(self, clip: OpenDASCLIP) -> FeatureSource:
        """The model as the source of 3D features, by the name that their record knows it by."""
        adapter = (self.adapter or "").removeprefix(PREFIX)
        return FeatureSource(f"{PREFIX}{adapter}" if adapter else clip.backbone.name, clip)


@dataclass(frozen=True)
class ModelRun(ClipRun[Result]):
    """The model, the template and the crops that a run classifies with. Without an adapter: zero-shot."""

    _: KW_ONLY
    zero_shot: bool = False
    """Take the adapter's backbone without what was learnt, with the adapter's template and crops: the row to set beside
    the adapter's own."""
    backbone_seed: int = 0
    """Seed of the backbone's random weights, where it has no pretrained ones. An adapter names its own."""
    template: str | None = None
    """Text with one {} for the name; default: the adapter's, or the vocabulary's."""
    background: Literal["keep", "mean", "black"] | None = None
    """Crop background; default: the adapter's, or keep."""
    expand: float | None = None
    """Crop expansion as a fraction of the box's sides; default: the adapter's, or 0.1."""
    resize: Literal["squash", "center", "pad"] | None = None
    """Crop resize; default: the adapter's, or squash."""
    batch_size: int = 64
    """Crops a forward."""
    workers: int = 2
    """Threads that decode and crop."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        super().check()
        if self.zero_shot and self.adapter is None:
            raise ConfigError("`zero_shot` needs the `adapter` whose backbone, template and crops are taken")
        if self.batch_size < 1:
            raise ConfigError(f"`batch_size` must be 1 or more, got {self.batch_size}")
        if self.template is not None and not isinstance(self.template, str):
            raise ConfigError(f"`template` is one text here, got {self.template!r}; a Labeller takes several")

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        if self.adapter is not None:
            return {"backbone_seed": "beside `adapter`, which names its own"}
        return unused_seed(self.backbone, self.pretrained)

    def labeller(self, names: Names, **settings: Any) -> Labeller:
        """Loads the model and encodes the names; ``settings`` are further keywords of :class:`Labeller`."""
        from opendas_plugin.labeller import Labeller

        crops = {name: getattr(self, name) for name in CROPS if getattr(self, name) is not None}
        clip, template = self.clip(self.backbone_seed), self.template
        if self.zero_shot:
            stored, template = clip.config.crop_policy, template or clip.config.template
            crops, clip = {**(stored.to_dict() if stored else {}), **crops}, clip.plain()
        return Labeller(
            clip,
            names,
            template=template,
            crops=crops or None,
            batch_size=self.batch_size,
            workers=self.workers,
            **settings,
        )

    def resolved(self: Chosen, labeller: Labeller) -> Chosen:
        """These settings with what was left open filled in, for ``run.json``."""
        crops = {name: getattr(labeller.crops, name) for name in CROPS}
        return dataclasses.replace(self.resolved_model(labeller.text), **crops)

    def resolved_model(self: Chosen, text: TextClassifier) -> Chosen:
        """These settings with model and template filled in, where nothing is cropped."""
        backbone = text.clip.backbone
        return dataclasses.replace(
            self,
            backbone=backbone.name,
            pretrained=backbone.pretrained if backbone.seed is None else RANDOM,
            backbone_seed=backbone.seed or 0,
            template=text.template[0],
            device=str(text.clip.logit_scale.device),
        )


def say_model(
    device: object, name: str, pretrained: str | None, seed: int | None, adapter: str | None = None, more: str = ""
) -> None:
    """Says in the log what a run works with, before anything is loaded.

    Args:
        device: where it works.
        name, pretrained, seed: of the backbone, as :func:`~opendas_plugin.model.checkpoint.build_backbone` takes them.
        adapter: what is switched on.
        more: what else decides over the result, such as a recipe.
    """
    is_random = pretrained == RANDOM or (pretrained is None and is_model(name))
    backbone = BackboneConfig(name, None if is_random else pretrained, seed if is_random else None)
    about = [f"device {device}", f"backbone {backbone.title}", f"adapter {adapter}" if adapter else "", more]
    logger.info("%s", ", ".join(part for part in about if part))


def unused_seed(backbone: str | None, pretrained: str | None) -> dict[str, str]:
    """Refuses the seed of random weights for a backbone that has weights; see :meth:`Run.unused`."""
    name = backbone or DEFAULT_BACKBONE
    if pretrained == RANDOM or (pretrained is None and is_model(name)):
        return {}
    return {"backbone_seed": "on a backbone that has its weights"}
