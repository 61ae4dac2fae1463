"""The settings that name a model, its template and its crops, and the labeller that they make."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from opendas_plugin.classifier import Names, TextClassifier
from opendas_plugin.errors import ConfigError
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.checkpoint import OFFICE_TINY
from opendas_plugin.model.devices import pick_device
from opendas_plugin.runs.run import Result, Run
from opendas_plugin.scenes.feature_source import PREFIX, FeatureSource

DEFAULT_BACKBONE = OFFICE_TINY
CROPS = ("background", "expand", "resize")

Chosen = TypeVar("Chosen", bound="ModelRun[Any]")


@dataclass(frozen=True)
class ClipRun(Run[Result]):
    """The model that a run works with: an adapter on its backbone, or plain CLIP."""

    _: KW_ONLY
    adapter: str | None = None
    """Adapter to switch on: a folder, or an id on the Hugging Face hub."""
    backbone: str | None = None
    """open_clip model name, OpenAI-format file, or office-tiny (the default). An adapter names its own."""
    pretrained: str | None = None
    """open_clip tag or weight file. With an adapter: where the adapter's weight file lies now."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        if self.adapter is not None and self.backbone is not None:
            raise ConfigError("give `adapter` or `backbone`, not both: an adapter names its own backbone")

    def clip(self, seed: int = 0) -> OpenDASCLIP:
        """Loads the model; ``seed`` is that of random weights."""
        device = pick_device(self.device)
        if self.adapter is not None:
            return OpenDASCLIP.from_pretrained(self.adapter, self.pretrained, device=device)
        return OpenDASCLIP.from_backbone(self.backbone or DEFAULT_BACKBONE, self.pretrained, device=device, seed=seed)

    def source(self, clip: OpenDASCLIP) -> FeatureSource:
        """The model as the source of 3D features, by the name that their record knows it by."""
        adapter = (self.adapter or "").removeprefix(PREFIX)
        return FeatureSource(f"{PREFIX}{adapter}" if adapter else clip.backbone.name, clip)


@dataclass(frozen=True)
class ModelRun(ClipRun[Result]):
    """The model, the template and the crops that a run classifies with. Without an adapter: zero-shot."""

    _: KW_ONLY
    backbone_seed: int = 0
    """Seed of the backbone's random weights, where it has no pretrained ones. An adapter names its own."""
    template: str | None = None
    """Text with one {} for the name; default: the adapter's, or the vocabulary's."""
    background: Literal["keep", "mean"] | None = None
    """Crop background; default: the adapter's, or keep."""
    expand: float | None = None
    """Crop expansion as a fraction of the box's sides; default: the adapter's, or 0.1."""
    resize: Literal["squash", "center"] | None = None
    """Crop resize; default: the adapter's, or squash."""
    batch_size: int = 64
    """Crops a forward."""
    workers: int = 2
    """Threads that decode and crop."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        super().check()
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
        crops = {name: getattr(self, name) for name in CROPS if getattr(self, name) is not None}
        return Labeller(
            self.clip(self.backbone_seed),
            names,
            template=self.template,
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
            pretrained=backbone.pretrained,
            backbone_seed=backbone.seed or 0,
            template=text.template[0],
            device=str(text.clip.logit_scale.device),
        )


def unused_seed(backbone: str | None, pretrained: str | None) -> dict[str, str]:
    """Refuses the seed of random weights for a backbone that has weights; see :meth:`Run.unused`."""
    name = backbone or DEFAULT_BACKBONE
    if pretrained is not None or name == DEFAULT_BACKBONE or Path(name).is_file():
        return {"backbone_seed": "on a backbone that has its weights"}
    return {}
