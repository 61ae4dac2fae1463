"""Scores the names that a model gives to labelled segments."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.learnt_pictures import learnt_pictures, picture_digests
from opendas_plugin.data.manifest import read_manifest
from opendas_plugin.data.segments import Segment
from opendas_plugin.data.subsets import few_shots
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.eval.classification import Protocol
from opendas_plugin.model.devices import pick_device
from opendas_plugin.names import NameTable
from opendas_plugin.reports.page import Page
from opendas_plugin.runs.classification_report import PLAIN, Scored, classification_page
from opendas_plugin.runs.models import ModelRun
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reporting import ReportedRun, call_of, save_page
from opendas_plugin.runs.run import function_of
from opendas_plugin.support import DEFAULT_WEIGHT
from opendas_plugin.train.distributed import World, join
from opendas_plugin.vocabulary import Vocabulary
from opendas_plugin.wording import counted

if TYPE_CHECKING:
    from opendas_plugin.labeller import Labeller

PLAIN_CLIP = "plain CLIP"
SUPPORT = ("support", "support_shots", "support_seed", "support_weight")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Classification(ModelRun[dict[str, Any]], ReportedRun[dict[str, Any]]):
    """Names every labelled segment and scores the names: Acc, W-F1, B-F1, N-F1. Without an adapter: zero-shot.

    The result is what summary.json holds. For the page an adapter's plain CLIP is scored beside it, in plain/, which
    takes as long again. Under torchrun several processes share the segments; all but the first have an empty result.
    """

    data: Path
    """Folder that opendas-prepare wrote."""
    output: Path
    """Folder for report.html, summary.json, per_class.csv, predictions.jsonl, the confusion matrices and run.json."""
    _: KW_ONLY
    images_root: Path | None = None
    """Where the folder that all pictures lie under is now, if they have moved since they were prepared."""
    split: Literal["val", "train"] = "val"
    """Which of the domain's segments to score."""
    protocol: Protocol = "joint"
    """Which names compete for a segment: all (joint), or those of its own kind, base or novel, alone (coop), as in the
    base-to-new tables of CoCoOp, MaPLe and PromptSRC."""
    ensemble: bool = False
    """Take the mean of the text features over the 80 templates that CLIP was published with, without an adapter."""
    calibrate: bool = False
    """Take the constant that training with calibration folds has learnt from the cosines of the base names."""
    base_from: Path | None = None
    """vocabulary.json whose base names count as base here, all others as novel; default: the domain's own marks."""
    support: tuple[Path, ...] | None = None
    """Manifests (as train.jsonl) of labelled segments that names are known by beside their words, of pictures that are
    not scored; nothing is trained."""
    support_shots: int = 5
    """Segments of each name that are taken of them, drawn by support_seed."""
    support_seed: int = 0
    """Seed of the draw."""
    support_weight: float = DEFAULT_WEIGHT
    """Share of what they say in a name's feature, 0 to 1; the rest is the words'."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        super().check()
        if self.calibrate and self.adapter is None:
            raise ConfigError("`calibrate` needs an `adapter`, which holds the constant")
        if self.calibrate and self.zero_shot:
            raise ConfigError("`calibrate` is what the adapter has learnt; leave it or `zero_shot` out")
        if self.ensemble and (self.adapter or self.template):
            raise ConfigError(
                "`ensemble` is for plain CLIP and has templates of its own; leave `adapter` and `template` out"
            )

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        lacking = {} if self.support else dict.fromkeys(SUPPORT[1:], "without `support`")
        return {**super().unused(), **lacking}

    def work(self, record: RunRecord) -> dict[str, Any]:
        """Evaluates, writes the report and returns its summary, which is empty in all but the first process."""
        with join(pick_device(self.device)) as (world, device):
            here = dataclasses.replace(self, device=str(device))
            scored, beside = here.evaluate(record, world), here.beside() if self.report else None
            if beside is not None:
                logger.info("plain CLIP, to set beside it")
                beside.evaluate(RunRecord(beside), world)
            if scored is None:
                return {}
            if self.report:
                save_page(lambda: here.page(record, scored, beside), self.output)
            return scored.summary

    @property
    def title(self) -> str:
        """What names the segments."""
        more = ", calibrated" if self.calibrate else ", support" if self.support else ""
        adapted = self.adapter is not None and not self.zero_shot
        return ("/".join(Path(self.adapter or "").parts[-2:]) if adapted else PLAIN_CLIP) + more

    def beside(self) -> Classification | None:
        """Plain CLIP on the same segments; None: it is what is scored."""
        if (self.adapter is None or self.zero_shot) and not self.support:
            return None
        plain: dict[str, Any] = {"report": False, "output": self.output / PLAIN, "zero_shot": self.adapter is not None}
        fields = type(self).__dataclass_fields__
        plain |= {name: fields[name].default for name in ("calibrate", *SUPPORT)}
        return dataclasses.replace(self, **plain)

    def page(self, record: RunRecord, scored: Scored, beside: Classification | None) -> Page:
        """The page of what was scored."""
        folders = {} if beside is None else {beside.title: beside.output}
        settings, about = call_of("opendas.evaluate", self), [("adapter", self.adapter), ("split", self.split)]
        return classification_page(record, scored, {**folders, self.title: self.output}, settings, about)

    def evaluate(self, record: RunRecord, world: World) -> Scored | None:
        """The part of one process; None in those that do not write."""
        from opendas_plugin.eval.report import evaluate_classification as report
        from opendas_plugin.runs.shared_cosines import discard_parts, share_cosines

        self.say(self.backbone_seed)
        domain = load_domain(self.data, self.images_root)
        vocabulary = mark_base(domain.vocabulary, self.base_from)
        labeller = self.labeller(vocabulary, ensemble=self.ensemble, calibrated=self.calibrate)
        self._say_untrained(labeller.clip.config.base_names, vocabulary)
        if world.writes:
            record.begin(self.output)
        segments, about = getattr(domain, self.split), {"adapter": None if self.zero_shot else self.adapter}
        if self.support:
            labeller = self.supported(labeller, segments)
        knowing = share_cosines(labeller, self.source(labeller.clip), segments, self.output, world)
        if knowing is None:
            return None
        summary = report(
            knowing,
            segments,
            vocabulary,
            self.output,
            split=self.split,
            about=about,
            figure=self.report,
            protocol=self.protocol,
        )
        discard_parts(self.output)
        record.write(self.output, config=self.resolved(labeller))
        name = domain.info.get("name", self.data.resolve().name)
        return Scored(summary, labeller, segments, vocabulary, str(name))

    def supported(self, labeller: Labeller, scored: Sequence[Segment]) -> Labeller:
        """The labeller with the support.

        Raises:
            DataError: one of its pictures is among those to score, under whichever name, or it tells nothing.
            MissingFileError: a manifest or a picture is not there.
        """
        found = [segment for path in self.support or () for segment in read_manifest(path)]
        chosen = few_shots(found, self.support_shots, self.support_seed)
        digests = picture_digests({segment.image for segment in chosen})
        shared, _ = learnt_pictures(digests, {segment.image for segment in scored})
        if shared:
            raise DataError(
                f"{counted(len(shared), 'picture of `support` is', 'pictures of `support` are')} among those to "
                f"score, {shared[0]} first; give segments of "
                "other pictures, or score another split"
            )
        return labeller.with_segments(chosen, weight=self.support_weight)

    def _say_untrained(self, trained: Sequence[str], vocabulary: Vocabulary) -> None:
        """Says which names count as base here although the adapter was not trained on them."""
        known = NameTable(trained).find_all(vocabulary.names)
        untrained = [name for name in vocabulary.base if known[name] is None] if trained else []
        if untrained and self.base_from is None and not self.zero_shot:
            logger.warning(
                "the adapter was not trained on %s of %s, %r first: B-F1 counts such names as base all the same; "
                "--base-from says which names training had",
                f"{len(untrained):,}",
                counted(len(vocabulary.base), "base name"),
                untrained[0],
            )


evaluate_classification = function_of(Classification, "evaluate_classification")


def mark_base(vocabulary: Vocabulary, base_from: Path | None) -> Vocabulary:
    """Marks as novel what is not a base name of the vocabulary file ``base_from``; None keeps the domain's marks.

    Raises:
        MissingFileError, DataError: it is no vocabulary, or trained none of the names.
    """
    if base_from is None:
        return vocabulary
    other = Vocabulary.load(base_from)
    table, base = NameTable(other.names), set(other.base)  # in all of its names: of book and books one may be novel
    found = table.find_all(vocabulary.names)
    novel = tuple(name for name, own in found.items() if own not in base)
    if len(novel) == len(vocabulary.names):
        what = f"{base_from} trained none of the names to score ({counted(len(novel), 'name')}, {novel[0]!r} first)"
        raise DataError(f"{what}; give the vocabulary.json of their training")
    unlisted = [name for name, own in found.items() if own is None]
    if unlisted:
        logger.warning(
            "%s does not have %d of the %d names, %r first: such names were not trained by it, and count as novel",
            base_from,
            len(unlisted),
            len(vocabulary.names),
            unlisted[0],
        )
    return dataclasses.replace(vocabulary, novel=novel)
