"""Scores predicted class maps, or masks that are named first, against label maps."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.label_maps import Labelling, check_label_maps
from opendas_plugin.eval.learnt import check_learnt
from opendas_plugin.eval.number_tables import PLACES, read_table
from opendas_plugin.eval.semantic import Protocol
from opendas_plugin.files import write_json
from opendas_plugin.label_values import LabelValues
from opendas_plugin.model.devices import pick_device
from opendas_plugin.reports.page import Page
from opendas_plugin.reports.semantic import SeenPictures
from opendas_plugin.reports.summaries import read_summary
from opendas_plugin.runs.classification import PLAIN_CLIP
from opendas_plugin.runs.classification_report import PLAIN
from opendas_plugin.runs.models import ModelRun
from opendas_plugin.runs.own_numbers import dataset_of, table_of
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reporting import ReportedRun, call_of, save_page
from opendas_plugin.runs.run import function_of
from opendas_plugin.train.distributed import World, join
from opendas_plugin.vocabulary import Vocabulary

if TYPE_CHECKING:
    from opendas_plugin.eval.masks import Bare
    from opendas_plugin.labeller import Labeller


PREDICTIONS = "sem_seg_predictions.json"
NAMES = "masks.jsonl"
LABELS, VOID = "labels", 255

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Semantic(ModelRun[dict[str, Any]], ReportedRun[dict[str, Any]]):
    """Scores class maps: mIoU, mAcc, fwIoU, pAcc, per class, and hIoU of base and novel names.

    The maps are predictions, or made here: masks are named (zero-shot without an adapter; under torchrun by several
    processes) and fused. For the page an adapter's plain CLIP names them too, in plain/, which takes as long again. The
    result is what summary.json holds.
    """

    _: KW_ONLY
    ground_truth: Path
    """Folder of label PNGs, matched to the predictions by stem."""
    protocol: Protocol
    """Rule of the mean: detectron2 counts the classes with pixels, ovseg those that were predicted as well."""
    output: Path
    """Folder for report.html, summary.json, per_class.csv, confusion.csv and run.json; with masks also for the fused
    maps and for masks.jsonl, each mask's name and cosine."""
    predictions: Path | None = None
    """sem_seg_predictions.json of detectron2 and OVSeg, or a folder of PNGs (255, unless it is a class: none)."""
    masks: Path | None = None
    """Masks without classes in place of predictions: JSON, a list of file_name and segmentation (COCO RLE)."""
    images: Path | None = None
    """Folder of the pictures that the masks name; beside predictions for the crops of the page."""
    beside: Path | None = None
    """Folder of another evaluation of the same label maps, such as that of the pipeline with plain CLIP, to set beside
    predictions on the page."""
    vocabulary: Path | None = None
    """vocabulary.json with the names, their label values, and which of them are novel."""
    num_classes: int | None = None
    """Number of classes, in place of a vocabulary; only with predictions."""
    label_values: str | None = None
    """What numbers in the label PNGs mean: a file (JSON of name -> number, a vocabulary.json, COCO's categories), the
    word places (0, 1, ... in the order of the names), or a dataset: ade20k, voc, kitti360, cityscapes, coco-stuff,
    coco-panoptic, coco-things. Default: as the vocabulary states it, else places."""
    prediction_values: str | None = None
    """The same of predicted PNGs and category ids; the word labels: the same numbers as in the label PNGs. Default:
    places, where the label PNGs have them too."""
    ignore: tuple[int, ...] | None = None
    """Label values to ignore. Default: those that the vocabulary or the table ignores, else 255 if it is no class."""
    offset: int | None = None
    """Label value of the first class where the others follow it, such as 1 where 0 is to be ignored."""
    prediction_offset: int | None = None
    """The same of predicted values and category ids; 0 is then a pixel without a prediction."""

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
        for table, first in (("label_values", "offset"), ("prediction_values", "prediction_offset")):
            if getattr(self, table) is not None and getattr(self, first) is not None:
                raise ConfigError(f"`{table}` and `{first}` both say what numbers mean; give one of them")
            if (getattr(self, first) or 0) < 0:
                raise ConfigError(f"`{first}` must be 0 or more, got {getattr(self, first)}")
        super().check()

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        if self.masks is not None:
            named = dict.fromkeys(("prediction_offset", "prediction_values"), "with `masks`, which are named here")
            return {**super().unused(), **named, "beside": "with `masks`, which plain CLIP names, too"}
        model = {field.name for field in fields(ModelRun)} - {"device", "workers"}
        unseen = {} if self.report else dict.fromkeys(("images", "beside"), "without `report`")
        return {**dict.fromkeys(sorted(model), "without `masks`"), **unseen}

    def work(self, record: RunRecord) -> dict[str, Any]:
        """Evaluates, writes the report and returns its summary, which is empty in all but the first process."""
        if self.masks is None:
            return self.report_on(record, World())
        with join(pick_device(self.device)) as (world, device):
            return replace(self, device=str(device)).report_on(record, world)

    def report_on(self, record: RunRecord, world: World) -> dict[str, Any]:
        """The part of one process, with the page."""
        seen = plainly = None
        if self.report and world.writes:
            seen = SeenPictures(self._names()[0])
        summary = self.evaluate(record, world, seen)
        if self.report and self.masks is not None and self.adapter is not None and not self.zero_shot:
            logger.info("plain CLIP, to set beside it")
            plain = replace(self, report=False, output=self.output / PLAIN, zero_shot=True)
            plainly = SeenPictures(self._names()[0])
            plain.evaluate(RunRecord(plain), world, plainly)
        if seen is not None and summary:
            save_page(lambda: self.page(record, seen, plainly), self.output)
        return summary

    def page(self, record: RunRecord, seen: SeenPictures, plain: SeenPictures | None) -> Page:
        """The page of what was scored."""
        from opendas_plugin.eval.semantic_report import read_confusion
        from opendas_plugin.runs.semantic_page import SemanticSide, semantic_page

        title = "predictions" if self.masks is None else PLAIN_CLIP
        if self.adapter is not None and not self.zero_shot:
            title = "/".join(Path(self.adapter).parts[-2:])
        sides = [] if plain is None else [SemanticSide(PLAIN_CLIP, self.output / PLAIN, plain)]
        sides += [] if self.beside is None else [SemanticSide(self.beside.name, self.beside)]
        sides.append(SemanticSide(title, self.output, seen))
        summary = read_summary(self.output)
        about = [(key, summary.get(key)) for key in ("backbone", "adapter", "template")]
        about += [(key, getattr(self, key)) for key in ("ground_truth", "predictions", "masks", "images")]
        confusion, novel = read_confusion(self.output / "confusion.csv"), self._names()[1]
        settings = call_of("opendas.runs.evaluate_semantic", self)
        return semantic_page(record, sides, confusion, novel, self.images, about, settings)

    def _names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """All names, and the novel ones."""
        if self.vocabulary is None:
            return tuple(map(str, range(self.num_classes or 0))), ()
        found = Vocabulary.load(self.vocabulary)
        return found.names, found.novel

    def evaluate(self, record: RunRecord, world: World, seen: SeenPictures | None = None) -> dict[str, Any]:
        """The part of one process; ``seen`` looks at the pictures in the one that writes."""
        from opendas_plugin.eval.masks import pictures_without_masks, read_proposals
        from opendas_plugin.eval.semantic_report import evaluate_semantic as report
        from opendas_plugin.runs.shared_cosines import discard_parts, share_cosines

        if self.masks is not None:
            self.say(self.backbone_seed)
        vocabulary = None if self.vocabulary is None else Vocabulary.load(self.vocabulary)
        numbers = tuple(map(str, range(self.num_classes or 0)))
        names, novel = (numbers, ()) if vocabulary is None else (vocabulary.names, vocabulary.novel)
        labelling = choose_labelling(self, names, None if vocabulary is None else vocabulary.values)
        resolved, about = self, dict[str, Any]()
        if self.masks is not None and vocabulary is not None:
            proposals = read_proposals(self.masks, self.images or "")
            bare = pictures_without_masks(proposals, self.images or Path(), self.ground_truth)
            if world.writes:
                check_label_maps(self.ground_truth, labelling)
                record.begin(self.output)
            labeller = self.labeller(vocabulary)
            knowing = share_cosines(labeller, self.source(labeller.clip), proposals, self.output, world)
            if knowing is None:
                return {}
            self.name_masks(knowing, proposals, bare)
            about = {"n_masks": len(proposals), "n_images_without_masks": len(bare), **labeller.facts()}
            about |= check_learnt(labeller.clip.config.training, {mask.image for mask in proposals})
            about |= {"adapter": None if self.zero_shot else self.adapter, "predictions": PREDICTIONS}
            resolved = self.resolved(labeller)
        record.begin(self.output)
        predictions = self.predictions or self.output / PREDICTIONS
        summary = report(
            predictions,
            self.ground_truth,
            names,
            self.protocol,
            self.output,
            labelling=labelling,
            novel=novel,
            about=about,
            seen=None if seen is None else seen.add,
            figure=self.report,
        )
        discard_parts(self.output)
        record.write(self.output, config=resolved)
        return summary

    def name_masks(self, labeller: Labeller, masks: Sequence[Segment], bare: Sequence[Bare]) -> None:
        """Names the masks, and writes their names and the fused maps, empty ones for pictures without masks."""
        from opendas_plugin.eval.masks import classify_masks, empty_entry, map_entries, predict_maps, write_names

        cosines, probabilities = classify_masks(labeller, masks)
        write_names(self.output / NAMES, masks, cosines, labeller.classes)
        maps = predict_maps(masks, probabilities)
        entries = [entry for name, classes in maps for entry in map_entries(name, classes)]
        write_json(self.output / PREDICTIONS, entries + [empty_entry(name, size) for name, size in bare])


