"""Scores an adapter at shares between plain CLIP and itself, from one evaluation."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Literal

from opendas_plugin.data.domain import load_domain
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.learnt import check_learnt
from opendas_plugin.files import atomic_file, write_json
from opendas_plugin.runs.classification_report import about_labeller
from opendas_plugin.runs.models import ModelRun
from opendas_plugin.runs.other_pages import shares_page
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reporting import ReportedRun, call_of, save_page
from opendas_plugin.runs.run import function_of

METRICS = {"acc": "Acc", "w_f1": "W-F1", "b_f1": "B-F1", "n_f1": "N-F1", "harmonic_f1": "H"}


@dataclass(frozen=True)
class Shares(ModelRun[list[dict[str, Any]]], ReportedRun[list[dict[str, Any]]]):
    """Scores an adapter at shares from 0, plain CLIP, to 1, the adapter.

    The result is a row a share: the share, and the scores of a classification.
    """

    data: Path
    """Folder that opendas-prepare wrote."""
    output: Path
    """Folder for interpolation.csv, summary.json and run.json."""
    _: KW_ONLY
    images_root: Path | None = None
    """Where the folder that all pictures lie under is now, if they have moved since they were prepared."""
    of: Literal["both", "visual", "text", "weights"] = "both"
    """What is mixed: the features of both towers, of one (the other is the adapter's), or the weights (WiSE-FT)."""
    steps: int = 10
    """Steps from 0 to 1."""
    split: Literal["val", "train"] = "val"
    """Which of the domain's segments to score."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        super().check()
        if self.adapter is None or self.steps < 1:
            raise ConfigError("interpolation needs an `adapter`, and `steps` of 1 or more")

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        return {**super().unused(), "zero_shot": "on shares, whose first is plain CLIP"}

    def work(self, record: RunRecord) -> list[dict[str, Any]]:
        """Scores all shares, writes them and returns them."""
        from opendas_plugin.eval.interpolation import sweep_features, sweep_weights

        self.say(self.backbone_seed)
        domain = load_domain(self.data, self.images_root)
        labeller, segments = self.labeller(domain.vocabulary), getattr(domain, self.split)
        record.begin(self.output)
        values = [round(step / self.steps, 6) for step in range(self.steps + 1)]
        if self.of == "weights":
            scores = sweep_weights(labeller, segments, domain.vocabulary, values)
        else:
            pairs = [(1.0 if self.of == "text" else v, 1.0 if self.of == "visual" else v) for v in values]
            scores = sweep_features(labeller, segments, domain.vocabulary, pairs)
        rows = [{"share": value, **found} for value, found in zip(values, scores, strict=True)]
        write_csv(self.output / "interpolation.csv", rows)
        learnt = check_learnt(labeller.clip.config.training, {segment.image for segment in segments})
        write_json(self.output / "summary.json", {"of": self.of, **learnt, "shares": rows})
        record.write(self.output, config=self.resolved(labeller))
        if self.report:
            told = [*about_labeller(labeller), ("adapter", self.adapter), ("data", self.data), ("split", self.split)]
            call = call_of("opendas.runs.evaluate_interpolation", self)
            save_page(lambda: shares_page(record, rows, METRICS, self.of, told, call), self.output)
        return rows


evaluate_interpolation = function_of(Shares, "evaluate_interpolation")


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes a row a share."""
    with atomic_file(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["share", *METRICS])
        writer.writerows([row["share"], *(row[metric] for metric in METRICS)] for row in rows)
