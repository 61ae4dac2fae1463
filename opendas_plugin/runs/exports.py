"""Writes adapters and backbones in the forms that other programs read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Literal

from safetensors.torch import save_file

from opendas_plugin.classifier import TextClassifier
from opendas_plugin.errors import ConfigError
from opendas_plugin.files import atomic_file, write_json
from opendas_plugin.model.openai_format import save_openai_clip
from opendas_plugin.runs.models import DEFAULT_BACKBONE, ClipRun
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import function_of
from opendas_plugin.version import __version__


@dataclass(frozen=True)
class Export(ClipRun[Path]):
    """Writes a text classifier, or a backbone as OpenAI's clip.load reads it, and how as <name>.run.json.

    The result is the file.
    """

    _: KW_ONLY
    to: Literal["classifier", "openai-clip"]
    """classifier: the names' text features, and their names beside; openai-clip: a backbone as one file."""
    output: Path
    """The file to write: .safetensors for a classifier, .pt for openai-clip."""
    names: tuple[str, ...] = field(default_factory=tuple)
    """The names of a classifier, in this order."""
    template: str | None = None
    """Text with one {} for the name; default: the adapter's, or CLIP's."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        if self.to == "classifier" and not self.names:
            raise ConfigError("a classifier needs `names`")
        super().check()

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        return {} if self.to == "classifier" else dict.fromkeys(("names", "template"), "but on a classifier")

    def work(self, record: RunRecord) -> Path:
        """Writes the file and returns it."""
        self.say()
        if self.to == "classifier":
            self.classifier()
        else:
            self.openai_clip()
        record.write(self.output.parent, f"{self.output.stem}.run.json")
        return self.output

    def classifier(self) -> None:
        """Writes ``text_features`` (N, D) float32 of unit length, and a JSON of the same stem with the names.

        Raises:
            DataError: names that are empty, equal, or too long.
        """
        text = TextClassifier(self.clip(), self.names, self.template)
        with atomic_file(self.output) as temporary:
            save_file({"text_features": text.features.cpu().contiguous()}, temporary)
        crops = text.clip.config.crop_policy
        source = self.source(text.clip)
        about = {
            "names": list(text.classes),
            "template": text.template[0],
            "backbone": text.clip.backbone.title,
            "backbone_facts": facts.to_dict() if (facts := text.clip.config.backbone_facts) else {},
            "adapter": self.adapter,
            "crop_policy": {} if crops is None else crops.to_dict(),
            "clip": {"sha256": source.sha256, "half_sha256": source.half_sha256, "facts": source.facts},
            "text_features": hashlib.sha256(self.output.read_bytes()).hexdigest(),
            "version": __version__,
        }
        write_json(self.output.with_suffix(".json"), about)

    def openai_clip(self) -> None:
        """Writes a backbone in OpenAI's format, with an adapter of weights (LoRA, WiSE-FT, LayerNorms) merged into it.

        Raises:
            AdapterError: an adapter that is not weights alone, which no set of weights of plain CLIP can hold.
        """
        if self.adapter is None:
            save_openai_clip(self.backbone or DEFAULT_BACKBONE, self.output, self.pretrained)
            return
        clip = replace(self, device="cpu").clip()
        name, pretrained, seed = clip.backbone.name, clip.backbone.pretrained, clip.backbone.seed or 0
        save_openai_clip(name, self.output, pretrained, seed=seed, weights=clip.merged_weights())


export = function_of(Export, "export")
