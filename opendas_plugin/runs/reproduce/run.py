"""The run of ``opendas-reproduce``: its settings, and the steps in their order."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from opendas_plugin.errors import ConfigError
from opendas_plugin.files import read_json, require_writable, write_json, write_text
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reporting import ReportedRun, save_page
from opendas_plugin.runs.run import POSITIONAL, function_of

if TYPE_CHECKING:
    from opendas_plugin.runs.reproduce.document import Document
    from opendas_plugin.runs.reproduce.place import Place
    from opendas_plugin.runs.reproduce.plan import Plan

logger = logging.getLogger(__name__)

PLANNED = "plan.json"
"""Which steps the plan in the output is of."""
Step = Literal["check", "anchor", "rivals", "ade20k", "kitti360", "scannetpp", "hosts"]
STEPS: tuple[str, ...] = get_args(Step)
"""In their order."""


class UnconfirmedError(ConfigError):
    """The plan has been made, and nobody has said yes to it.

    Attributes:
        plan: what would be done, and what it costs.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__("nothing was started: say `yes` to the plan")
        self.plan = plan


@dataclass(frozen=True)
class Reproduce(ReportedRun["Document"]):
    """The OpenDAS paper's tables on real CLIPs and data, checked at every step, each figure beside the paper's.

    Prints a plan with its cost first. Run again to go on where it stopped. The result is reproduction.json, which also
    holds what can be sent in; reproduction.md and report.html are its page. opendas-reproduce --merge A.json B.json
    joins several.
    """

    step: Literal["check", "anchor", "rivals", "ade20k", "kitti360", "scannetpp", "hosts", "all"] = field(
        metadata=POSITIONAL
    )
    """What to do: check weights and names; anchor the crops on plain CLIP's published figures; hold rivals against
    their own papers; the paper's rows on ade20k, kitti360, scannetpp; its hosts' table; or all, without the parts whose
    data are not there."""
    _: KW_ONLY
    data: Path | None = None
    """Folder around ADEChallengeData2016, KITTI-360, scannetpp, dtd and eurosat, those that there are;
    docs/reproduce.md says how to get each."""
    output: Path
    """Folder for all that is made, reproduction.json, reproduction.md and report.html."""
    tier: Literal["quick", "full"] = "quick"
    """quick: rows on ViT-B-16 with 16 shots a name; full: the paper's, ViT-L-14 on all segments. Both anchor the crops
    on ViT-L-14 at 224 and 336 pixels."""
    rehearsal: bool = False
    """Everything on tiny data and random weights that are made here, offline, in minutes on a CPU; no figure means
    anything."""
    skip: tuple[Step, ...] = ()
    """Steps that all leaves out."""
    yes: bool = False
    """Start without asking whether the plan will do."""
    batch_size: int | None = None
    """Segments a training step; default: each method's own, as published."""
    jobs: int = 1
    """Trainings at once."""
    ovseg: Path | None = None
    """Checkout of OVSeg, for hosts."""
    ovseg_arguments: tuple[str, ...] = ()
    """Arguments of its train_net.py, such as MODEL.WEIGHTS FILE; --config-file in them goes before the paper's."""
    proposals: Path | None = None
    """Folder of class-agnostic 3D masks of ScanNet++'s validation scenes, for hosts (OpenMask3D)."""
    openmask3d: Path | None = None
    """Checkout of OpenMask3D, whose own script then computes the features; default: our extractor, which equals it."""
    sam: Path | None = None
    """Weight file of SAM ViT-H, for hosts (OpenMask3D); default: boxes stand in, and the row is not the paper's."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    workers: int = 4
    """Threads that decode."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        if self.data is None and not self.rehearsal:
            raise ConfigError("`data` says where the datasets are, or will be; or give `rehearsal`")
        if unknown := [name for name in self.skip if name not in STEPS]:
            raise ConfigError(f"`skip` {unknown[0]!r} is no step; choose of {', '.join(STEPS)}")
        for name in ("jobs", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"`{name}` must be 1 or more, got {value}")

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        found = {}
        if self.rehearsal:
            found = dict.fromkeys(("data", "tier"), "on a `rehearsal`, which makes its own")
        if self.step != "all":
            found |= {"skip": "on one step"}
        if self.step not in ("all", "hosts"):
            found |= dict.fromkeys(
                ("ovseg", "ovseg_arguments", "proposals", "openmask3d", "sam"), "without the step hosts"
            )
        if self.ovseg is None:
            found |= {"ovseg_arguments": "without `ovseg`"}
        if self.proposals is None and not self.rehearsal:
            found |= dict.fromkeys(("openmask3d", "sam"), "without `proposals`")
        return found

    def work(self, record: RunRecord) -> Document:
        """Does what is not done yet.

        Raises:
            UnconfirmedError: there is something to do, and `yes` is not given.
            OpenDASError: a step cannot be done; what is done stays.
        """
        from opendas_plugin.runs.reproduce import store
        from opendas_plugin.runs.reproduce.document import Document
        from opendas_plugin.runs.reproduce.plan import make_plan
        from opendas_plugin.runs.reproduce.sources import AbsentError
        from opendas_plugin.runs.reproduce.steps import do

        require_writable(self.output)
        place = self.place()
        names = [name for name in STEPS if name not in self.skip] if self.step == "all" else [self.step]
        document = Document.begin(place, record)
        waiting = [name for name in names if not (place.folder(name) / store.FILE).exists()]
        if waiting and not (self.yes and self.is_planned(waiting, place)):
            plan = make_plan(place, waiting)
            write_text(self.output / "plan.md", plan.markdown())
            write_json(self.output / PLANNED, {"steps": waiting, **self.planned_for(place)})
            plan.require_room(place)
            if not self.yes:
                raise UnconfirmedError(plan)
        record.begin(self.output)
        for name in STEPS:
            if name not in names and name not in self.skip:  # of an earlier call
                earlier = store.finished(place.folder(name), place.tier.name)
                if earlier is not None:
                    document.add(name, earlier)
        for name in names:
            try:
                document.add(name, do(name, place, document.made_with))
            except AbsentError as error:  # of a step of its own it is an error; all goes on with what there is
                if self.step != "all":
                    raise
                logger.warning("%s is left out: %s", name, error)
                why = str(error).replace(str(place.root), "DATA").replace(str(self.output), "OUTPUT")
                document.leave_out(name, why)
            self.write(document, record)
        record.write(self.output)
        return document

    def is_planned(self, steps: Sequence[str], place: Place) -> bool:
        """Whether an earlier call has measured what these steps cost here, so that one that goes on need not."""
        path = self.output / PLANNED
        known = read_json(path) if path.exists() else {}
        if not isinstance(known, dict) or any(known.get(key) != own for key, own in self.planned_for(place).items()):
            return False
        return set(steps) <= set(known.get("steps", ()))

    def planned_for(self, place: Place) -> dict[str, object]:
        """What a plan's cost depends on, beside its steps."""
        return {
            "device": str(place.device),
            "tier": place.tier.name,
            "batch_size": self.batch_size,
            "jobs": self.jobs,
        }

    def place(self) -> Place:
        """What the steps share; makes the data and weights of a rehearsal."""
        from opendas_plugin.runs.reproduce.hosts import Hosts
        from opendas_plugin.runs.reproduce.place import Place
        from opendas_plugin.runs.reproduce.rehearsal import make_rehearsal
        from opendas_plugin.runs.reproduce.tiers import TIERS

        given = Hosts(self.ovseg, self.ovseg_arguments, self.proposals, self.openmask3d, self.sam)
        settings = (self.device, self.workers, self.batch_size, self.jobs)
        if self.rehearsal:
            root, tier, masks = make_rehearsal(self.output / "rehearsal")
            proposals = self.proposals or masks
            own = Hosts(self.ovseg, self.ovseg_arguments, proposals, self.openmask3d, self.sam)
            return Place(root, self.output, tier, *settings, own)
        if self.data is None:
            raise ConfigError("`data` says where the datasets are")
        return Place(self.data, self.output, TIERS[self.tier], *settings, given)

    def write(self, document: Document, record: RunRecord) -> None:
        """Writes what there is so far."""
        from opendas_plugin.runs.reproduce.document import NAME
        from opendas_plugin.runs.reproduce.page import html_page, write_page

        write_json(self.output / NAME, document.to_json())
        write_page(self.output, document)
        if self.report:
            save_page(lambda: html_page(document, record), self.output)


reproduce_paper = function_of(Reproduce, "reproduce_paper")
