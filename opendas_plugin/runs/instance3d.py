"""Scores predicted 3D instances against ground truth, as ScanNet and ScanNet++ score them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from opendas_plugin.errors import ConfigError, MissingFileError
from opendas_plugin.eval.instance_files import (
    Classes,
    Protocol,
    check_truth,
    read_classes,
    read_kept,
    read_names,
    read_predictions,
    read_truth,
)
from opendas_plugin.runs.classification import PLAIN_CLIP, mark_base
from opendas_plugin.runs.models import CROPS, ModelRun
from opendas_plugin.runs.other_pages import instance_page
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reporting import ReportedRun, call_of, save_page
from opendas_plugin.runs.run import function_of
from opendas_plugin.vocabulary import Vocabulary

if TYPE_CHECKING:
    from opendas_plugin.classifier import TextClassifier
    from opendas_plugin.eval.instance_report import ScoredScene
    from opendas_plugin.eval.mask_names import NamedScenes
    from opendas_plugin.eval.oracle import OracleScores


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Instance3d(ModelRun[dict[str, Any]], ReportedRun[dict[str, Any]]):
    """Scores predicted 3D instances: AP, AP50, AP25, recall, per class, and of the masks whatever their class.

    With features the masks are OpenMask3D's, without classes, and are named first (zero-shot without an adapter). The
    result is what summary.json holds.
    """

    _: KW_ONLY
    predictions: Path
    """Folder with <scene>.txt files of lines "mask_file class_id score"; with features, with <scene>_masks.pt."""
    ground_truth: Path
    """Folder with <scene>.txt files of class * 1000 + instance, one a point."""
    protocol: Protocol
    """scannet: mask files hold 0 or 1 a line. scannetpp: run-length JSON, mesh masks, class ids from its list."""
    classes: Path
    """scannet: lines "id name". scannetpp: its top100.txt, a name a line, numbered from 0."""
    output: Path
    """Folder for summary.json, per_class.csv, per_class.png and run.json; with features, predictions.jsonl."""
    instance_classes: Path | None = None
    """Names that are scored, one a line, such as top100_instance.txt; default: all. Points of others are void."""
    mesh_masks: Path | None = None
    """Folder with the vertices to leave out: <scene>.txt, or <scene>/scans/mesh_aligned_0.05_mask.txt."""
    scenes: Path | None = None
    """Names of the scenes to score, one a line; default: all that the ground truth has."""
    vocabulary: Path | None = None
    """vocabulary.json of the training, for scores of base and novel classes. Names that it does not have were not
    trained, and count as novel."""
    void: tuple[int, ...] = ()
    """Class ids of the ground truth that are not in the class list and do not count."""
    features: Path | None = None
    """Folder with <scene>_openmask3d_features.npy, of the same CLIP: name the masks by all classes."""
    beside: Path | None = None
    """Folder of another evaluation of the same scenes, such as plain CLIP's, to set beside this one on the page."""
    oracle: bool = False
    """The masks are the ground truth's own: score their names as well, Acc, W-F1, B-F1, N-F1."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        if self.oracle and self.features is None:
            raise ConfigError("`oracle` needs `features`")
        if (self.protocol == "scannetpp") != (self.mesh_masks is not None):
            raise ConfigError("`mesh_masks` goes with the protocol scannetpp, which needs it, and with no other")
        super().check()

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        alone = {} if self.report else {"beside": "without `report`"}
        if self.features is not None:
            return {
                **super().unused(),
                **alone,
                **dict.fromkeys((*CROPS, "batch_size", "zero_shot"), "on `features`, which are there"),
            }
        model = {field.name for field in fields(ModelRun)} - {"device", "workers"}
        return {**dict.fromkeys(sorted(model), "without `features`"), **alone}

    def work(self, record: RunRecord) -> dict[str, Any]:
        """Evaluates, writes the report and returns its summary."""
        from opendas_plugin.classifier import TextClassifier
        from opendas_plugin.eval.instance_report import evaluate_instances
        from opendas_plugin.eval.oracle import OracleScores

        if self.features is not None:
            self.say(self.backbone_seed)
        classes = read_classes(self.classes, self.protocol)
        scored = classes if self.instance_classes is None else classes.only(read_names(self.instance_classes))
        self.check_classes(classes, scored)
        scenes, novel = self.scene_names(), novel_names(classes, self.vocabulary)
        named, resolved, about = None, self, dict[str, Any]()
        if self.features is not None:
            text = TextClassifier(self.clip(self.backbone_seed), self.names(classes), self.template)
            named, resolved = self.named_scenes(text, self.features, classes), self.resolved_model(text)
            about = {"backbone": text.clip.backbone.title, "adapter": self.adapter, "template": resolved.template}
        oracle = OracleScores(classes, novel) if self.oracle else None
        record.begin(self.output)
        summary = evaluate_instances(
            self.read_scenes(scenes, classes, named, oracle),
            scored,
            self.output,
            protocol=self.protocol,
            novel=novel,
            about=about,
            oracle=oracle,
            figure=self.report,
        )
        if named is not None:
            named.write_predictions(self.output)
        record.write(self.output, config=resolved)
        if self.report:
            title = "predictions" if self.features is None else self.adapter or PLAIN_CLIP
            paths = [(key, getattr(self, key)) for key in ("ground_truth", "predictions", "features", "classes")]
            told, call = [*about.items(), *paths], call_of("opendas.runs.evaluate_instance3d", self)
            save_page(lambda: instance_page(record, self.output, title, self.beside, told, call), self.output)
        return summary

    def check_classes(self, classes: Classes, scored: Classes) -> None:
        """Looks whether every scored class can be scored, and void ones are not in the list.

        Raises:
            ConfigError: they are not.
        """
        both = sorted(set(self.void) & set(classes.ids))
        if both:
            raise ConfigError(f"`void` and `classes` both have the class id {both[0]}; leave it out of `void`")
        if 0 not in scored.ids:
            return
        first = scored.names[scored.ids.index(0)]
        if self.protocol == "scannet":
            raise ConfigError(
                f"{self.classes} gives {first!r} the class id 0, but in ScanNet's ground truth numbers below 1000 are "
                "groups; number the classes from 1, or leave it out of `instance_classes`"
            )
        logger.warning(
            "%r is class 0: numbers 1 to 999 of the ground truth are scored as its instances; ScanNet++'s toolbox "
            "takes them for groups and never scores them; its lists score no class 0 (give top100_instance.txt)",
            first,
        )

    def names(self, classes: Classes) -> Vocabulary:
        """The classes' names, with the template of the vocabulary file, if there is one."""
        if self.vocabulary is None:
            return Vocabulary(classes.names)
        return Vocabulary(classes.names, template=Vocabulary.load(self.vocabulary).template)

    def named_scenes(self, text: TextClassifier, features: Path, classes: Classes) -> NamedScenes:
        """What names the scenes' masks by their features."""
        from opendas_plugin.eval.mask_names import NamedScenes

        return NamedScenes(self.predictions, features, self.source(text.clip), text.cosines, classes)

    def scene_names(self) -> tuple[str, ...]:
        """The scenes to score, each with ground truth and predictions.

        Raises:
            MissingFileError: there is no ground truth, or a scene lacks its file on one side.
        """
        from opendas_plugin.eval.mask_names import MASKS

        if self.scenes is not None:
            scenes = read_names(self.scenes)
        else:
            scenes = tuple(sorted(path.stem for path in self.ground_truth.glob("*.txt")))
        if not scenes:
            raise MissingFileError(f"{self.ground_truth} has no <scene>.txt; check the path")
        prediction = "{}.txt" if self.features is None else MASKS
        for folder, file in ((self.ground_truth, "{}.txt"), (self.predictions, prediction)):
            missing = [scene for scene in scenes if not (folder / file.format(scene)).is_file()]
            if missing:
                raise MissingFileError(
                    f"{folder} has no {file.format(missing[0])} ({len(missing)} of {len(scenes)} scenes missing); "
                    "add it, or name the scenes to score with `scenes`"
                )
        return scenes

    def read_scenes(
        self, names: Sequence[str], classes: Classes, named: NamedScenes | None, oracle: OracleScores | None
    ) -> Iterator[ScoredScene]:
        """Reads the scenes, one when its turn comes."""
        from opendas_plugin.eval.instance_report import ScoredScene

        for name in tqdm(names, desc="score", unit="scene", disable=None):
            truth = read_truth(self.ground_truth / f"{name}.txt")
            check_truth(self.ground_truth / f"{name}.txt", truth, {*classes.ids, *self.void})
            kept = None
            if self.mesh_masks is not None:
                flat = self.mesh_masks / f"{name}.txt"
                release = self.mesh_masks / name / "scans" / "mesh_aligned_0.05_mask.txt"
                kept = read_kept(flat if flat.exists() else release, len(truth))
            if named is None:
                found = read_predictions(self.predictions, name, len(truth), self.protocol, classes.ids)
                yield ScoredScene(name, truth, found, kept)
                continue
            masks = named.read(name, len(truth))
            if oracle is not None:
                oracle.add(masks, truth)
            yield ScoredScene(name, truth, masks.instances(named.classes.ids), kept)


evaluate_instance3d = function_of(Instance3d, "evaluate_instance3d")


def novel_names(classes: Classes, vocabulary: Path | None) -> tuple[str, ...]:
    """Those of the classes' names that were not trained, by the vocabulary file of the training.

    Raises:
        MissingFileError, DataError: it is no vocabulary, or trained none of the names.
    """
    return () if vocabulary is None else mark_base(Vocabulary(classes.names), vocabulary).novel
