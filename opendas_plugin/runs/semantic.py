"""Scores predicted class maps, or masks that are named first, against label maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import Any

from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.masks import classify_masks, map_entries, predict_maps, read_proposals, write_names
from opendas_plugin.eval.semantic import Protocol
from opendas_plugin.eval.semantic_report import evaluate_semantic as report
from opendas_plugin.files import require_writable, write_json
from opendas_plugin.labeller import Labeller
from opendas_plugin.runs.models import ModelRun
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import function_of
from opendas_plugin.vocabulary import Vocabulary

PREDICTIONS = "sem_seg_predictions.json"
NAMES = "masks.jsonl"


@dataclass(frozen=True)
class Semantic(ModelRun[dict[str, Any]]):
    """Scores class maps: mIoU, mAcc, fwIoU, pAcc, per class, and hIoU of base and novel names.

    The maps are predictions, or made here: masks are named (zero-shot without an adapter) and fused. The result is what
    summary.json holds.
    """

    _: KW_ONLY
    ground_truth: Path
    """Folder of label PNGs, matched to the predictions by stem."""
    protocol: Protocol
    """Rule of the mean: detectron2 counts the classes with pixels, ovseg those that were predicted as well."""
    output: Path
    """Folder for summary.json, per_class.csv, confusion.csv and run.json; with masks for the fused maps and for
    masks.jsonl, each mask's name and cosine, as well."""
    predictions: Path | None = None
    """sem_seg_predictions.json of detectron2 and OVSeg, or a folder of PNGs (value: class, 255: none)."""
    masks: Path | None = None
    """Masks without classes in place of predictions: JSON, a list of file_name and segmentation (COCO RLE)."""
    images: Path | None = None
    """Folder of the pictures that the masks name."""
    vocabulary: Path | None = None
    """vocabulary.json with the names in the order of the label values, and which of them are novel."""
    num_classes: int | None = None
    """Number of classes, in place of a vocabulary; only with predictions."""
    ignore: tuple[int, ...] = (255,)
    """Label values to ignore."""
    offset: int = 0
    """Label value of the first class, such as 1 where 0 is to be ignored."""
    prediction_offset: int = 0
    """The same of predicted values and category ids."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        if (self.predictions is None) == (self.masks is None):
            raise ConfigError("give `predictions` or `masks`, one of the two")
        if (self.vocabulary is None) == (self.num_classes is None):
            raise ConfigError("give `vocabulary` or `num_classes`, one of the two")
        if self.num_classes is not None and self.num_classes < 1:
            raise ConfigError(f"`num_classes` must be 1 or more, got {self.num_classes}")
        if self.masks is not None and (self.vocabulary is None or self.images is None):
            raise ConfigError("`masks` needs `vocabulary` and `images`")
        super().check()

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        if self.masks is not None:
            return {**super().unused(), "prediction_offset": "with `masks`, which are named here"}
        model = {field.name for field in fields(ModelRun)} - {"device", "workers"}
        return dict.fromkeys(("images", *sorted(model)), "without `masks`")

    def work(self, record: RunRecord) -> dict[str, Any]:
        """Evaluates, writes the report and returns its summary."""
        names, novel = self.class_names()
        require_writable(self.output)
        resolved, about = self, dict[str, Any]()
        if self.masks is not None and self.vocabulary is not None:
            labeller = self.labeller(Vocabulary.load(self.vocabulary))
            count = self.name_masks(labeller)
            about = {"n_masks": count, **labeller.facts(), "adapter": self.adapter, "predictions": PREDICTIONS}
            resolved = self.resolved(labeller)
        summary = report(
            self.predictions or self.output / PREDICTIONS,
            self.ground_truth,
            names,
            self.protocol,
            self.output,
            novel=novel,
            ignore=self.ignore,
            offset=self.offset,
            prediction_offset=self.prediction_offset,
            about=about,
        )
        record.write(self.output, config=resolved)
        return summary

    def name_masks(self, labeller: Labeller) -> int:
        """Names the masks, writes their names and the fused maps, and returns how many there are."""
        masks = read_proposals(self.masks or "", self.images or "")
        cosines, probabilities = classify_masks(labeller, masks)
        write_names(self.output / NAMES, masks, cosines, labeller.classes)
        maps = predict_maps(masks, probabilities)
        write_json(self.output / PREDICTIONS, [entry for name, classes in maps for entry in map_entries(name, classes)])
        return len(masks)

    def class_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The class names and the novel ones among them; numbers stand in where only their count is given."""
        if self.vocabulary is not None:
            vocabulary = Vocabulary.load(self.vocabulary)
            return vocabulary.names, vocabulary.novel
        return tuple(map(str, range(self.num_classes or 0))), ()


evaluate_semantic = function_of(Semantic, "evaluate_semantic")
