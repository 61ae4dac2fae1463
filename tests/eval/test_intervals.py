"""Intervals against bootstraps that draw, and by what they must be."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from opendas_plugin.errors import DataError
from opendas_plugin.eval.influences import influence
from opendas_plugin.eval.intervals import Interval, difference, interval, variance
from opendas_plugin.eval.pooling import FoldPredictions, runs_of
from tests.eval.answers import NAMES, ROOMS, answers, figure, random_folds


@pytest.fixture(scope="module")
def two():
    """Two systems on the same 600 segments, in a fold with two seeds."""
    rng = np.random.default_rng(0)
    labels, groups, mine = random_folds(rng, folds=1, seeds=2, segments=600, right=0.6)
    return labels, groups, mine, [answers(rng, labels, mine[0].novel, seeds=2, right=0.4)]


def parts(metric, labels, groups, mine, theirs):
    both = [influence(metric, labels, runs_of(labels, folds)) for folds in (mine, theirs)]
    return variance(both[0].minus(both[1]), labels, groups, runs_of(labels, mine).novel)


@pytest.mark.parametrize("metric", ["acc", "w_f1", "n_f1", "macro_n_f1", "novel_only_w_f1"])
def test_rooms_and_names_bring_the_variance_that_drawing_them_anew_gives(two, metric) -> None:
    labels, groups, mine, theirs = two
    rng, draws = np.random.default_rng(1), 400

    def spread(draw):
        found = [draw() for _ in range(draws)]
        return np.std([figure(metric, labels, mine, **d) - figure(metric, labels, theirs, **d) for d in found])

    def names():
        kinds = [np.flatnonzero(mine[0].novel == kind) for kind in (True, False)]
        drawn = np.concatenate([rng.choice(kind, len(kind)) for kind in kinds])
        return {"times": np.bincount(drawn, minlength=NAMES).astype(float)}

    found = parts(metric, labels, groups, mine, theirs)
    rooms = spread(lambda: {"weights": np.bincount(rng.integers(0, ROOMS, ROOMS), minlength=ROOMS)[groups] + 1e-9})
    few = math.sqrt(ROOMS / (ROOMS - 1))
    assert 100 * math.sqrt(found.rooms) == pytest.approx(rooms * few, rel=0.15)
    assert 100 * math.sqrt(found.names) == pytest.approx(spread(names) * math.sqrt(3 / 2), rel=0.35)


def test_noise_of_single_segments_is_counted_once() -> None:
    """Where answers are right by chance alone, the error is that of a binomial."""
    rng, errors, values = np.random.default_rng(2), [], []
    novel = np.arange(20) < 5
    for _ in range(100):
        labels, groups = rng.integers(0, 20, 500), rng.integers(0, 30, 500)
        said = np.where(rng.random(500) < 0.6, labels, (labels + 1) % 20)
        found = interval("acc", labels, groups, [FoldPredictions(said, novel)])
        errors.append(found.error)
        values.append(found.value)
    binomial = 100 * math.sqrt(0.6 * 0.4 / 500)
    assert np.std(values) == pytest.approx(binomial, rel=0.2)
    assert binomial < np.mean(errors) < 1.35 * binomial  # a draw of rooms and names at once gives 1.7 of it


def test_seeds_that_move_all_names_alike_bring_the_error_of_their_mean() -> None:
    labels, groups = np.repeat(np.arange(40), 50), np.tile(np.arange(50), 40)
    rights = np.array([20, 25, 36])  # of each name's 50 segments
    said = np.where(np.arange(50)[None, None] < rights[:, None, None], np.arange(40)[:, None], 40).reshape(3, -1)
    folds = [FoldPredictions(said, np.arange(41) < 4)]
    found = influence("acc", labels, runs_of(labels, folds))
    runs = variance(found, labels, groups, runs_of(labels, folds).novel).runs
    assert runs == pytest.approx(np.var(rights / 50, ddof=1) / 3, rel=0.03)


def test_a_difference_is_paired(two) -> None:
    labels, groups, mine, theirs = two
    forth, back = (difference("w_f1", labels, groups, *pair) for pair in ((mine, theirs), (theirs, mine)))
    assert (forth.low, forth.value, forth.high) == pytest.approx((-back.high, -back.value, -back.low))
    assert (forth.sign, back.sign) == (">", "<")
    apart = [interval("w_f1", labels, groups, folds) for folds in (mine, theirs)]
    assert forth.value == pytest.approx(apart[0].value - apart[1].value)
    slightly = mine[0].predictions.copy()
    slightly[:, :5] = labels[:5]
    close = difference("w_f1", labels, groups, [replace(mine[0], predictions=slightly)], mine)
    assert close.error < 0.3 * math.hypot(apart[0].error, apart[0].error)
    same = difference("w_f1", labels, groups, mine, mine)
    assert (same.value, same.low, same.high, same.sign) == (0, 0, 0, "open")


def test_a_system_without_training_is_the_same_at_every_seed_and_in_every_fold() -> None:
    rng = np.random.default_rng(3)
    labels, groups, mine = random_folds(rng, folds=3, seeds=2)
    plain = [FoldPredictions(answers(rng, labels, fold.novel, 1).predictions, fold.novel) for fold in mine]
    twice = [FoldPredictions(np.repeat(fold.predictions, 2, axis=0), fold.novel) for fold in plain]
    for metric in ("w_f1", "b_f1", "n_f1"):
        found = difference(metric, labels, groups, mine, plain)
        assert found == difference(metric, labels, groups, mine, twice)
        assert found.value == pytest.approx(figure(metric, labels, mine) - figure(metric, labels, plain))
        assert found.low < found.value < found.high


def test_an_interval_widens_with_its_level_and_stays_within_percents(two) -> None:
    labels, groups, mine, _ = two
    narrow, wide = (interval("n_f1", labels, groups, mine, level=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    nearly = np.where(np.arange(len(labels)) < 2, (labels + 1) % NAMES, labels)
    found = interval("acc", labels, groups, [FoldPredictions(nearly, mine[0].novel)])
    assert found.value < found.high == 100


@pytest.mark.parametrize("metric", ["acc", "n_f1"])
def test_of_one_room_or_one_name_nothing_is_said(two, metric) -> None:
    labels, groups, mine, theirs = two
    found = difference(metric, labels, np.zeros_like(groups), mine, theirs)
    assert (found.known, found.sign) == (False, "open")
    one = [replace(folds[0], novel=np.arange(NAMES) == 2) for folds in (mine, theirs)]
    assert difference("n_f1", labels, groups, one[:1], one[1:]).known is False
    assert interval("n_f1", labels, groups, one[:1]) == Interval(
        pytest.approx(figure("n_f1", labels, one[:1])), -math.inf, math.inf, math.inf
    )


def test_where_all_agree_the_interval_is_the_exact_one_of_as_many_rooms_or_names() -> None:
    labels, groups, novel = np.tile(np.arange(10), 4), np.repeat(np.arange(4), 10), np.zeros(10, dtype=bool)
    right, wrong = [FoldPredictions(labels, novel)], [FoldPredictions((labels + 1) % 10, novel)]
    exact = binomtest(4, 4).proportion_ci(method="exact")
    found = [interval("acc", labels, groups, folds) for folds in (right, wrong)]
    assert [(one.low, one.value, one.high) for one in found] == [
        pytest.approx((100 * exact.low, 100, 100)),
        pytest.approx((0, 0, 100 - 100 * exact.low)),
    ]
    apart = difference("acc", labels, groups, right, wrong)
    assert (apart.low, apart.value, apart.sign) == (pytest.approx(100 * exact.low), pytest.approx(100), ">")
    same = difference("acc", labels, groups, right, right)
    assert (same.low, same.value, same.high, same.sign) == (0, 0, 0, "open")


def test_arrays_and_folds_that_do_not_fit_are_refused(two) -> None:
    labels, groups, mine, theirs = two
    for wrong in (groups[1:], groups - 1):
        with pytest.raises(DataError, match="expected a group, a whole number from 0, for each of 600 segments"):
            interval("acc", labels, wrong, mine)
    other = [FoldPredictions(theirs[0].predictions, ~mine[0].novel)]
    more = [FoldPredictions(np.tile(theirs[0].predictions, (2, 1)), mine[0].novel)]
    for folds in (other, more):
        with pytest.raises(DataError, match="the same novel names, segments and seeds of both systems"):
            difference("acc", labels, groups, mine, folds)
    with pytest.raises(DataError, match="expected the same folds of both systems, got 1 and 2"):
        difference("acc", labels, groups, mine, [*theirs, *theirs])
