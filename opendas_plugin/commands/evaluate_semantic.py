"""``evaluate.py semantic``: predicted class maps, or masks to classify first, against label maps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opendas_plugin.commands.backbones import ModelOptions, crop_policy, load_clip, resolved
from opendas_plugin.commands.common import UsageError, open_output, pick_device
from opendas_plugin.eval.masks import classify_masks, map_entries, predict_maps, read_proposals
from opendas_plugin.eval.semantic import Protocol
from opendas_plugin.eval.semantic_report import evaluate_semantic, format_semantic_table
from opendas_plugin.files import write_json
from opendas_plugin.vocabulary import Vocabulary

PREDICTIONS = "sem_seg_predictions.json"


@dataclass(frozen=True, kw_only=True)
class Semantic(ModelOptions):
    """Scores class maps: mIoU, mAcc, fwIoU, pAcc, per class, and hIoU of base and novel names.

    The maps are --predictions, or made here: --masks are classified (zero-shot without --adapter) and fused.
    """

    ground_truth: Path
    """Folder of label PNGs, matched to the predictions by stem."""
    protocol: Protocol
    """Rule of the mean: detectron2 counts the classes with pixels, ovseg those that were predicted as well."""
    output: Path
    """Folder for summary.json, per_class.csv, confusion.csv and run.json; with --masks for the fused maps as well."""
    predictions: Path | None = None
    """sem_seg_predictions.json of detectron2 and OVSeg, or a folder of PNGs (value: class, 255: none)."""
    masks: Path | None = None
    """Masks without classes in place of predictions: JSON, a list of file_name and segmentation (COCO RLE)."""
    images: Path | None = None
    """Folder of the pictures that the masks name."""
    vocabulary: Path | None = None
    """vocabulary.json with the names in the order of the label values, and which of them are novel."""
    num_classes: int | None = None
    """Number of classes, in place of a vocabulary; only with --predictions."""
    ignore: tuple[int, ...] = (255,)
    """Label values to ignore."""
    offset: int = 0
    """Label value of the first class, such as 1 where 0 is to be ignored."""
    prediction_offset: int = 0
    """The same of predicted values and category ids."""


def semantic(options: Semantic) -> Semantic:
    """Evaluates as ``options`` say, writes the report and prints the scores.

    Returns:
        The options with what was left open filled in.
    """
    names, novel = class_names(options)
    if options.predictions is not None and options.masks is None:
        open_output(options.output)
        row, predictions, about = str(options.protocol), options.predictions, dict[str, Any]()
    elif options.masks is not None and options.predictions is None:
        row, predictions = "adapted" if options.adapter else "zero-shot", options.output / PREDICTIONS
        options, about = classify(options, options.masks)
    else:
        raise UsageError("give --predictions or --masks, one of the two")
    summary = evaluate_semantic(
        predictions,
        options.ground_truth,
        names,
        options.protocol,
        options.output,
        novel=novel,
        ignore=options.ignore,
        offset=options.offset,
        prediction_offset=options.prediction_offset,
        about=about,
    )
    print(format_semantic_table({row: summary}))
    return options


def classify(options: Semantic, masks: Path) -> tuple[Semantic, dict[str, Any]]:
    """Classifies the masks and writes the fused maps; returns the resolved options and facts for the summary.

    Raises:
        UsageError: a flag that the masks need is missing, or one that they have no use for is given.
    """
    if options.vocabulary is None or options.images is None or options.prediction_offset:
        raise UsageError("--masks needs --vocabulary and --images, and has no use for --prediction-offset")
    device = pick_device(options.device)
    proposals = read_proposals(masks, options.images)
    vocabulary, clip = Vocabulary.load(options.vocabulary), load_clip(options, device)
    template = options.template or (clip.config.template if options.adapter else vocabulary.template)
    policy = crop_policy(options, clip)
    open_output(options.output)
    probabilities = classify_masks(
        clip,
        proposals,
        dataclasses.replace(vocabulary, template=template),
        policy,
        batch_size=options.batch_size,
        workers=options.workers,
    )
    entries = [
        entry for name, classes in predict_maps(proposals, probabilities) for entry in map_entries(name, classes)
    ]
    write_json(options.output / PREDICTIONS, entries)
    facts = {"n_masks": len(proposals), "template": template, "crop": policy.to_dict()}
    about = {**facts, "backbone": clip.backbone.title, "adapter": options.adapter, "predictions": PREDICTIONS}
    return resolved(options, clip, template, policy, device), about


def class_names(options: Semantic) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The class names and the novel ones among them; numbers stand in where only their count is given.

    Raises:
        UsageError: neither a vocabulary nor a number of classes, or both.
    """
    if (options.vocabulary is None) == (options.num_classes is None):
        raise UsageError("give --vocabulary or --num-classes, one of the two")
    if options.vocabulary is not None:
        vocabulary = Vocabulary.load(options.vocabulary)
        return vocabulary.names, vocabulary.novel
    count = options.num_classes or 0
    if count < 1:
        raise UsageError(f"--num-classes must be 1 or more, got {count}")
    return tuple(map(str, range(count))), ()
