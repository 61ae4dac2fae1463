"""Semantic metrics: worked by hand, and against the rules of detectron2 and OVSeg written out plainly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.eval.semantic import NONE, iou_per_class, mean_iou, per_class, pixel_confusion, summarise

CLASSES = 5
NOVEL = (1, 4)
pixels = st.lists(
    st.tuples(st.integers(NONE, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=60
).filter(lambda found: any(label != NONE for label, _ in found))


def confusion_of(labels, predictions, classes=CLASSES):
    return pixel_confusion(np.array([labels]), np.array([predictions]), classes)


def host_rule(sample, protocol):
    """SemSegEvaluator.evaluate and GeneralizedSemSegEvaluator.evaluate, class by class in plain Python."""
    kept = [(label, guess) for label, guess in sample if label != NONE]
    tp = [sum(label == guess == c for label, guess in kept) for c in range(CLASSES)]
    pos_gt = [sum(label == c for label, _ in kept) for c in range(CLASSES)]
    pos_pred = [sum(guess == c for _, guess in kept) for c in range(CLASSES)]
    there = [c for c in range(CLASSES) if pos_gt[c]]
    iou = {c: tp[c] / (pos_gt[c] + pos_pred[c] - tp[c]) for c in there}

    def mean(classes):
        if protocol == "detectron2":
            counted = sum(pos_gt[c] > 0 for c in classes)
        else:
            counted = sum(pos_gt[c] + pos_pred[c] > 0 for c in classes)
        return 100 * sum(iou[c] for c in classes if c in iou) / counted if counted else None

    return {
        "miou": mean(range(CLASSES)),
        "macc": 100 * np.mean([tp[c] / pos_gt[c] for c in there]),
        "fwiou": 100 * sum(iou[c] * pos_gt[c] for c in there) / len(kept),
        "pacc": 100 * sum(tp) / len(kept),
        "b_miou": mean([c for c in range(CLASSES) if c not in NOVEL]),
        "n_miou": mean(NOVEL),
    }


@pytest.mark.parametrize("protocol", ["detectron2", "ovseg"])
@given(sample=pixels)
def test_every_score_is_the_hosts(sample, protocol):
    labels, predictions = zip(*sample, strict=True)
    scores = summarise(confusion_of(labels, predictions), protocol, NOVEL)
    for key, value in host_rule(sample, protocol).items():
        assert scores[key] == pytest.approx(value), key


@given(pixels)
def test_iou_of_a_class_is_scikit_learns_jaccard_score(sample):
    labels, predictions = zip(*[pair for pair in sample if pair[0] != NONE], strict=True)
    expected = 100 * metrics.jaccard_score(
        labels, predictions, labels=list(range(CLASSES)), average=None, zero_division=0
    )
    assert np.nan_to_num(iou_per_class(confusion_of(labels, predictions))) == pytest.approx(expected)


def test_the_protocols_differ_by_a_class_that_is_predicted_and_not_there():
    confusion = confusion_of([0, 0, 0, 1], [0, 0, 2, 1])  # IoU 2/3, 1 and, not there, 0
    assert mean_iou(confusion, "detectron2") == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert mean_iou(confusion, "ovseg") == pytest.approx(100 * (2 / 3 + 1) / 3)


def test_ignored_pixels_count_nowhere_and_unpredicted_ones_as_missed():
    confusion = confusion_of([0, 0, NONE, 1], [0, NONE, 1, 1])
    scores = summarise(confusion, "detectron2")
    assert confusion.sum() == 3
    assert scores["pacc"] == pytest.approx(100 * 2 / 3)
    assert scores["miou"] == pytest.approx(100 * (1 / 2 + 1) / 2)
    assert per_class(confusion)[1] == {"pixels": 1, "predicted": 1, "iou": 100.0, "acc": 100.0}
    assert per_class(confusion)[4] == {"pixels": 0, "predicted": 0, "iou": None, "acc": None}


def test_images_add_up_pixel_by_pixel_not_image_by_image():
    first, second = confusion_of([0] * 9 + [1], [0] * 10), confusion_of([1], [1])
    assert summarise(first + second, "detectron2")["miou"] == pytest.approx(100 * (9 / 10 + 1 / 2) / 2)


def test_harmonic_iou_of_base_and_novel():
    confusion = confusion_of([0, 0, 1, 1, 1, 1], [0, 0, 1, 1, NONE, NONE])
    scores = summarise(confusion, "detectron2", [1])
    assert (scores["b_miou"], scores["n_miou"]) == (100, 50)
    assert scores["hiou"] == pytest.approx(200 / 3)
    assert (scores["b_pacc"], scores["n_pacc"]) == (100, 50)
    alone = summarise(confusion, "detectron2")
    assert alone["b_miou"] is None
    assert alone["hiou"] is None


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(DataError, match="ignored"):
        summarise(confusion_of([NONE], [0]), "ovseg")
    with pytest.raises(ConfigError, match="detectron2 or ovseg"):
        summarise(confusion_of([0], [0]), "torchmetrics")
    with pytest.raises(DataError, match="size"):
        pixel_confusion(np.zeros((2, 2), int), np.zeros((2, 3), int), CLASSES)
    for labels, predictions in (([5], [0]), ([0], [5]), ([-2], [0])):
        with pytest.raises(DataError, match="expected"):
            confusion_of(labels, predictions)
