"""Intervals of mIoU and its kin over pictures, against a bootstrap of the pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from opendas_plugin.errors import DataError
from opendas_plugin.eval.semantic import pixel_confusion, summarise
from opendas_plugin.eval.semantic_intervals import PictureCounts, semantic_difference, semantic_interval

METRICS = ("miou", "macc", "fwiou", "pacc")


def pictures(seed, count=150, classes=4, right=0.6):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        labels = rng.choice(classes, 300, p=[0.4, 0.3, 0.2, 0.1])[None]
        share = np.clip(right + rng.normal(0, 0.2), 0, 1)
        given = np.where(rng.random(labels.shape) < share, labels, rng.integers(0, classes, labels.shape))
        found.append((labels, given))
    return found


@pytest.fixture(scope="module")
def two():
    first = pictures(0)
    rng = np.random.default_rng(1)
    second = [(labels, np.where(rng.random(labels.shape) < 0.1, labels, given)) for labels, given in first]
    return [[pixel_confusion(labels, given, 4) for labels, given in side] for side in (first, second)]


@pytest.mark.parametrize("metric", METRICS)
def test_a_figure_is_that_of_the_summary_and_its_error_that_of_a_bootstrap(two, metric):
    confusions = np.array(two[0])
    counts = PictureCounts.of(two[0])
    found = semantic_interval(metric, counts)
    assert found.value == pytest.approx(summarise(confusions.sum(axis=0), "detectron2")[metric])
    rng = np.random.default_rng(2)
    draws = [
        summarise(confusions[rng.integers(0, len(confusions), len(confusions))].sum(axis=0), "detectron2")[metric]
        for _ in range(600)
    ]
    assert found.error == pytest.approx(np.std(draws), rel=0.15)
    assert found.low < found.value < found.high


def test_a_paired_difference_is_known_better_than_each_of_the_two(two):
    one, other = (PictureCounts.of(side) for side in two)
    change = semantic_difference("miou", other, one)
    parts = [semantic_interval("miou", side) for side in (one, other)]
    assert change.value == pytest.approx(parts[1].value - parts[0].value)
    assert change.error < 0.5 * math.hypot(parts[0].error, parts[1].error)
    assert change.sign == ">" and semantic_difference("miou", one, one).sign == "open"


def test_one_picture_has_no_interval_and_other_pictures_no_difference(two):
    one = PictureCounts.of(two[0][:1])
    assert not semantic_interval("miou", one).known
    with pytest.raises(DataError, match="same labelled pictures"):
        semantic_difference("miou", one, PictureCounts.of(two[0][1:2]))
    assert semantic_interval("miou", one, classes=[]) is None


@pytest.mark.parametrize("metric", METRICS)
def test_where_all_pictures_agree_the_interval_is_the_exact_one_of_as_many_pictures(metric):
    labels = np.array([[0, 0, 1, 1, 2]])
    right, wrong = (PictureCounts.of([pixel_confusion(labels, given, 3)] * 6) for given in (labels, (labels + 1) % 3))
    exact = 100 * binomtest(6, 6).proportion_ci(method="exact").low
    found = semantic_interval(metric, right)
    assert (found.low, found.value, found.high) == pytest.approx((exact, 100, 100))
    found = semantic_interval(metric, wrong)
    assert (found.low, found.value, found.high) == pytest.approx((0, 0, 100 - exact))
