"""``train_prompts.py``: from a prepared domain to an adapter, with the scores before, between and after the stages."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from opendas_plugin import methods
from opendas_plugin.commands.common import Options, RunRecord, UsageError, parse, pick_device, run_command
from opendas_plugin.data.domain import Domain, load_domain
from opendas_plugin.data.loader import SegmentCrops
from opendas_plugin.data.manifest import write_manifest
from opendas_plugin.data.packed import PackedCrops
from opendas_plugin.errors import ConfigError, MissingFileError
from opendas_plugin.eval.calibration import choose_constant
from opendas_plugin.eval.report import compare_reports, evaluate_classification, format_table
from opendas_plugin.files import read_json
from opendas_plugin.methods import Tower
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import Interpolation
from opendas_plugin.negatives.database import NegativeDatabase
from opendas_plugin.runs.calibration import fold_domains, judge
from opendas_plugin.runs.meters import Stopwatch
from opendas_plugin.runs.training_data import crop_policy, learning_segments, related_names
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.distributed import World, join
from opendas_plugin.train.inputs import TrainingData
from opendas_plugin.train.recipe import read_recipe
from opendas_plugin.train.run import train
from opendas_plugin.train.state import fingerprint

PROGRAM = "opendas-train"
DEFAULT_RECIPE = "office"
BEFORE = "before"
METRICS = ("acc", "w_f1", "b_f1", "n_f1", "harmonic_f1", "macro_f1", "n_segments")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainPrompts(Options):
    """Learns an adapter and scores it. Flags override the recipe, and the recipe the defaults."""

    data: Path
    """Folder that prepare_data.py wrote."""
    output_dir: Path | None = None
    """Folder for the adapter, the log, the checkpoint and the scores; default: runs/ and the data's name."""
    recipe: str = DEFAULT_RECIPE
    """Recipe file, or the name of a built-in one: office or paper."""
    negatives: Path | None = None
    """File of related names; default: the office domain's own, or names found offline by the text tower."""
    proposals: Path | None = None
    """JSON of masks without classes (as of evaluate.py semantic) to learn from in place of the labelled ones; each gets
    the name of the labelled segment that it overlaps most."""
    proposal_images: Path | None = None
    """Folder that the pictures of --proposals lie in."""
    calibration_folds: int = 0
    """Learn how much base names are preferred by training this many times without some of them; 0: do not. The constant
    is stored in the adapter and used where evaluate.py --calibrate asks for it."""
    crop_cache: Path | None = None
    """Folder that keeps crops, ready for the model, so that later epochs and runs decode no picture; unused where crops
    are augmented. 3 bytes a pixel of each crop."""
    drop_novel: bool = False
    """Leave out related names that equal novel names; the result has then used evaluation names, and says so."""
    resume: bool = False
    """Go on with the run in the output folder; starts one where there is none."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N; with torchrun each process takes its own GPU."""
    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(train_prompts, argv)


def train_prompts(argv: Sequence[str]) -> None:
    """Trains and evaluates as the flags say, saves the adapter and prints the scores."""
    options = read_options(argv)
    record = RunRecord(PROGRAM, argv, options, seed=options.config.seed)
    output = options.output_dir or Path("runs") / options.data.resolve().name
    methods.get(options.config.method)
    domain = load_domain(options.data)
    if options.calibration_folds:
        fold_domains(domain, options.calibration_folds, options.config.seed)  # refused now rather than after training
    with join(pick_device(options.device)) as (world, device):
        if not world.writes:
            logging.getLogger("opendas_plugin").setLevel(logging.ERROR)
        scores = adapt(options, domain, output, world, device)
        if world.writes and options.calibration_folds:
            scores["after_calibrated"] = calibrate(options, domain, output, device)
        if world.writes:
            record.write(output)
            print(format_table(scores))
            print(f"adapter: {output / 'adapter'}   log: {output / 'log.jsonl'}   scores: {output / [*scores][-1]}")


def read_options(argv: Sequence[str]) -> TrainPrompts:
    """Reads the flags over the recipe and the method that they name.

    Raises:
        UsageError: the recipe, or a value, cannot be used.
    """
    first = argparse.ArgumentParser(prog=PROGRAM, add_help=False, allow_abbrev=False)
    first.add_argument("--recipe", default=DEFAULT_RECIPE)
    first.add_argument("--method", default=None)
    named = first.parse_known_args(list(argv))[0]
    try:
        config = read_recipe(named.recipe, named.method)
        default = TrainPrompts(data=tyro.MISSING, recipe=named.recipe, config=config)
        return parse(TrainPrompts, argv, prog=PROGRAM, default=default)
    except (ConfigError, MissingFileError) as error:
        raise UsageError(str(error)) from error


