"""Metrics against scikit-learn, whose labels= and zero_division= are spelt out, and against values worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from opendas_plugin.errors import DataError
from opendas_plugin.eval.classification import (
    accuracy,
    confusion_matrix,
    f1_per_class,
    harmonic_mean,
    macro_f1,
    summarise,
    weighted_f1,
)
from opendas_plugin.vocabulary import Vocabulary

CLASSES = 6
BASE, NOVEL = (0, 1, 3), (2, 4, 5)
indices = st.integers(0, CLASSES - 1)
pairs = st.lists(st.tuples(indices, indices), min_size=1, max_size=60)


def sklearn_f1(labels, predictions, chosen, average):
    return 100 * metrics.f1_score(labels, predictions, labels=list(chosen), average=average, zero_division=0)


@given(pairs)
def test_every_score_equals_scikit_learns(sample):
    labels, predictions = map(list, zip(*sample, strict=True))
    confusion = confusion_matrix(labels, predictions, CLASSES)
    everything = range(CLASSES)
    assert np.array_equal(confusion, metrics.confusion_matrix(labels, predictions, labels=list(everything)))
    assert accuracy(confusion) == pytest.approx(100 * metrics.accuracy_score(labels, predictions))
    assert f1_per_class(confusion) == pytest.approx(sklearn_f1(labels, predictions, everything, None))
    assert weighted_f1(confusion) == pytest.approx(sklearn_f1(labels, predictions, everything, "weighted"))
    assert macro_f1(confusion) == pytest.approx(sklearn_f1(labels, predictions, sorted(set(labels)), "macro"))
    for chosen in (BASE, NOVEL):
        if set(chosen) & set(labels):
            assert weighted_f1(confusion, chosen) == pytest.approx(sklearn_f1(labels, predictions, chosen, "weighted"))
        else:
            assert weighted_f1(confusion, chosen) is None


@given(pairs)
def test_weighted_f1_is_the_mean_of_base_and_novel_by_segments(sample):
    confusion = confusion_matrix(*zip(*sample, strict=True), CLASSES)
    support = confusion.sum(axis=1)
    parts = [(weighted_f1(confusion, part) or 0.0) * support[list(part)].sum() for part in (BASE, NOVEL)]
    assert weighted_f1(confusion) == pytest.approx(sum(parts) / support.sum())


def test_a_novel_segment_taken_for_a_base_name_lowers_the_base_names_f1():
    names = ("door", "wall", "door frame")
    vocabulary = Vocabulary(names=names, novel=("door frame",))
    right = confusion_matrix([0, 0, 1, 2], [0, 0, 1, 2], 3)
    wrong = confusion_matrix([0, 0, 1, 2], [0, 0, 1, 0], 3)
    nothing = confusion_matrix([0], [0], 1)
    assert summarise(right, nothing, vocabulary)["b_f1"] == 100
    # door: 2 TP, 1 FP -> F1 = 4/5; wall: 1; by segments (2 * 80 + 1 * 100) / 3
    assert summarise(wrong, nothing, vocabulary)["b_f1"] == pytest.approx(260 / 3)
    assert summarise(wrong, nothing, vocabulary)["n_f1"] == 0


def test_summary_has_the_contracts_fields_and_none_where_nothing_was_scored():
    vocabulary = Vocabulary(names=("door", "wall"))
    summary = summarise(confusion_matrix([0, 1, 1], [0, 1, 0], 2), np.zeros((0, 0), np.int64), vocabulary)
    assert summary["acc"] == pytest.approx(200 / 3)
    assert summary["n_segments"] == 3
    assert summary["b_f1"] == summary["w_f1"]
    assert summary["n_f1"] is None
    assert summary["harmonic_f1"] is None
    assert summary["novel_only"] is None


def test_novel_only_scores_come_from_the_novel_matrix_alone():
    vocabulary = Vocabulary(names=("door", "stool", "mug"), novel=("stool", "mug"))
    joint = confusion_matrix([1, 2], [0, 0], 3)
    summary = summarise(joint, confusion_matrix([0, 1], [0, 0], 2), vocabulary)
    assert summary["n_f1"] == 0
    assert summary["novel_only"] == {"acc": 50.0, "w_f1": pytest.approx(100 / 3)}


@pytest.mark.parametrize(("first", "second", "mean"), [(50, 50, 50), (100, 50, 200 / 3), (0, 0, 0), (0, 80, 0)])
def test_harmonic_mean_by_hand(first, second, mean):
    assert harmonic_mean(first, second) == pytest.approx(mean)


def test_no_segments_score_nothing():
    empty = np.zeros((3, 3), np.int64)
    assert accuracy(empty) is None
    assert weighted_f1(empty) is None
    assert macro_f1(empty) is None


@pytest.mark.parametrize(("labels", "predictions"), [([0, 1], [0]), ([0, 3], [0, 0]), ([0], [-1])])
def test_labels_that_do_not_fit_are_refused(labels, predictions):
    with pytest.raises(DataError, match="expected"):
        confusion_matrix(labels, predictions, 3)