def choose_labelling(run: Semantic, names: Sequence[str], stated: LabelValues | None) -> Labelling:
    """Which numbers mean which name: by the settings, else as the vocabulary states it, else by the names' order.

    Args:
        run: the settings.
        names: N class names.
        stated: the vocabulary's table.

    Raises:
        ConfigError: two statements differ, or nothing says what the numbers of predictions mean.
        MissingFileError, DataError: a table cannot be read, or does not fit the names.
    """
    labels = _label_table(run, names, stated)
    in_places = LabelValues.places(len(names))
    if run.masks is not None:
        predictions = in_places
    elif run.prediction_values is not None:
        predictions = labels if run.prediction_values == LABELS else _read(run.prediction_values, names)
    elif run.prediction_offset is not None or run.offset is not None or labels.of == in_places.of:
        first = run.prediction_offset or 0
        predictions = LabelValues.places(len(names), first, (0,) if first else ())
    else:
        name, own = next(one for one in zip(names, labels.of, strict=True) if one[1] != (names.index(one[0]),))
        raise ConfigError(
            f"the label value of {name!r} is {', '.join(map(str, own)) or 'none'} and its place {names.index(name)}: "
            f"say what the numbers of the predictions mean by `prediction_values` {LABELS}, {PLACES}, or a file"
        )
    return Labelling(
        _with_ignored(run, labels, names),
        predictions,
        labels_stated=run.label_values is not None or stated is not None,
        predictions_stated=run.masks is not None or run.prediction_values is not None,
    )


