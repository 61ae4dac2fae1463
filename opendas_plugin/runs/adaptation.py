"""From a prepared domain to an adapter, with the scores before, between and after the stages."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opendas_plugin.data.domain import Domain, load_domain
from opendas_plugin.eval.calibration import choose_constant
from opendas_plugin.model.devices import pick_device
from opendas_plugin.runs.models import say_model
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.training_run import TrainingRun
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.distributed import join
from opendas_plugin.train.recipe import default_recipe, describe, read_recipe

if TYPE_CHECKING:
    import torch


logger = logging.getLogger(__name__)

_SETTINGS = {field.name for field in dataclasses.fields(TrainingRun)} - {"config"}


@dataclass(frozen=True)
class Adapted:
    """What a training made.

    Attributes:
        folder: of the run, with the log, the checkpoint and the scores.
        scores: summaries of classifications by their folder in it: ``before``, ``after_visual``, ``after`` and so on,
            each as its ``summary.json``; empty in processes that do not write.
    """

    folder: Path
    scores: Mapping[str, Mapping[str, Any]]

    @property
    def adapter(self) -> Path:
        """The adapter's folder."""
        return self.folder / "adapter"


@dataclass(frozen=True)
class Adapt(TrainingRun[Adapted]):
    """Learns an adapter and scores it. Settings go before the recipe, and the recipe before the defaults."""

    def work(self, record: RunRecord) -> Adapted:
        """Trains, evaluates and saves the adapter."""
        from opendas_plugin.model.adapter import find_folder
        from opendas_plugin.model.loading import ADAPTER
        from opendas_plugin.runs.calibration import fold_domains
        from opendas_plugin.runs.training import Training

        config, output = self.config, self.folder
        with join(pick_device(self.device)) as (world, device):
            about = f"recipe {describe(self.recipe)}, method {config.method}"
            say_model(device, config.backbone, config.pretrained, config.backbone_seed, self.start, about)
            if self.start is not None:
                find_folder(self.start.removeprefix(ADAPTER))  # one that is not there is said now
            domain = load_domain(self.data, self.images_root)
            if self.calibration_folds:
                fold_domains(domain, self.calibration_folds, self.seed)  # refused now rather than after training
            from opendas_plugin.runs.training_report import TrainingReport

            told = TrainingReport(record) if self.report else None
            reached = None if told is None else told.reached
            training = Training(self, domain, output, device, world=world, figures=self.report, reached=reached)
            try:
                scores, run = training(), dataclasses.replace(self, config=training.resolved)
                if world.writes and self.calibration_folds:
                    scores["after_calibrated"] = run.calibrate(training.domain, device)
            except BaseException as error:
                training.trackers.close(failed=True)
                if told is not None and world.writes and training.begun:  # else the folder is another run's
                    told.failed(training, error)
                raise
            if world.writes:
                record.write(output, config=run)
                if told is not None:
                    told.finished(training)
        return Adapted(output, scores)

    def calibrate(self, domain: Domain, device: torch.device) -> dict[str, Any]:
        """Learns the preference for base names from folds of the training part, and stores it in the run's adapter.

        Returns:
            The summary of the validation segments scored with it, which lies in ``after_calibrated``.
        """
        from opendas_plugin.eval.report import evaluate_classification
        from opendas_plugin.labeller import Labeller
        from opendas_plugin.model.adapted_clip import OpenDASCLIP
        from opendas_plugin.runs.calibration import fold_domains, judge
        from opendas_plugin.runs.training import Training

        output, held_out = self.folder, []
        for number, fold in enumerate(fold_domains(domain, self.calibration_folds, self.seed)):
            folder, names = output / "folds" / str(number), ", ".join(fold.vocabulary.novel)
            logger.info("fold %d of %d, without %s", number + 1, self.calibration_folds, names)
            config = dataclasses.replace(self.config, auto_crops=False)  # those of the run
            training = Training(dataclasses.replace(self, resume=True, config=config), fold, folder, device)
            training()
            held_out.append(judge(folder / "adapter", training.domain, device))
        constant = choose_constant(held_out)
        clip = OpenDASCLIP.from_pretrained(output / "adapter", device=device)
        about = {"folds": self.calibration_folds, "constant": constant}
        clip.save_pretrained(
            output / "adapter", calibration=constant, training={**clip.config.training, "calibration": about}
        )
        labeller = Labeller(clip, domain.vocabulary, calibrated=True, workers=self.config.workers)
        folder, towers = output / "after_calibrated", {"prompts": ["visual", "text"]}
        return evaluate_classification(labeller, domain.val, domain.vocabulary, folder, about=towers)


def adapt(
    data: str | Path,
    output_dir: str | Path | None = None,
    *,
    recipe: str | Path | None = None,
    method: str | None = None,
    **settings: Any,
) -> Adapted:
    """Learns an adapter on a prepared domain and scores it, as ``opendas-train`` does, to the bit.

    Args:
        data: the domain's folder, as ``opendas-prepare`` writes it.
        output_dir: folder of the run, new or empty unless ``resume=True``; None: ``runs/`` and the data's name.
        recipe: a file, or the name of a built-in one; None: office for the tiny CLIPs, clip for every other backbone.
        method: how to learn; None: as the recipe says.
        settings: further settings of :class:`Adapt`, such as ``start="runs/office/adapter"`` to go on from an adapter,
            ``resume=True`` or ``device="cpu"``; and any field of :class:`~opendas_plugin.train.config.TrainConfig`,
            nested as in a recipe, such as ``batch_size=8`` or ``visual={"epochs": 1}``.

    Raises:
        ConfigError: an unknown field, or settings that do not go together or have no effect.
        OpenDASError: the data or the backbone cannot be used, or training cannot go on.
    """
    own = {name: value for name, value in settings.items() if name in _SETTINGS}
    fields = {name: value for name, value in settings.items() if name not in _SETTINGS}
    config: TrainConfig = read_recipe(recipe, method, fields)
    folder = None if output_dir is None else Path(output_dir)
    named = str(recipe or default_recipe(config.backbone))
    return Adapt(Path(data), folder, recipe=named, config=config, **own)()


def calibrate(data: str | Path, output_dir: str | Path, folds: int = 2, **settings: Any) -> Adapted:
    """Learns, for a finished run, how much base names are preferred, and stores the constant in its adapter.

    As many trainings, each without some of the training names, say it; it is used where an evaluation asks for it.

    Args:
        data: the run's.
        output_dir: the run's.
        folds: how many trainings, from 2 to half of the training names.
        settings: the others that the run was made with, as :func:`adapt` takes them.

    Raises:
        ConfigError: other settings than the run's, or too few names.
        OpenDASError: as :func:`adapt`.
    """
    return adapt(data, output_dir, calibration_folds=folds, resume=True, **settings)
