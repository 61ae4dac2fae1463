"""One training on one domain: the adapter, and the scores before, between and after its stages."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from opendas_plugin import methods
from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import Domain, mark_unseen
from opendas_plugin.data.learnt_pictures import learnt_pictures, picture_digests
from opendas_plugin.data.loader import SegmentCrops
from opendas_plugin.data.manifest import read_manifest, write_manifest
from opendas_plugin.data.packed import PackedCrops
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.crop_choice import CropChoice, choose_crops
from opendas_plugin.eval.learnt import PICTURES
from opendas_plugin.eval.report import compare_reports, evaluate_classification
from opendas_plugin.files import read_json, write_json
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import Interpolation
from opendas_plugin.model.tower import TowerName
from opendas_plugin.negatives.database import NegativeDatabase
from opendas_plugin.runs.meters import Stopwatch
from opendas_plugin.runs.record import plain
from opendas_plugin.runs.remembering import Remembered, RememberingLabeller
from opendas_plugin.runs.sources import learning_segments, mines_in_related_names, related_names, training_inputs
from opendas_plugin.runs.starts import learnt_before, start_from, ways_of
from opendas_plugin.runs.training_run import TrainingRun
from opendas_plugin.stamps import Inputs
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.distributed import World
from opendas_plugin.train.inputs import TrainingData
from opendas_plugin.train.run import CACHE, LOG, require_empty, train
from opendas_plugin.train.state import fingerprint
from opendas_plugin.train.trackers import Trackers
from opendas_plugin.wording import counted

BEFORE = "before"
START = "start"
"""The folder of the scores of the adapter that a training goes on from."""
INPUTS = "inputs.json"
"""The stamps of what a run began with."""
CHOICE = "crops.json"
"""Which crops were chosen, where they were."""
METRICS = ("acc", "w_f1", "b_f1", "n_f1", "harmonic_f1", "macro_f1", "n_segments")

logger = logging.getLogger(__name__)


class Training:
    """Learns an adapter on a domain, scores it, and saves it.

    Args:
        run: what it is told.
        domain: what to learn from, and what to score on.
        output: folder for the adapter, the log and the scores.
        device: of this process.
        world: the processes that share the work.
        before: the report of the same backbone on the same segments, where there is one, to copy.
        watch: paused while scores are made.
        figures: draw figures of the scores, which many runs of a comparison would spend a fifth of their time on.
        reached: called by the writing process after the scores of each milestone, and at the end.

    Raises:
        OpenDASError: the data, the recipe or the backbone cannot be used.
    """

    def __init__(
        self,
        run: TrainingRun[Any],
        domain: Domain,
        output: Path,
        device: torch.device,
        *,
        world: World | None = None,
        before: Path | None = None,
        watch: Stopwatch | None = None,
        figures: bool = True,
        reached: Callable[[Training], None] | None = None,
    ) -> None:
        self.run, self.output, self.config = run, output, run.config
        self.world, self.before, self.watch = world or World(), before, watch
        title = f"{run.data.resolve().name}-{run.config.method}-seed{run.config.seed}"
        self.trackers = Trackers(run.log_to, output, title, plain(run.config), output / LOG)
        self.figures, self.reached, self.begun = figures, reached, False
        self.memory = Remembered()
        self.scores: dict[str, dict[str, Any]] = {}
        self.segments = learning_segments(domain, run.config, run.proposals, run.proposal_images)
        self.domain = dataclasses.replace(domain, vocabulary=mark_unseen(domain.vocabulary, self.segments))
        if unseen := [name for name in self.domain.vocabulary.novel if name in domain.vocabulary.base]:
            one, many = "name has nothing to learn from and counts", "names have nothing to learn from and count"
            logger.warning("%s as novel: %s", counted(len(unseen), one, many), ", ".join(unseen))
        self.clip = self._build_clip(device)
        self.unlabelled = None if run.unlabelled is None else read_manifest(run.unlabelled)
        self.negatives: NegativeDatabase | None = None
        if mines_in_related_names(run.config):
            self.negatives = related_names(self.domain, self.clip, run.negatives, drop_novel=run.drop_novel)

    def __call__(self) -> dict[str, dict[str, Any]]:
        """Trains and saves the adapter.

        Returns:
            The evaluation's summaries by the folder in ``output`` that holds them: ``before``, ``after_visual`` and so
            on; empty in processes that do not write.
        """
        self.world.broadcast(self._check_inputs)
        crops = self.crops  # chosen now, in all processes
        packed = None
        if self.run.crop_cache is not None and self.config.augmentation.kind == "none":
            packed = PackedCrops(self.run.crop_cache, self.segments, crops, self.clip.pixels)
        train(
            self.clip,
            TrainingData(
                SegmentCrops(self.segments, crops, packed, self.clip.pixels),
                self.domain.vocabulary,
                None if self.unlabelled is None else SegmentCrops(self.unlabelled, crops, pixels=self.clip.pixels),
            ),
            self.config,
            self.output,
            negatives=self.negatives,
            resume=self.run.resume,
            facts=self._facts(),
            milestone=self._reach,
            world=self.world,
            trackers=self.trackers,
        )
        self.trackers.close()
        if self.world.writes:
            self.clip.save_pretrained(
                self.output / "adapter",
                method=self.config.method,
                template=self.domain.vocabulary.template,
                crop_policy=crops,
                base_names=self.domain.vocabulary.base,
                training=self._summary(),
            )
            if self.figures:
                compare_reports(self.output / "f1_per_class.png", {name: self.output / name for name in self.scores})
        return self.scores

    @cached_property
    def inputs(self) -> Inputs:
        """The files that decide over the result, beside what a checkpoint knows by its own hashes."""
        return training_inputs(self.domain, self.learnt_from, self.run.start)

    @property
    def learnt_from(self) -> list[Segment]:
        """All segments that something is learnt from."""
        return [*self.segments, *(self.unlabelled or ())]

    @cached_property
    def crops(self) -> CropPolicy:
        """How segments become inputs."""
        return (self.choice.chosen if self.choice else self.config.crops).at(self.clip.image_size)

    @cached_property
    def choice(self) -> CropChoice | None:
        """The crops that were chosen, a resumed run's as they were; None where the recipe names them."""
        return self.world.broadcast(self._choose_crops) if self.config.auto_crops else None

    @property
    def resolved(self) -> TrainConfig:
        """The recipe with the crops that were chosen."""
        return dataclasses.replace(self.config, crops=self.crops)

    def _choose_crops(self) -> CropChoice:
        path = self.output / CHOICE
        if self.run.resume and path.exists():
            return CropChoice.read(path)
        return choose_crops(self.clip, self.segments, self.domain.vocabulary, workers=self.config.workers)

    def _build_clip(self, device: torch.device) -> OpenDASCLIP:
        config = self.config
        clip = build_clip(config, device)
        if config.interpolation != Interpolation():
            clip.interpolate(config.interpolation.visual, config.interpolation.text)
        vocabulary = self.domain.vocabulary  # what could not be stored is refused before hours of work
        dataclasses.replace(clip.config, template=vocabulary.template, base_names=vocabulary.base)
        if self.run.start is not None:
            start_from(clip, self.run.start)
        return clip

    def _reach(self, milestone: str, towers: tuple[TowerName, ...]) -> None:
        """Scores what the towers have learnt; what a resumed run has scored before is read again."""
        name = score_folders(self.config.method)[milestone]
        self.begun = True
        if milestone == BEFORE:
            self._write_sources()
            self._look_for_copies()
            if self.before is not None and not (self.output / name).exists():
                shutil.copytree(self.before, self.output / name)
        self._score(name, towers)
        if milestone == BEFORE and self.run.start is not None:
            self._score(START, ("visual", "text"))
        self.trackers.scores(milestone, self.scores[name], METRICS)
        if self.reached is not None:
            with self.watch.paused() if self.watch else contextlib.nullcontext():
                self.reached(self)

    def _score(self, name: str, towers: tuple[TowerName, ...]) -> None:
        folder = self.output / name
        if (folder / "summary.json").exists():
            self.scores[name] = read_json(folder / "summary.json")
            return
        disabled = {"visual": "visual" not in towers, "text": "text" not in towers}
        vocabulary = self.domain.vocabulary
        with self.watch.paused() if self.watch else contextlib.nullcontext(), self.clip.prompts_disabled(**disabled):
            template, crops = vocabulary.template, self.crops
            if name == START and self.run.start is not None:  # as it was trained
                template, crops = ways_of(self.run.start, crops)
            labeller = RememberingLabeller(
                self.clip,
                vocabulary,
                template=template,
                crops=crops,
                workers=self.config.workers,
                crop_cache=self.run.crop_cache,
            )
            labeller.memory = self.memory
            about = {"prompts": list(towers)}
            self.scores[name] = evaluate_classification(
                labeller, self.domain.val, vocabulary, folder, about=about, figure=self.figures
            )

    def _check_inputs(self) -> None:
        """Looks whether the pictures and the adapter to start from are those that the run in the folder began with.

        Raises:
            ConfigError: one of them has changed, or there is a run and it is not to go on.
        """
        path = self.output / INPUTS
        if not self.run.resume:
            require_empty(self.output)
        if not self.run.resume or not (path.exists() or (self.output / BEFORE).exists()):
            return
        if not path.exists():
            logger.warning("%s does not say which pictures it was learnt from: they are taken as the same", self.output)
        elif difference := self.inputs.difference(read_json(path, "choose another output folder")):
            raise ConfigError(
                f"cannot go on with the run in {self.output}: {difference} since it began; set it back or choose "
                "another output folder"
            )

    def _write_sources(self) -> None:
        if not (self.output / INPUTS).exists():
            write_json(self.output / INPUTS, self.inputs.record())
        if self.choice is not None:
            write_json(self.output / CHOICE, self.choice.record())
        if self.negatives is not None:
            self.negatives.save(self.output / "negatives.json")
        if self.segments is not self.domain.train:
            write_manifest(self.output / "segments.jsonl", self.segments)

    @cached_property
    def pictures(self) -> list[str]:
        """Digests of the pictures that the adapter learns from, and of those that the one to start from did."""
        before = [] if self.run.start is None else learnt_before(self.run.start)
        return picture_digests({segment.image for segment in self.learnt_from}, before)

    def _look_for_copies(self) -> None:
        """Warns where what is judged has the very pictures that are learnt from, under whichever name."""
        copies, _ = learnt_pictures(self.pictures, {segment.image for segment in self.domain.val})
        if copies:
            logger.warning(
                "%s been learnt from, %s first: the scores flatter the adapter",
                "1 validation picture has" if len(copies) == 1 else f"{len(copies)} validation pictures have",
                copies[0],
            )

    def _facts(self) -> dict[str, Any]:
        """What a resumed run must have in common with the first one, beside its recipe."""
        facts = {
            "validation data": fingerprint(self.domain.val, self.domain.vocabulary)[:12],
            "drop_novel": self.run.drop_novel,
        }
        return facts if self.run.start is None else {**facts, "start": self.run.start}

    def _uses_novel_names(self) -> bool:
        looks = bool(self.domain.vocabulary.novel) and not all(s.labels for s in methods.get(self.config.method).stages)
        return self.run.drop_novel or bool(self.config.hold.weight and self.config.hold.novel) or looks

    def _summary(self) -> dict[str, Any]:
        """What the adapter says about how it was learnt."""
        config, negatives = self.config, self.negatives
        sources = {item.source for items in negatives.entries.values() for item in items} if negatives else set()
        summary = {
            "dataset": self.domain.info.get("name", self.run.data.resolve().name),
            "segments": len(self.segments),
            "recipe": self.run.recipe,
            "seed": config.seed,
            "epochs": {stage.name: getattr(config, stage.name).epochs for stage in methods.get(config.method).stages},
            "negatives": {
                "sources": sorted(sources),
                "equal_to_novel_names": negatives.leaks(self.domain.vocabulary) if negatives else {},
            },
            "used_evaluation_names": self._uses_novel_names(),
            PICTURES: self.pictures,
            "metrics": {name: {key: found[key] for key in METRICS} for name, found in self.scores.items()},
        }
        return summary if self.run.start is None else {**summary, "start": self.run.start}


def build_clip(config: TrainConfig, device: torch.device) -> OpenDASCLIP:
    """The backbone of a recipe with what its method is to learn, as it starts."""
    return OpenDASCLIP.from_backbone(
        config.backbone,
        config.pretrained,
        prompts=config.prompts,
        weights=config.weights,
        device=device,
        seed=config.backbone_seed,
        prompt_seed=config.seed,
        tokenizer=config.tokenizer,
    )


def score_folders(method: str) -> dict[str, str]:
    """The folders of the scores by milestone: ``before``, ``after_<stage>`` and, for the last stage, ``after``.

    What a method stores behind its stages counts as one.
    """
    found = methods.get(method)
    stages = [*(stage.name for stage in found.stages), *([CACHE] if found.cache else [])]
    return {BEFORE: BEFORE, **{name: f"after_{name}" for name in stages}, **dict.fromkeys(stages[-1:], "after")}