def _label_table(run: Semantic, names: Sequence[str], stated: LabelValues | None) -> LabelValues:
    if run.label_values is not None:
        return _read(run.label_values, names)
    table = LabelValues.places(len(names), run.offset or 0)
    if stated is None:
        if run.vocabulary is not None and run.offset is None:
            dataset = dataset_of(names)
            if dataset is not None:
                raise ConfigError(
                    f"{run.vocabulary} states no label values, and its names are those of {dataset}, whose label maps "
                    "have other numbers than the names' places; say which ones yours have by `label_values` "
                    f"{dataset} or {PLACES}"
                )
            logger.warning(
                "%s states no label values (of colours, by hand, or of an earlier version): the numbers "
                "in label maps are taken for the names' places, 0 to %d; prepare again, or give --label-values",
                run.vocabulary,
                len(names) - 1,
            )
        return table
    if run.offset is not None and table.of != stated.of:
        place = next(row for row in range(len(names)) if table.of[row] != stated.of[row])
        raise ConfigError(
            f"by {run.vocabulary} the label value of {names[place]!r} is {', '.join(map(str, stated.of[place]))}, by "
            f"`offset` it is {table.of[place][0]}; leave `offset` out, or state other numbers with `label_values`"
        )
    return stated


def _with_ignored(run: Semantic, labels: LabelValues, names: Sequence[str]) -> LabelValues:
    """The table with what is ignored by the settings, else by the table itself, else 255 where it is no class."""
    if run.ignore is None:
        return labels if labels.ignored or VOID in labels.place else replace(labels, ignored=(VOID,))
    dropped = [names[labels.place[value]] for value in run.ignore if value in labels.place]
    if dropped:
        logger.warning("the label values to ignore are those of %s: their pixels do not count", ", ".join(dropped))
    kept = tuple(tuple(value for value in own if value not in run.ignore) for own in labels.of)
    return LabelValues(kept, tuple(dict.fromkeys(run.ignore)))


def _read(source: str, names: Sequence[str]) -> LabelValues:
    return table_of(source, names) or read_table(source, names)


evaluate_semantic = function_of(Semantic, "evaluate_semantic")
