"""What the tables of office-bench-v2 say of who is above whom."""

from __future__ import annotations

import numpy as np
import pytest

from opendas_plugin.eval.pooling import FoldPredictions
from opendas_plugin.office.bench_folds import scored_names
from opendas_plugin.runs.bench_rows import Scored
from opendas_plugin.runs.bench_tables import Judged, Line, claims_table, differences_table

NAMES = len(scored_names())


@pytest.fixture(scope="module")
def judged() -> Judged:
    labels = np.tile(np.arange(NAMES), 4)
    return Judged(labels, np.arange(len(labels)) // 34)


def line(title: str, predictions: np.ndarray) -> Line:
    novel = np.arange(NAMES) % 3 == 0
    fold = FoldPredictions(predictions[None], novel, predictions[None], np.zeros((1, len(predictions))))
    return Line(title, Scored({"learnt": {"after": 1}}, {"after": {"1-0": fold}}), "after")


def test_the_row_that_is_right_more_often_is_above_in_both_tables(judged) -> None:
    """A claim is of the reference, a difference is of the other row: their directions are opposite."""
    wrong = np.random.default_rng(0).random(len(judged.labels)) < 0.4
    worse = line("vpt", np.where(wrong, (judged.labels + 1) % NAMES, judged.labels))
    right = line("opendas, own names", judged.labels)
    claims = claims_table([worse, right], right, judged)
    assert claims.rows == (("OpenDAS above vpt", "holds", "holds", "holds"),)
    assert claims_table([worse, right], line("opendas, own names", worse.folds[0].predictions[0]), judged).rows == (
        ("OpenDAS above vpt", "open", "open", "open"),
    )
    ((title, *cells),) = differences_table([worse, right], right, judged).rows
    assert title == "vpt" and all(str(cell).startswith("-") and str(cell).endswith("<") for cell in cells)
