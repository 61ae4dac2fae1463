"""``evaluate.py semantic``: predicted class maps against label maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opendas_plugin.commands.common import Options, UsageError, open_output
from opendas_plugin.eval.semantic import Protocol
from opendas_plugin.eval.semantic_report import evaluate_semantic, format_semantic_table
from opendas_plugin.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Semantic(Options):
    """Scores predicted class maps: mIoU, mAcc, fwIoU, pAcc, per class, and hIoU of base and novel names."""

    predictions: Path
    """sem_seg_predictions.json of detectron2 and OVSeg, or a folder of PNGs (value: class, 255: none)."""
    ground_truth: Path
    """Folder of label PNGs or TIFFs, matched to the predictions by stem."""
    protocol: Protocol
    """Rule of the mean: detectron2 counts the classes with pixels, ovseg those that were predicted as well."""
    output: Path
    """Folder for summary.json, per_class.csv, confusion.csv and run.json."""
    vocabulary: Path | None = None
    """vocabulary.json with the names in the order of the label values, and which of them are novel."""
    num_classes: int | None = None
    """Number of classes, in place of a vocabulary."""
    ignore: tuple[int, ...] = (255,)
    """Label values to ignore."""
    offset: int = 0
    """Label value of the first class, such as 1 where 0 is to be ignored."""
    prediction_offset: int = 0
    """The same of predicted values and category ids."""


def semantic(options: Semantic) -> Semantic:
    """Evaluates as ``options`` say, writes the report and prints the scores; returns the options."""
    names, novel = class_names(options)
    open_output(options.output)
    summary = evaluate_semantic(
        options.predictions,
        options.ground_truth,
        names,
        options.protocol,
        options.output,
        novel=novel,
        ignore=options.ignore,
        offset=options.offset,
        prediction_offset=options.prediction_offset,
    )
    print(format_semantic_table({options.protocol: summary}))
    return options


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
