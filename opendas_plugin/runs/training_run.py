"""The settings of a training on one domain, and whether they go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from opendas_plugin import methods
from opendas_plugin.errors import ConfigError
from opendas_plugin.model.naming import require_weights
from opendas_plugin.runs.run import INLINE, Result, Run
from opendas_plugin.train.config import HoldConfig, TrainConfig
from opendas_plugin.train.trackers import TrackerName, check_trackers


@dataclass(frozen=True)
class TrainingRun(Run[Result]):
    """What a training is told."""

    data: Path
    """Folder that opendas-prepare wrote."""
    output_dir: Path | None = None
    """Folder for the adapter, the log, the checkpoint and the scores; default: runs/ and the data's name."""
    _: KW_ONLY
    images_root: Path | None = None
    """Where the folder that all pictures lie under is now, if they have moved since they were prepared."""
    recipe: str = "office"
    """Recipe file, or the name of a built-in one: clip (the default of all backbones but the tiny CLIPs), office (that
    of the tiny CLIPs), paper, or one of docs/."""
    start: str | None = None
    """Adapter to go on from, a folder or hub id, such as after labels were corrected, which is scored as start;
    default: a new one. Each stage learns as it does in a new one, so the first one without the other tower's part."""
    negatives: Path | None = None
    """File of related names; default: the domain's own, or names found offline by the text tower."""
    proposals: Path | None = None
    """JSON of masks without classes (as of opendas-evaluate) to learn from in place of the labelled ones; each gets the
    name of the labelled segment that it overlaps most."""
    proposal_images: Path | None = None
    """Folder that the pictures of the proposals lie in."""
    unlabelled: Path | None = None
    """Manifest (as train.jsonl) of segments for a stage that looks at no names (mlmp has one); default: the training
    segments. What it says of their names is not read."""
    calibration_folds: int = 0
    """Learn how much base names are preferred by training this many times without some of them; 0: do not. The constant
    is stored in the adapter and used where an evaluation asks for it (calibrate)."""
    crop_cache: Path | None = None
    """Folder that keeps crops, ready for the model, so that later epochs, scores and runs decode no picture; what is
    augmented is made anew. 3 bytes a pixel of each crop."""
    drop_novel: bool = False
    """Leave out related names that equal novel names; the result has then used evaluation names, and says so."""
    resume: bool = False
    """Go on with the run in the output folder; starts one where there is none."""
    log_to: tuple[TrackerName, ...] = ()
    """Where curves and scores go beside log.jsonl, one or several: tensorboard, wandb (offline unless you have logged
    in), trackio, csv."""
    report: bool = True
    """Draw the figures and write report.html, a page with all that is worth seeing of the run."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N; with torchrun each process takes its own GPU."""
    config: TrainConfig = field(default_factory=TrainConfig, metadata=INLINE)
    """The recipe, with what was changed in it."""

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.config.seed

    @property
    def folder(self) -> Path:
        """The output folder."""
        return self.output_dir or Path("runs") / self.data.resolve().name

    def check(self) -> None:
        """See :meth:`Run.check`."""
        methods.get(self.config.method)
        check_trackers(self.log_to)
        require_weights(self.config.backbone, self.config.pretrained)
        if (self.proposals is None) != (self.proposal_images is None):
            raise ConfigError("`proposals` and `proposal_images` go together; give both or neither")
        if self.start is not None and self.calibration_folds:
            raise ConfigError(
                "`calibration_folds` hold training names out, which the adapter of `start` has seen; leave one out"
            )

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        from opendas_plugin.runs.sources import mines_in_related_names

        found = {}
        if not mines_in_related_names(self.config):
            mining = "for a method without a triplet loss that mines in related names (`triplet.mining` hardest does)"
            found = {"negatives": mining, "drop_novel": mining}
        if all(stage.labels for stage in methods.get(self.config.method).stages):
            found["unlabelled"] = "for a method without a stage that looks at no names"
        if not any(stage.labels for stage in methods.get(self.config.method).stages):
            found["loss"] = "on a method without a stage that learns names"
        learns = {tower for stage in methods.get(self.config.method).stages for tower in stage.learns}
        if "text" not in learns:
            found["hold"] = "on a method that learns nothing in the text tower"
        elif self.config.hold != HoldConfig() and not self.config.hold.weight:
            found["hold"] = "without `hold.weight`"
        if self.config.auto_crops:
            found["crops"] = "beside `auto_crops`, which chooses them"
        return found
