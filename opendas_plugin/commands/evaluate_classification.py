"""``evaluate.py classification``: the names of labelled segments."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from opendas_plugin.commands.backbones import ModelOptions, crop_policy, load_clip, resolved
from opendas_plugin.commands.common import UsageError, open_output, pick_device
from opendas_plugin.data.domain import load_domain
from opendas_plugin.eval.report import evaluate_classification, format_table
from opendas_plugin.vocabulary import Vocabulary, fold_name


@dataclass(frozen=True, kw_only=True)
class Classification(ModelOptions):
    """Names every labelled segment and scores the names: Acc, W-F1, B-F1, N-F1. Without --adapter: zero-shot."""

    data: Path
    """Folder that prepare_data.py wrote."""
    output: Path
    """Folder for summary.json, per_class.csv, predictions.jsonl, the confusion matrices and run.json."""
    split: Literal["val", "train"] = "val"
    """Which of the domain's segments to score."""
    ensemble: bool = False
    """Take the mean of the text features over the 80 templates that CLIP was published with, without an adapter."""
    calibrate: bool = False
    """Take the constant that training with --calibration-folds has learnt from the cosines of the base names."""
    base_from: Path | None = None
    """vocabulary.json whose base names count as base here, all others as novel; default: the domain's own marks."""


def classification(options: Classification) -> Classification:
    """Evaluates as ``options`` say, writes the report and prints the scores.

    Returns:
        The options with what was left open filled in.
    """
    if options.batch_size < 1:
        raise UsageError(f"--batch-size must be 1 or more, got {options.batch_size}")
    device = pick_device(options.device)
    if options.calibrate and options.adapter is None:
        raise UsageError("--calibrate needs an --adapter, which holds the constant")
    if options.ensemble and (options.adapter or options.template):
        raise UsageError(
            "--ensemble is for plain CLIP and has templates of its own; leave --adapter and --template out"
        )
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
        calibrated=options.calibrate,
        ensemble=options.ensemble,
        about={"backbone": clip.backbone.title, "adapter": options.adapter},
    )
    print(format_table({"adapted" if options.adapter else "zero-shot": summary}))
    return resolved(options, clip, template, policy, device)


def mark_base(vocabulary: Vocabulary, base_from: Path | None) -> Vocabulary:
    """Marks as novel what is not a base name of the vocabulary file ``base_from``; None keeps the domain's marks."""
    if base_from is None:
        return vocabulary
    base = {fold_name(name) for name in Vocabulary.load(base_from).base}
    novel = tuple(name for name in vocabulary.names if fold_name(name) not in base)
    return dataclasses.replace(vocabulary, novel=novel)
