"""``experiment``: 3D instances of the office domain, plain CLIP against adapters, on predicted and on oracle masks.

The masks come from ``opendas-prepare proposals --of clouds``. Everything but the CLIP is the same for all: masks,
pictures, regions in them (found by depth, :mod:`.surfaces`), crop policy, and the names that compete.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from integrations.openmask3d.settings import FeatureSettings
from opendas_plugin.commands.common import command_line, parse
from opendas_plugin.crops import CropPolicy
from opendas_plugin.errors import ConfigError, OpenDASError
from opendas_plugin.eval.instance_files import Classes, read_classes, read_names, read_truth
from opendas_plugin.files import require_writable, write_json, write_text
from opendas_plugin.model.config import PREFIX
from opendas_plugin.model.devices import pick_device
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import Run
from opendas_plugin.scenes.feature_source import FeatureSource
from opendas_plugin.scenes.folder import find_cloud, open_scene
from opendas_plugin.scenes.pointcloud import read_ply
from opendas_plugin.vocabulary import Vocabulary
from opendas_plugin.wording import counted

if TYPE_CHECKING:
    import torch

    from opendas_plugin.eval.instance_report import ScoredScene
    from opendas_plugin.eval.mask_names import NamedScenes
    from opendas_plugin.eval.oracle import OracleScores
    from opendas_plugin.model.adapted_clip import OpenDASCLIP


PROGRAM = "opendas-openmask3d"
SURFACES = ("wall", "floor", "ceiling")
KINDS = ("proposals", "oracle")
COLUMNS = {"ap": "AP", "ap50": "AP50", "ap25": "AP25"}
ORACLE_COLUMNS = {"acc": "Acc", "w_f1": "W-F1", "b_f1": "B-F1", "n_f1": "N-F1"}

logger = logging.getLogger("integrations.openmask3d")


@dataclass(frozen=True)
class Experiment(Run[str]):
    """Scores 3D instances of the office domain, plain CLIP against adapters, on predicted and on oracle masks."""

    _: KW_ONLY
    data: Path
    """Folder that opendas-prepare office wrote."""
    masks: Path
    """Folder that opendas-prepare proposals --of clouds wrote."""
    adapters: tuple[str, ...]
    """Adapters of one backbone and one crop policy, such as those of several seeds."""
    output: Path
    """Folder for features and reports, table.txt, summary.json and run.json; what is finished there is kept."""
    force: bool = False
    """Go on although the points do not fit the depth maps; `opendas-openmask3d check` shows what is wrong."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        if not self.adapters:
            raise ConfigError("give `adapters`, one folder or hub id or several")

    def work(self, record: RunRecord) -> str:
        """Computes the features and scores them; returns the table."""
        contestants, policy = load_contestants(self)
        scenes = read_names(self.masks / "scenes.txt")
        about = f"{counted(len(scenes), 'scene')} of {self.data}, masks of {self.masks}, {policy}"
        clips = {one.title: str(one) for one in contestants}
        legend = "\n".join([about, *(f"{title}: {clip}" for title, clip in clips.items())])
        logger.info("%s", legend)
        require_writable(self.output)
        for scene in tqdm(scenes, desc="features", unit="scene", disable=None):
            for kind in KINDS:
                with named(f"{scene}, {kind}"):
                    compute_features(self, scene, kind, contestants, policy)
        summaries = {
            contestant.title: {kind: score(self, scenes, kind, contestant) for kind in KINDS}
            for contestant in contestants
        }
        table = f"{legend}\n\n{format_summaries(summaries)}"
        write_json(
            self.output / "summary.json", {"crop": policy.to_dict(), "scenes": len(scenes), "clips": clips, **summaries}
        )
        write_text(self.output / "table.txt", table + "\n")
        record.write(self.output)
        return table


