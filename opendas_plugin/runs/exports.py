"""Writes adapters and backbones in the forms that other programs read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from opendas_plugin.errors import ConfigError
from opendas_plugin.files import atomic_file, write_json
from opendas_plugin.model.config import Precision
from opendas_plugin.model.exported import require_replaceable
from opendas_plugin.runs.models import DEFAULT_BACKBONE, ClipRun
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import function_of
from opendas_plugin.version import __version__

if TYPE_CHECKING:
    from opendas_plugin.model.adapted_clip import OpenDASCLIP


Form: TypeAlias = Literal["classifier", "onnx", "transformers", "open-clip", "openai-clip"]
_WITH_NAMES = ("classifier", "onnx")


@dataclass(frozen=True)
class Export(ClipRun[Path]):
    """Writes a CLIP, with or without an adapter, as other programs read it: as a text classifier or ONNX graphs, or,
    where an adapter is weights alone (opendas_plus, lora, ln_bias, wise_ft), as a plain CLIP of transformers, open_clip
    or OpenAI.

    The result is the file or folder; how it was made is run.json in the folder, or <name>.run.json beside the file.
    """

    _: KW_ONLY
    to: Form
    """classifier: the names' text features, and their names beside; onnx: a folder with both towers as graphs, or with
    names one graph from pixels to their cosines; transformers: a folder for CLIPModel or SiglipModel.from_pretrained
    and pipelines; open-clip: a folder for open_clip.create_model("local-dir:FOLDER"); openai-clip: one file for
    clip.load, of models with QuickGELU."""
    output: Path
    """The file to write (.safetensors for a classifier, .pt for openai-clip), or the folder."""
    names: tuple[str, ...] = field(default_factory=tuple)
    """The names of a classifier, in this order; with onnx: names to bake in."""
    template: str | None = None
    """Text with one {} for the name; default: the adapter's, or CLIP's."""
    precision: Precision = "fp32"
    """Of onnx: what weights are stored in, fp32, or fp16 at half the size; what is computed is float32."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        if self.to == "classifier" and not self.names:
            raise ConfigError("a classifier needs `names`")
        if self.to == "classifier" and self.output.suffix == ".json":
            raise ConfigError("`output` is a classifier's .safetensors, beside which its names are .json; rename it")
        super().check()

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        found = {} if self.to in _WITH_NAMES else dict.fromkeys(("names", "template"), "but on a classifier or onnx")
        if self.to == "onnx" and not self.names:
            found |= {"template": "without `names`, which it is filled with"}
        return found if self.to == "onnx" else found | {"precision": "but on onnx"}

    def work(self, record: RunRecord) -> Path:
        """Writes the file or folder and returns it."""
        self.say()
        if self.to in ("classifier", "openai-clip"):
            self.classifier() if self.to == "classifier" else self.openai_clip()
            record.write(self.output.parent, f"{self.output.stem}.run.json")
        else:
            self.folder()
            record.write(self.output)
        return self.output

    def folder(self) -> None:
        """Writes a folder, which holds nothing else.

        Raises:
            AdapterError: an adapter that the form cannot hold.
            BackboneError: a model that it cannot hold.
            OutputError: a folder with other files than an export of this form has written.
        """
        from opendas_plugin.model.open_clip_export import save_open_clip
        from opendas_plugin.model.transformers_export import save_transformers

        require_replaceable(self.output)
        clip = replace(self, device="cpu").clip()
        if self.to == "transformers":
            save_transformers(clip, self.output)
        elif self.to == "open-clip":
            save_open_clip(clip, self.output)
        else:
            self.onnx(clip)

    def onnx(self, clip: OpenDASCLIP) -> None:
        """Writes graphs, and ``onnx.json`` with what their user has to know."""
        from opendas_plugin.classifier import TextClassifier
        from opendas_plugin.model.onnx_format import save_onnx

        text = TextClassifier(clip, self.names, self.template) if self.names else None
        facts, scale, bias = clip.config.backbone_facts, clip.logit_scale.exp().item(), clip.model.logit_bias
        about = {
            **self.about(clip),
            "names": list(text.classes) if text else [],
            "template": text.template[0] if text else clip.config.template,
            "pixels": {**facts.preprocessing, "size": list(facts.image_size)} if facts else {},
            "logit_scale": scale,
            "logit_bias": None if bias is None else bias.item(),
        }
        save_onnx(clip, self.output, about, names=text.features if text else None, precision=self.precision)

    def about(self, clip: OpenDASCLIP) -> dict[str, Any]:
        """What a file of features or graphs says of the CLIP that it is made by."""
        crops, source = clip.config.crop_policy, self.source(clip)
        return {
            "backbone": clip.backbone.title,
            "backbone_facts": facts.to_dict() if (facts := clip.config.backbone_facts) else {},
            "adapter": self.adapter,
            "crop_policy": {} if crops is None else crops.to_dict(),
            "clip": {"sha256": source.sha256, "half_sha256": source.half_sha256, "facts": source.facts},
            "version": __version__,
        }

    def classifier(self) -> None:
        """Writes ``text_features`` (N, D) float32 of unit length, and a JSON of the same stem with the names.

        Raises:
            DataError: names that are empty, equal, or too long.
        """
        from safetensors.torch import save_file

        from opendas_plugin.classifier import TextClassifier

        text = TextClassifier(self.clip(), self.names, self.template)
        with atomic_file(self.output) as temporary:
            save_file({"text_features": text.features.cpu().contiguous()}, temporary)
        about = {
            **self.about(text.clip),
            "names": list(text.classes),
            "template": text.template[0],
            "text_features": hashlib.sha256(self.output.read_bytes()).hexdigest(),
        }
        write_json(self.output.with_suffix(".json"), about)

    def openai_clip(self) -> None:
        """Writes a backbone in OpenAI's format, with an adapter of weights (LoRA, WiSE-FT, LayerNorms) merged into it.

        Raises:
            AdapterError: an adapter that is not weights alone, which no set of weights of plain CLIP can hold.
        """
        from opendas_plugin.model.openai_format import save_openai_clip

        if self.adapter is None:
            save_openai_clip(self.backbone or DEFAULT_BACKBONE, self.output, self.pretrained)
            return
        clip = replace(self, device="cpu").clip()
        name, pretrained, seed = clip.backbone.name, clip.backbone.pretrained, clip.backbone.seed or 0
        save_openai_clip(name, self.output, pretrained, seed=seed, weights=clip.merged_weights())


export = function_of(Export, "export")
