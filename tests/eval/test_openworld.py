"""OpenworldAUC against the way of its authors' code: an area under the ROC curve with wrong segments put last."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from opendas_plugin.eval.openworld import openworld_auc


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_area_where_each_wrong_segment_loses_all_its_pairs(seed):
    rng = np.random.default_rng(seed)
    base, right = rng.random(60) < 0.6, rng.random(60) < 0.7
    scores = np.round(rng.normal(base, 1.0), 1)
    last = np.where(base, scores.min() - 1, scores.max() + 1)
    expected = roc_auc_score(base, np.where(right, scores, last))
    assert openworld_auc(right, base, scores) == pytest.approx(100 * expected)


def test_it_needs_both_kinds_and_is_all_or_nothing_where_one_is_always_wrong():
    scores, base = np.array([2.0, 1.0]), np.array([True, False])
    assert openworld_auc(np.array([True, True]), base, scores) == 100
    assert openworld_auc(np.array([True, False]), base, scores) == 0
    assert openworld_auc(np.array([True, True]), ~base, scores) == 0
    assert openworld_auc(np.array([True, True]), np.array([True, True]), scores) is None
