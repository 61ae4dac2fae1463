"""Pooled figures against scikit-learn and loops, and influences against small changes of weights."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.eval.influences import Metric, influence
from opendas_plugin.eval.intervals import pooled
from opendas_plugin.eval.pooling import FoldPredictions, runs_of
from tests.eval.answers import NAMES, figure, random_folds

METRICS = get_args(Metric)


def test_figures_of_a_single_run_are_scikit_learns() -> None:
    labels, _, (fold,) = random_folds(np.random.default_rng(0), folds=1, seeds=1)
    said, own, novel = fold.predictions[0], fold.own_kind[0], np.flatnonzero(fold.novel)
    alone = np.isin(labels, novel)

    def f1(true, guess, names, average):
        return f1_score(true, guess, labels=names, average=average, zero_division=0)

    expected = {
        "acc": accuracy_score(labels, said),
        "w_f1": f1_score(labels, said, average="weighted"),
        "b_f1": f1(labels, said, np.flatnonzero(~fold.novel), "weighted"),
        "n_f1": f1(labels, said, novel, "weighted"),
        "macro_f1": f1(labels, said, np.arange(NAMES), "macro"),
        "macro_n_f1": f1(labels, said, novel, "macro"),
        "novel_only_acc": accuracy_score(labels[alone], own[alone]),
        "novel_only_w_f1": f1_score(labels[alone], own[alone], average="weighted"),
        "base_only_acc": accuracy_score(labels[~alone], own[~alone]),
        "base_only_w_f1": f1_score(labels[~alone], own[~alone], average="weighted"),
    }
    for metric, value in expected.items():
        assert pooled(metric, labels, [fold]) == pytest.approx(100 * value), metric


@pytest.mark.parametrize("metric", METRICS)
def test_figures_over_folds_and_seeds_are_those_of_a_loop_over_names_and_runs(metric) -> None:
    labels, _, folds = random_folds(np.random.default_rng(1), folds=3, seeds=2)
    assert pooled(metric, labels, folds) == pytest.approx(figure(metric, labels, folds))


def test_pooled_novel_f1_takes_each_name_where_it_is_novel() -> None:
    labels, _, folds = random_folds(np.random.default_rng(2), folds=3, seeds=1)  # each name is novel once
    f1 = np.zeros(NAMES)
    for fold in folds:
        each = f1_score(labels, fold.predictions[0], labels=np.arange(NAMES), average=None)
        f1[fold.novel] = each[fold.novel]
    expected = np.average(f1, weights=np.bincount(labels, minlength=NAMES))
    assert pooled("n_f1", labels, folds) == pytest.approx(100 * expected)


@pytest.mark.parametrize("metric", METRICS)
def test_an_influence_is_what_a_little_more_weight_does(metric) -> None:
    labels, _, folds = random_folds(np.random.default_rng(3), folds=2, seeds=2, segments=60)
    found, little = influence(metric, labels, runs_of(labels, folds)), 1e-5
    for place in (0, 20, 59):
        more = np.ones(len(labels))
        more[place] += little
        change = figure(metric, labels, folds, weights=more) - 100 * found.value
        assert found.segments[:, place].sum() == pytest.approx(change / little / 100, abs=1e-5)
    for name in range(NAMES):
        often = np.ones(NAMES)
        often[name] += little
        change = figure(metric, labels, folds, times=often) - 100 * found.value
        assert found.names[:, name].sum() == pytest.approx(change / little / 100, abs=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_names_add_up_to_the_distances_of_the_runs(metric) -> None:
    labels, _, folds = random_folds(np.random.default_rng(4), folds=1, seeds=3)
    found = influence(metric, labels, runs_of(labels, folds))
    (fold,) = folds
    for place in range(3):
        one = FoldPredictions(
            fold.predictions[place], fold.novel, fold.own_kind[place], fold.base_scores[place]
        )  # by itself
        distance = figure(metric, labels, [one]) / 100 - found.value
        assert found.runs[place].sum() == pytest.approx(distance / 3)
        assert found.shares[place].sum() == pytest.approx(1 / 3)


def test_what_cannot_be_scored_is_none_and_what_does_not_fit_is_refused() -> None:
    labels, _, (fold,) = random_folds(np.random.default_rng(5), folds=1)
    joint = FoldPredictions(fold.predictions, fold.novel)
    assert pooled("novel_only_acc", labels, [joint]) is None
    assert pooled("openworld_auc", labels, [joint]) is None
    base = FoldPredictions(fold.predictions, np.zeros(NAMES, bool), fold.own_kind, fold.base_scores)
    for metric in ("n_f1", "macro_n_f1", "novel_only_acc", "novel_only_w_f1", "openworld_auc"):
        assert pooled(metric, labels, [base]) is None
    with pytest.raises(ConfigError, match="there is no metric 'f1'; choose one of acc"):
        pooled("f1", labels, [fold])
    with pytest.raises(DataError, match="got 150 segments and 0 folds"):
        pooled("acc", labels, [])
    with pytest.raises(DataError, match=r"expected predictions of 149 segments .* got \(2, 150\)"):
        pooled("acc", labels[1:], [fold])
    with pytest.raises(DataError, match=r"expected places of names in 0\.\.8, got 0\.\.9"):
        pooled("acc", labels, [FoldPredictions(fold.predictions + 1, fold.novel)])
    with pytest.raises(DataError, match=r"expected own_kind of shape \(2, 150\), got \(1, 150\)"):
        FoldPredictions(fold.predictions, fold.novel, fold.own_kind[0])