@dataclass(frozen=True, eq=False)
class Contestant:
    """A CLIP, and the folder of its features and reports."""

    title: str
    folder: Path
    clip: OpenDASCLIP
    source: FeatureSource
    template: str

    def __str__(self) -> str:
        backbone, adapter = self.clip.backbone.title, self.source.adapter
        return backbone if adapter is None else f"{adapter} ({self.clip.config.method}) on {backbone}"


@contextmanager
def named(what: str) -> Iterator[None]:
    """Says what an error is about.

    Raises:
        OpenDASError: as it comes, with ``what`` before it.
    """
    try:
        yield
    except OpenDASError as error:
        raise type(error)(f"{what}: {error}") from error


def experiment(argv: Sequence[str]) -> None:
    """Computes the features, scores them and prints the table."""
    prog = f"{PROGRAM} experiment"
    print(parse(Experiment, argv, prog=prog)(command_line(prog, argv)))


def load_contestants(options: Experiment) -> tuple[list[Contestant], CropPolicy]:
    """Loads the adapters and their backbone without one; returns the crop policy of all.

    Raises:
        ConfigError: adapters of several backbones, crop policies or templates.
    """
    from opendas_plugin.model.adapted_clip import OpenDASCLIP

    device = pick_device(options.device)
    first = OpenDASCLIP.from_pretrained(options.adapters[0], device=device)
    clips = [first]
    for adapter in options.adapters[1:]:
        require_comparable(adapter, options.adapters[0], first)
        clips.append(OpenDASCLIP.from_pretrained(adapter, backbone=first))
    plain, template = first.plain(), first.config.template
    source = FeatureSource(first.backbone.name, plain)
    found = [Contestant("plain CLIP", options.output / "plain", plain, source, template)]
    for number, (adapter, clip) in enumerate(zip(options.adapters, clips, strict=True), 1):
        source = FeatureSource(f"{PREFIX}{adapter.removeprefix(PREFIX)}", clip)
        found.append(Contestant(f"adapter {number}", options.output / f"adapter{number}", clip, source, template))
    return found, (first.config.crop_policy or CropPolicy()).at(first.image_size)


def require_comparable(adapter: str, other: str, clip: OpenDASCLIP) -> None:
    """Checks that an adapter has the backbone, crop policy and template of the one that ``clip`` has from ``other``.

    Raises:
        ConfigError: it has not.
    """
    from opendas_plugin.model.adapter import find_folder, read_config

    config = read_config(find_folder(adapter))
    for what in ("backbone_sha256", "crop_policy", "template"):
        if getattr(config, what) != getattr(clip.config, what):
            raise ConfigError(f"{adapter} has another {what} than {other}; compare like with like")


def compute_features(
    options: Experiment, scene: str, kind: str, contestants: Sequence[Contestant], policy: CropPolicy
) -> None:
    """Computes the features of a scene's masks for all CLIPs that lack them; their regions are found once."""
    from integrations.openmask3d.features import Extraction, PolicyCrops
    from integrations.openmask3d.surfaces import fill_regions
    from opendas_plugin.eval.mask_names import FEATURES, MASKS
    from opendas_plugin.scenes.feature_records import describe, scene_inputs
    from opendas_plugin.scenes.mask_arrays import read_masks
    from opendas_plugin.scenes.mask_features import finished_features, save_features
    from opendas_plugin.scenes.proposals3d import check_scene

    settings = FeatureSettings()
    folder = options.data / "scenes" / scene
    check_scene(options.data, scene, options.masks)
    points, _ = read_ply(find_cloud(folder))
    masks = read_masks(options.masks / kind / MASKS.format(scene))
    views = open_scene(folder)
    extraction = Extraction(views, points, masks, settings, force=options.force)
    inputs = scene_inputs(views, points)
    described = {
        contestant.title: describe(
            contestant.source, extraction.projector.masks, {"regions": "depth of every pixel", "crop": policy.to_dict()}
        )
        for contestant in contestants
    }
    path = {one.title: one.folder / kind / FEATURES.format(scene) for one in contestants}
    finished = {one.title: finished_features(path[one.title], described[one.title], inputs) for one in contestants}
    missing = [one for one in contestants if finished[one.title] is None]
    if not missing:
        return
    recorded = inputs.record()
    regions = list(fill_regions(extraction.projector, extraction.regions(None, np.random.RandomState(0))))
    for contestant in missing:

        def encode(pixels: torch.Tensor, clip: OpenDASCLIP = contestant.clip) -> torch.Tensor:
            return clip.encode_image(pixels.to(clip.logit_scale.device))

        found = extraction.features(regions, PolicyCrops(policy, contestant.clip.pixels), encode)
        save_features(path[contestant.title], found, {**described[contestant.title], "inputs": recorded})


