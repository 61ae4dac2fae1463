"""The file of a comparison's single runs."""

from __future__ import annotations

import csv

from opendas_plugin.eval.comparison import METRICS, System
from opendas_plugin.runs.comparison import write_runs


def test_a_peak_that_is_not_known_leaves_its_own_cell_empty(tmp_path) -> None:
    """As on a cluster of which one machine does not measure it: the next seed's peak would stand in its place."""
    scores = {seed: dict.fromkeys((*METRICS, "macro_f1"), 1.0) for seed in (0, 1, 2)}
    system = System("vpt", 3, scores, (10.0, 11.0, 12.0), (500.0, None, 502.0))
    write_runs(tmp_path / "runs.csv", [system])
    rows = list(csv.DictReader((tmp_path / "runs.csv").open(encoding="utf-8")))
    assert [row["peak_memory_mb"] for row in rows] == ["500.0", "", "502.0"]
    assert [row["seconds"] for row in rows] == ["10.0", "11.0", "12.0"]
    assert system.known_memory == [500.0, 502.0]
