"""``export_adapter.py``: adapters and backbones in the forms that other programs read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file

from opendas_plugin.commands.common import Options, RunRecord, UsageError, parse, pick_device, run_command
from opendas_plugin.files import atomic_file, write_json
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.openai_format import save_openai_clip
from opendas_plugin.vocabulary import Vocabulary

PROGRAM = "opendas-export"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ExportAdapter(Options):
    """Writes a text classifier, or a backbone as OpenAI's clip.load reads it."""

    to: Literal["classifier", "openai-clip"]
    """classifier: the names' text features, and their names beside; openai-clip: a backbone as one file."""
    output: Path
    """The file to write: .safetensors for a classifier, .pt for openai-clip."""
    adapter: str | None = None
    """Adapter to export: a folder, or an id on the Hugging Face hub."""
    backbone: str = "office-tiny"
    """Backbone to export where no adapter is given."""
    pretrained: str | None = None
    """open_clip tag or weight file. With --adapter: where the adapter's weight file lies now."""
    names: tuple[str, ...] = field(default_factory=tuple)
    """The names of a classifier, in this order."""
    template: str | None = None
    """Text with one {} for the name; default: the adapter's, or CLIP's."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(export, argv)


def export(argv: Sequence[str]) -> None:
    """Exports as the flags say."""
    options = parse(ExportAdapter, argv, prog=PROGRAM)
    RunRecord(PROGRAM, argv, options)
    if options.to == "classifier":
        export_classifier(options)
    else:
        export_openai_clip(options)
    print(f"wrote {options.output}")


def export_classifier(options: ExportAdapter) -> None:
    """Writes ``text_features`` (N, D) float32 of unit length, and a JSON of the same stem with the names.

    Raises:
        UsageError: no names.
        DataError: names that are empty, equal, or too long.
    """
    if not options.names:
        raise UsageError("--to classifier needs --names")
    device = pick_device(options.device)
    if options.adapter is None:
        clip = OpenDASCLIP.from_backbone(options.backbone, options.pretrained, device=device)
    else:
        clip = OpenDASCLIP.from_pretrained(options.adapter, options.pretrained, device=device)
    vocabulary = Vocabulary(options.names, template=options.template or clip.config.template)
    with torch.no_grad():
        features = clip.encode_text(clip.tokenize(vocabulary.texts()), normalize=True).float().cpu().contiguous()
    with atomic_file(options.output) as temporary:
        save_file({"text_features": features}, temporary)
    about = {
        "names": list(vocabulary.names),
        "template": vocabulary.template,
        "backbone": clip.backbone.title,
        "adapter": options.adapter,
        "crop_policy": clip.config.crop_policy,
    }
    write_json(options.output.with_suffix(".json"), about)


def export_openai_clip(options: ExportAdapter) -> None:
    """Writes a backbone in OpenAI's format, with an adapter of weights (LoRA, WiSE-FT, LayerNorms) merged into it.

    Raises:
        AdapterError: an adapter that is not weights alone, which no set of weights of plain CLIP can hold.
    """
    if options.adapter is None:
        save_openai_clip(options.backbone, options.output, options.pretrained)
        return
    clip = OpenDASCLIP.from_pretrained(options.adapter, options.pretrained)
    name, pretrained, seed = clip.backbone.name, clip.backbone.pretrained, clip.backbone.seed or 0
    save_openai_clip(name, options.output, pretrained, seed=seed, weights=clip.merged_weights())
