"""``evaluate.py instance3d``: predicted 3D instances against ground truth, as ScanNet and ScanNet++ score them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from opendas_plugin.commands.common import Options, UsageError, open_output
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
from opendas_plugin.vocabulary import Vocabulary, fold_name


@dataclass(frozen=True, kw_only=True)
class Instance3d(Options):
    """Scores predicted 3D instances: AP, AP50, AP25, recall, per class, and of the masks whatever their class."""

    predictions: Path
    """Folder with <scene>.txt files of lines "mask_file class_id score"."""
    ground_truth: Path
    """Folder with <scene>.txt files of class * 1000 + instance, one a point."""
    protocol: Protocol
    """scannet: mask files hold 0 or 1 a line. scannetpp: run-length JSON, mesh masks, class ids from its list."""
    classes: Path
    """scannet: lines "id name". scannetpp: its top100.txt, a name a line, numbered from 0."""
    output: Path
    """Folder for summary.json, per_class.csv and run.json."""
    instance_classes: Path | None = None
    """Names that are scored, one a line, such as top100_instance.txt; default: all. Points of others are void."""
    mesh_masks: Path | None = None
    """Folder with the vertices to leave out: <scene>.txt, or <scene>/scans/mesh_aligned_0.05_mask.txt."""
    scenes: Path | None = None
    """Names of the scenes to score, one a line; default: all that the ground truth has."""
    vocabulary: Path | None = None
    """vocabulary.json that says which names are novel, for scores of base and novel classes."""


def instance3d(options: Instance3d) -> Instance3d:
    """Evaluates as ``options`` say, writes the report and prints the scores; returns the options."""
    classes = scored_classes(options)
    scenes = scene_names(options)
    novel = novel_names(classes, options.vocabulary)
    open_output(options.output)
    summary = evaluate_instances(
        read_scenes(options, scenes), classes, options.output, protocol=options.protocol, novel=novel
    )
    print(format_instance_table({options.protocol: summary}))
    return options


def scored_classes(options: Instance3d) -> Classes:
    """The classes of the list that are to be scored."""
    classes = read_classes(options.classes, options.protocol)
    return classes if options.instance_classes is None else classes.only(read_names(options.instance_classes))


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
    for folder in (options.ground_truth, options.predictions):
        missing = [scene for scene in scenes if not (folder / f"{scene}.txt").is_file()]
        if missing:
            raise MissingFileError(
                f"{folder} has no {missing[0]}.txt ({len(missing)} of {len(scenes)} scenes missing); "
                "add it, or name the scenes to score with --scenes"
            )
    return scenes


def read_scenes(options: Instance3d, names: Sequence[str]) -> Iterator[Scene]:
    """Reads the scenes, one when its turn comes."""
    for name in tqdm(names, desc="score", unit="scene", disable=None):
        truth = read_truth(options.ground_truth / f"{name}.txt")
        kept = None
        if options.mesh_masks is not None:
            flat = options.mesh_masks / f"{name}.txt"
            release = options.mesh_masks / name / "scans" / "mesh_aligned_0.05_mask.txt"
            kept = read_kept(flat if flat.exists() else release, len(truth))
        yield Scene(name, truth, read_predictions(options.predictions, name, len(truth), options.protocol), kept)
