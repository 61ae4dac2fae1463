"""Whether a tiny CLIP passes the gates: what its texts and images are worth, and how it starts on the office look."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opendas_plugin.data.domain import load_domain
from opendas_plugin.eval.classification import confusion_matrix, weighted_f1
from opendas_plugin.files import write_json
from opendas_plugin.runs.models import DEFAULT_BACKBONE
from opendas_plugin.runs.other_pages import gates_page
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reporting import ReportedRun, call_of, save_page
from opendas_plugin.runs.run import function_of
from opendas_plugin.train.recipe import read_recipe

if TYPE_CHECKING:
    from opendas_plugin.model.adapted_clip import OpenDASCLIP
    from opendas_plugin.office.gates import Gate


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OfficeGates(ReportedRun["list[Gate]"]):
    """Measures the gates of a tiny CLIP, and fails where one is missed.

    The result is the gates; they are also in gates.json, whether they hold or not.
    """

    output: Path
    """Folder for gates.json and run.json."""
    _: KW_ONLY
    data: Path
    """Folder of an office domain; the names of its validation segments are scored."""
    cache: Path
    """Folder of the rendered pictures; they are made where they are not there yet."""
    backbone: str = DEFAULT_BACKBONE
    """The tower: office-tiny, another tiny CLIP, or the clip.pt or folder of a new one."""
    threads: int = 2
    """Processes that render, threads that crop."""

    def work(self, record: RunRecord) -> list[Gate]:
        """Measures, writes the figures, and returns them.

        Raises:
            DataError: a gate is missed.
        """
        from opendas_plugin.model.adapted_clip import OpenDASCLIP
        from opendas_plugin.office.corpus import pictures
        from opendas_plugin.office.gates import measure, require
        from opendas_plugin.office.pretrain import Pretraining
        from opendas_plugin.office.relearn_text import Relearning
        from opendas_plugin.office.sentences import withheld_pairs

        clip, corpus = OpenDASCLIP.from_backbone(self.backbone), Pretraining()
        _, seen = pictures(self.cache, 112, corpus.images, corpus.seed, self.threads)
        images, colours = pictures(self.cache, 224, corpus.held_out, corpus.seed + 1, self.threads)
        withheld = withheld_pairs(seen, Relearning().withheld)
        gates = measure(clip, images, colours, withheld, self._office_w_f1(clip))
        figures = [{**dataclasses.asdict(gate), "holds": gate.holds} for gate in gates]
        write_json(self.output / "gates.json", {"backbone": self.backbone, "gates": _finite(figures)})
        record.write(self.output)
        if self.report:
            call = call_of("opendas.runs.office_gates.measure_office_gates", self)
            save_page(lambda: gates_page(record, gates, self.backbone, call), self.output)
        for gate in gates:
            logger.info("%s", gate)
        require(gates)
        return gates

    def _office_w_f1(self, clip: OpenDASCLIP) -> float:
        """Zero-shot W-F1 in percent over all names of the domain, with the crops of the office's recipe."""
        from opendas_plugin.eval.predict import predict
        from opendas_plugin.labeller import Labeller

        domain = load_domain(self.data)
        labeller = Labeller(clip, domain.vocabulary, crops=read_recipe("office").crops, workers=self.threads)
        found = predict(labeller, domain.val, domain.vocabulary)
        confusion = confusion_matrix(found.labels, found.predictions, len(domain.vocabulary.names))
        return weighted_f1(confusion) or 0.0


measure_office_gates = function_of(OfficeGates, "measure_office_gates")


def _finite(figures: list[dict[str, object]]) -> list[dict[str, object]]:
    """Without the bounds that a gate does not have, which JSON cannot hold."""
    return [{key: value for key, value in one.items() if value not in (float("inf"), -float("inf"))} for one in figures]