def score(options: Experiment, scenes: Sequence[str], kind: str, contestant: Contestant) -> dict[str, Any]:
    """Scores one CLIP's masks: ScanNet's AP of all classes but walls, floors and ceilings, and oracle names."""
    from opendas_plugin.eval.instance_report import evaluate_instances
    from opendas_plugin.eval.mask_names import NamedScenes
    from opendas_plugin.eval.oracle import OracleScores

    classes = read_classes(options.data / "classes.txt", "scannet")
    scored = classes.only([name for name in classes.names if name not in SURFACES])
    novel = Vocabulary.load(options.data / "vocabulary.json").novel
    clip = contestant.clip
    texts = Vocabulary(classes.names, template=contestant.template).texts()
    classifier, folder = clip.classifier(clip.tokenize(texts)), contestant.folder / kind
    names = NamedScenes(options.masks / kind, folder, contestant.source, classifier, classes)
    oracle = OracleScores(classes, novel) if kind == "oracle" else None
    summary = evaluate_instances(
        _scenes(options, scenes, names, classes, oracle),
        scored,
        folder,
        protocol="scannet",
        novel=novel,
        about={"adapter": contestant.source.adapter, "masks": kind, "template": contestant.template},
        oracle=oracle,
    )
    names.write_predictions(folder)
    return summary


def format_summaries(summaries: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The table: a row for plain CLIP, one for each adapter, and the adapters' mean and spread where there are several.

    Args:
        summaries: CLIP -> kind of masks -> summary.
    """
    from opendas_plugin.eval.report import align

    header = ["", *(f"{kind} {title}" for kind in KINDS for title in COLUMNS.values()), *ORACLE_COLUMNS.values()]
    values = {title: _figures(summary) for title, summary in summaries.items()}
    rows = [[title, *(f"{value:.1f}" for value in found)] for title, found in values.items()]
    adapted = np.array(list(values.values())[1:])
    if len(adapted) > 1:
        spread = zip(adapted.mean(axis=0), adapted.std(axis=0, ddof=1), strict=True)
        rows.append(
            [counted(len(adapted), "adapter"), *(f"{mean:.1f} ± {deviation:.1f}" for mean, deviation in spread)]
        )
    return align([header, *rows])


def _figures(summary: Mapping[str, Mapping[str, Any]]) -> NDArray[np.float64]:
    found = [summary[kind][key] for kind in KINDS for key in COLUMNS]
    found += [summary["oracle"]["oracle"][key] for key in ORACLE_COLUMNS]
    return np.array([np.nan if value is None else value for value in found], dtype=np.float64)


def _scenes(
    options: Experiment, scenes: Sequence[str], names: NamedScenes, classes: Classes, oracle: OracleScores | None
) -> Iterator[ScoredScene]:
    from opendas_plugin.eval.instance_report import ScoredScene

    for scene in scenes:
        with named(f"{names.source}, {scene}"):
            truth = read_truth(options.data / "ground_truth" / f"{scene}.txt")
            masks = names.read(scene, len(truth))
            if oracle is not None:
                oracle.add(masks, truth)
        yield ScoredScene(scene, truth, masks.instances(classes.ids))
