"""``evaluate.py``: the scores of a backbone, with or without an adapter, on a prepared domain."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from opendas_plugin.commands.common import (
    Options,
    RunRecord,
    UsageError,
    open_output,
    parse_subcommand,
    pick_device,
    run_command,
)
from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.registry import load_domain
from opendas_plugin.eval.report import evaluate_classification, format_table
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.vocabulary import Vocabulary, fold_name

PROGRAM = "opendas-evaluate"
DEFAULT_BACKBONE = "office-tiny"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Classification(Options):
    """Names every labelled segment and scores the names: Acc, W-F1, B-F1, N-F1. Without --adapter: zero-shot."""

    data: Path
    """Folder that prepare_data.py wrote."""
    output: Path
    """Folder for summary.json, per_class.csv, predictions.jsonl, the confusion matrices and run.json."""
    adapter: str | None = None
    """Adapter to switch on: a folder, or an id on the Hugging Face hub."""
    backbone: str | None = None
    """open_clip model name, OpenAI-format file, or office-tiny (the default). An adapter names its own."""
    pretrained: str | None = None
    """open_clip tag or weight file. With --adapter: where the adapter's weight file lies now."""
    backbone_seed: int = 0
    """Seed of the backbone's random weights, where it has no pretrained ones. An adapter names its own."""
    split: Literal["val", "train"] = "val"
    """Which of the domain's segments to score."""
    base_from: Path | None = None
    """vocabulary.json whose base names count as base here, all others as novel; default: the domain's own marks."""
    template: str | None = None
    """Text with one {} for the name; default: the adapter's, or the domain's."""
    background: Literal["keep", "mean"] | None = None
    """Crop background; default: the adapter's, or keep."""
    expand: float | None = None
    """Crop expansion as a fraction of the box's sides; default: the adapter's, or 0.1."""
    resize: Literal["squash", "center"] | None = None
    """Crop resize; default: the adapter's, or squash."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    batch_size: int = 64
    """Crops a forward."""
    workers: int = 2
    """Threads that decode and crop."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(evaluate, argv)


def evaluate(argv: Sequence[str]) -> None:
    """Reads the sub-command from ``argv`` and runs it."""
    kinds = {"classification": Classification}
    options = parse_subcommand(kinds, argv, prog=PROGRAM, description="Scores a backbone with or without an adapter.")
    record = RunRecord(PROGRAM, argv, options)
    record.write(options.output, config=classification(options))


def classification(options: Classification) -> Classification:
    """Evaluates as ``options`` say, writes the report and prints the scores.

    Returns:
        The options with what was left open filled in.
    """
    if options.batch_size < 1:
        raise UsageError(f"--batch-size must be 1 or more, got {options.batch_size}")
    device = pick_device(options.device)
    domain = load_domain(options.data)
    vocabulary = mark_base(domain.vocabulary, options.base_from)
    clip = load_clip(options, device)
    template = options.template or (clip.config.template if options.adapter else vocabulary.template)
    vocabulary = dataclasses.replace(vocabulary, template=template)
    policy = crop_policy(options, clip)
    open_output(options.output)
    summary = evaluate_classification(
        clip,
        getattr(domain, options.split),
        vocabulary,
        policy,
        options.output,
        split=options.split,
        batch_size=options.batch_size,
        workers=options.workers,
        about={"backbone": clip.backbone.title, "adapter": options.adapter},
    )
    print(format_table({"adapted" if options.adapter else "zero-shot": summary}))
    return dataclasses.replace(
        options,
        backbone=clip.backbone.name,
        pretrained=clip.backbone.pretrained,
        backbone_seed=clip.backbone.seed or 0,
        template=template,
        background=policy.background,
        expand=policy.expand,
        resize=policy.resize,
        device=str(device),
    )


def load_clip(options: Classification, device: torch.device) -> OpenDASCLIP:
    """Builds the model that the flags name.

    Raises:
        UsageError: both an adapter and a backbone are named.
    """
    if options.adapter is None:
        name = options.backbone or DEFAULT_BACKBONE
        seed = options.backbone_seed
        return OpenDASCLIP.from_backbone(name, options.pretrained, prompts=None, device=device, seed=seed)
    if options.backbone is not None:
        raise UsageError("give --adapter or --backbone, not both: an adapter names its own backbone")
    return OpenDASCLIP.from_pretrained(options.adapter, pretrained=options.pretrained, device=device)


def crop_policy(options: Classification, clip: OpenDASCLIP) -> CropPolicy:
    """The adapter's crop policy or the default one, with what the flags override, at the backbone's image size."""
    stored = dict(clip.config.crop_policy) if options.adapter else {}
    given = {key: getattr(options, key) for key in ("background", "expand", "resize")}
    chosen = {key: value for key, value in given.items() if value is not None}
    if options.adapter and any(stored.get(key) != value for key, value in chosen.items()):
        logger.warning("the adapter was trained with the crop policy %s; the flags change it", stored)
    return CropPolicy.from_dict({**stored, **chosen, "size": clip.image_size})


def mark_base(vocabulary: Vocabulary, base_from: Path | None) -> Vocabulary:
    """Marks as novel what is not a base name of the vocabulary file ``base_from``; None keeps the domain's marks."""
    if base_from is None:
        return vocabulary
    base = {fold_name(name) for name in Vocabulary.load(base_from).base}
    novel = tuple(name for name in vocabulary.names if fold_name(name) not in base)
    return dataclasses.replace(vocabulary, novel=novel)