def adapt(
    options: TrainPrompts,
    domain: Domain,
    output: Path,
    world: World,
    device: torch.device,
    *,
    before: Path | None = None,
    watch: Stopwatch | None = None,
) -> dict[str, dict[str, Any]]:
    """Trains on a domain and saves the adapter.

    Args:
        options: of the command.
        domain: what to learn from, and what to score on.
        output: folder of the run.
        world: the processes that share the work.
        device: of this process.
        before: the report of the same backbone on the same segments, where there is one, to copy.
        watch: paused while scores are made.

    Returns:
        The evaluation's summaries by the folder in ``output`` that holds them: ``before``, ``after_visual`` and so on;
        empty in processes that do not write.
    """
    config, vocabulary = options.config, domain.vocabulary
    segments = learning_segments(options, domain)
    clip = OpenDASCLIP.from_backbone(
        config.backbone,
        config.pretrained,
        prompts=config.prompts,
        weights=config.weights,
        device=device,
        seed=config.backbone_seed,
        prompt_seed=config.seed,
    )
    if config.interpolation != Interpolation():
        clip.interpolate(config.interpolation.visual, config.interpolation.text)
    policy = crop_policy(config, clip)
    packed = None if options.crop_cache is None else PackedCrops(options.crop_cache, segments, policy)
    negatives = related_names(options, domain, clip)
    folders = score_folders(config.method)
    scores: dict[str, dict[str, Any]] = {}

    def evaluate(name: str, towers: tuple[Tower, ...]) -> None:
        """Scores the prompts of the towers; what a resumed run has scored before is read again."""
        if name == BEFORE and negatives is not None:
            negatives.save(output / "negatives.json")
        if name == BEFORE and segments is not domain.train:
            write_manifest(output / "segments.jsonl", segments)
        folder, about = output / folders[name], {"backbone": clip.backbone.title, "prompts": towers}
        if name == BEFORE and before is not None and not folder.exists():
            shutil.copytree(before, folder)
        if (folder / "summary.json").exists():
            scores[folders[name]] = read_json(folder / "summary.json")
            return
        disabled = {"visual": "visual" not in towers, "text": "text" not in towers}
        with watch.paused() if watch else contextlib.nullcontext(), clip.prompts_disabled(**disabled):
            scores[folders[name]] = evaluate_classification(
                clip, domain.val, vocabulary, policy, folder, workers=config.workers, about=about
            )

    train(
        clip,
        TrainingData(SegmentCrops(segments, policy, packed), vocabulary),
        config,
        output,
        negatives=negatives,
        resume=options.resume,
        facts={"validation data": fingerprint(domain.val, vocabulary)[:12], "drop_novel": options.drop_novel},
        milestone=evaluate,
        world=world,
    )
    if world.writes:
        clip.save_pretrained(
            output / "adapter",
            method=config.method,
            template=vocabulary.template,
            crop_policy=policy.to_dict(),
            base_names=vocabulary.base,
            training=training_summary(options, domain, len(segments), negatives, scores),
        )
        compare_reports(output / "f1_per_class.png", {folder: output / folder for folder in scores})
    return scores


def score_folders(method: str) -> dict[str, str]:
    """The folders of the scores by milestone: ``before``, ``after_<stage>`` and, for the last stage, ``after``."""
    stages = [stage.name for stage in methods.get(method).stages]
    return {BEFORE: BEFORE, **{name: f"after_{name}" for name in stages}, **dict.fromkeys(stages[-1:], "after")}


def calibrate(options: TrainPrompts, domain: Domain, output: Path, device: torch.device) -> dict[str, Any]:
    """Learns the preference for base names from folds of the training part, and stores it in the run's adapter.

    Returns:
        The summary of the validation segments scored with it, which lies in ``after_calibrated``.
    """
    held_out = []
    for number, fold in enumerate(fold_domains(domain, options.calibration_folds, options.config.seed)):
        folder = output / "folds" / str(number)
        logger.info(
            "fold %d of %d, without %s", number + 1, options.calibration_folds, ", ".join(fold.vocabulary.novel)
        )
        adapt(dataclasses.replace(options, resume=True), fold, folder, World(), device)
        held_out.append(judge(folder / "adapter", fold, device))
    constant = choose_constant(held_out)
    clip = OpenDASCLIP.from_pretrained(output / "adapter", device=device)
    about = {"folds": options.calibration_folds, "constant": constant}
    clip.save_pretrained(
        output / "adapter", calibration=constant, training={**clip.config.training, "calibration": about}
    )
    policy = crop_policy(options.config, clip)
    return evaluate_classification(
        clip,
        domain.val,
        domain.vocabulary,
        policy,
        output / "after_calibrated",
        workers=options.config.workers,
        calibrated=True,
        about={"backbone": clip.backbone.title, "prompts": ("visual", "text")},
    )


def training_summary(
    options: TrainPrompts,
    domain: Domain,
    segments: int,
    negatives: NegativeDatabase | None,
    scores: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """What the adapter says about how it was learnt."""
    config = options.config
    sources = {item.source for items in negatives.entries.values() for item in items} if negatives else set()
    return {
        "dataset": domain.info.get("name", options.data.resolve().name),
        "segments": segments,
        "recipe": options.recipe,
        "seed": config.seed,
        "epochs": {stage.name: getattr(config, stage.name).epochs for stage in methods.get(config.method).stages},
        "negatives": {
            "sources": sorted(sources),
            "equal_to_novel_names": negatives.leaks(domain.vocabulary) if negatives else {},
        },
        "used_evaluation_names": options.drop_novel,
        "metrics": {name: {key: summary[key] for key in METRICS} for name, summary in scores.items()},
    }
