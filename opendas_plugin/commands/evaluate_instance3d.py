"""``evaluate.py instance3d``: predicted 3D instances against ground truth, as ScanNet and ScanNet++ score them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from opendas_plugin.commands.backbones import ModelOptions, load_clip
from opendas_plugin.commands.common import UsageError, open_output, pick_device
from opendas_plugin.errors import MissingFileError
from opendas_plugin.eval.instance_files import (
    Classes,
    Protocol,
    read_classes,
    read_kept,
    read_names,
    read_predictions,
    read_truth,
)
from opendas_plugin.eval.instance_report import Scene, evaluate_instances, format_instance_table
from opendas_plugin.eval.mask_names import MASKS, NamedScenes
from opendas_plugin.eval.oracle import OracleScores, format_oracle
from opendas_plugin.scenes.mask_features import PREFIX, FeatureSource
from opendas_plugin.vocabulary import Vocabulary, fold_name


@dataclass(frozen=True, kw_only=True)
class Instance3d(ModelOptions):
    """Scores predicted 3D instances: AP, AP50, AP25, recall, per class, and of the masks whatever their class.

    With --features the masks are OpenMask3D's, without classes, and are named first (zero-shot without --adapter).
    """

    predictions: Path
    """Folder with <scene>.txt files of lines "mask_file class_id score"; with --features, with <scene>_masks.pt."""
    ground_truth: Path
    """Folder with <scene>.txt files of class * 1000 + instance, one a point."""
    protocol: Protocol
    """scannet: mask files hold 0 or 1 a line. scannetpp: run-length JSON, mesh masks, class ids from its list."""
    classes: Path
    """scannet: lines "id name". scannetpp: its top100.txt, a name a line, numbered from 0."""
    output: Path
    """Folder for summary.json, per_class.csv, per_class.png and run.json; with --features, predictions.jsonl."""
    instance_classes: Path | None = None
    """Names that are scored, one a line, such as top100_instance.txt; default: all. Points of others are void."""
    mesh_masks: Path | None = None
    """Folder with the vertices to leave out: <scene>.txt, or <scene>/scans/mesh_aligned_0.05_mask.txt."""
    scenes: Path | None = None
    """Names of the scenes to score, one a line; default: all that the ground truth has."""
    vocabulary: Path | None = None
    """vocabulary.json that says which names are novel, for scores of base and novel classes."""
    features: Path | None = None
    """Folder with <scene>_openmask3d_features.npy, of the same CLIP: name the masks by all --classes."""
    oracle: bool = False
    """The masks are the ground truth's own: score their names as well, Acc, W-F1, B-F1, N-F1."""


def instance3d(options: Instance3d) -> Instance3d:
    """Evaluates as ``options`` say, writes the report and prints the scores.

    Returns:
        The options with what was left open filled in.
    """
    if options.oracle and options.features is None:
        raise UsageError("--oracle needs --features")
    classes = read_classes(options.classes, options.protocol)
    scored = classes if options.instance_classes is None else classes.only(read_names(options.instance_classes))
    scenes = scene_names(options)
    novel = novel_names(classes, options.vocabulary)
    named: NamedScenes | None = None
    oracle: OracleScores | None = None
    about: dict[str, Any] = {}
    if options.features is not None:
        options, named, about = load_names(options, options.features, classes)
        oracle = OracleScores(classes, novel) if options.oracle else None
    open_output(options.output)
    read = read_scenes(options, scenes, named, oracle)
    summary = evaluate_instances(
        read, scored, options.output, protocol=options.protocol, novel=novel, about=about, oracle=oracle
    )
    if named is not None:
        named.write_predictions(options.output)
    row = str(options.protocol) if named is None else "adapted" if options.adapter else "zero-shot"
    print(format_instance_table({row: summary}))
    if oracle is not None:
        print(format_oracle({row: summary}))
    return options


def load_names(options: Instance3d, features: Path, classes: Classes) -> tuple[Instance3d, NamedScenes, dict[str, Any]]:
    """Encodes the classes' names; returns the resolved options, what names masks, and facts for the summary."""
    device = pick_device(options.device)
    clip = load_clip(options, device)
    template = options.template or clip.config.template
    vocabulary = Vocabulary(classes.names, template=template)
    source = FeatureSource(f"{PREFIX}{options.adapter}" if options.adapter else clip.backbone.name, clip)
    classifier = clip.classifier(clip.tokenize(vocabulary.texts()))
    resolved = replace(
        options,
        backbone=clip.backbone.name,
        pretrained=clip.backbone.pretrained,
        backbone_seed=clip.backbone.seed or 0,
        template=template,
        device=str(device),
    )
    about = {"backbone": clip.backbone.title, "adapter": options.adapter, "template": template}
    return resolved, NamedScenes(options.predictions, features, source, classifier, classes), about


def novel_names(classes: Classes, vocabulary: Path | None) -> tuple[str, ...]:
    """Those of the classes' names that are novel in the vocabulary file."""
    if vocabulary is None:
        return ()
    novel = {fold_name(name) for name in Vocabulary.load(vocabulary).novel}
    return tuple(name for name in classes.names if fold_name(name) in novel)


def scene_names(options: Instance3d) -> tuple[str, ...]:
    """The scenes to score, each with ground truth and predictions.

    Raises:
        UsageError: mesh masks for a protocol that has none, or none for one that does.
        MissingFileError: there is no ground truth, or a scene lacks its file on one side.
    """
    if (options.protocol == "scannetpp") != (options.mesh_masks is not None):
        raise UsageError("--mesh-masks goes with --protocol scannetpp, which needs it, and with no other")
    if options.scenes is not None:
        scenes = read_names(options.scenes)
    else:
        scenes = tuple(sorted(path.stem for path in options.ground_truth.glob("*.txt")))
    if not scenes:
        raise MissingFileError(f"{options.ground_truth} has no <scene>.txt; check the path")
    prediction = "{}.txt" if options.features is None else MASKS
    for folder, file in ((options.ground_truth, "{}.txt"), (options.predictions, prediction)):
        missing = [scene for scene in scenes if not (folder / file.format(scene)).is_file()]
        if missing:
            raise MissingFileError(
                f"{folder} has no {file.format(missing[0])} ({len(missing)} of {len(scenes)} scenes missing); "
                "add it, or name the scenes to score with --scenes"
            )
    return scenes


def read_scenes(
    options: Instance3d, names: Sequence[str], named: NamedScenes | None, oracle: OracleScores | None
) -> Iterator[Scene]:
    """Reads the scenes, one when its turn comes."""
    for name in tqdm(names, desc="score", unit="scene", disable=None):
        truth = read_truth(options.ground_truth / f"{name}.txt")
        kept = None
        if options.mesh_masks is not None:
            flat = options.mesh_masks / f"{name}.txt"
            release = options.mesh_masks / name / "scans" / "mesh_aligned_0.05_mask.txt"
            kept = read_kept(flat if flat.exists() else release, len(truth))
        if named is None:
            yield Scene(name, truth, read_predictions(options.predictions, name, len(truth), options.protocol), kept)
            continue
        masks = named.read(name, len(truth))
        if oracle is not None:
            oracle.add(masks, truth)
        yield Scene(name, truth, masks.instances(named.classes.ids), kept)
