"""ScanNet's average precision: cases worked by hand, and the real evaluator of OpenMask3D where its checkout is."""

from __future__ import annotations

import importlib
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from opendas_plugin.errors import DataError
from opendas_plugin.eval.instance3d import THRESHOLDS, Instance, InstanceAccumulator

CHAIR, DESK, MUG, WALL = 2, 5, 7, 9  # WALL is not scored: its points are void


def cloud(*runs):
    """(N,) ground truth of runs of points: (class * 1000 + instance, points) each."""
    return np.concatenate([np.full(points, number) for number, points in runs])


def score(truth, *predictions, classes=(CHAIR, DESK, MUG), kept=None):
    """Scores one scene; a prediction is (slice or rows, class, score)."""
    accumulator = InstanceAccumulator(classes)
    rows = np.arange(len(truth))
    accumulator.add(truth, [Instance(rows[points], *rest) for points, *rest in predictions], kept)
    return accumulator


def means(*arguments, **keywords):
    """The scores of the chairs, which are the first class."""
    return score(*arguments, **keywords).scores().means([0])


TWO_CHAIRS = cloud((2001, 200), (2002, 200), (5001, 400))
FIRST, SECOND = slice(0, 200), slice(200, 400)


def test_the_thresholds_are_nine_from_one_half_and_one_quarter():
    assert pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.25]) == THRESHOLDS


def test_everything_found_scores_100_and_nothing_predicted_0():
    perfect = means(TWO_CHAIRS, (FIRST, CHAIR, 0.9), (SECOND, CHAIR, 0.1))
    assert perfect == dict.fromkeys(("ap", "ap50", "ap25", "recall", "recall50", "recall25"), 100)
    assert set(means(TWO_CHAIRS).values()) == {0}
    one = score(TWO_CHAIRS, (FIRST, CHAIR, 0.9), (SECOND, CHAIR, 0.1)).scores()
    assert (one.instances, one.means()["ap"]) == ((2, 1, 0), 50)  # nothing was predicted for the desk
    assert set(means(TWO_CHAIRS, (FIRST, DESK, 0.9)).values()) == {0}


def test_ap_counts_the_thresholds_that_the_iou_exceeds_and_not_those_it_equals():
    # 120 of 200 points: IoU 0.6, above 0.5 and 0.55, and not above 0.6
    found = means(cloud((2001, 200)), (slice(0, 120), CHAIR, 1.0))
    assert (found["ap"], found["ap50"], found["ap25"]) == (pytest.approx(100 * 2 / 9), 100, 100)
    assert means(cloud((2001, 200)), (slice(0, 100), CHAIR, 1.0))["ap50"] == 0  # IoU 0.5


def test_the_area_under_the_curve_is_summed_by_centred_steps():
    # right at 0.9, wrong at 0.5, right at 0.3: precision 2/3, 1/2, 1, 1 at recall 1, 1/2, 1/2, 0
    noise = (slice(400, 600), CHAIR, 0.5)
    found = means(TWO_CHAIRS, (FIRST, CHAIR, 0.9), noise, (SECOND, CHAIR, 0.3))
    # steps: half the fall of recall from the point before to the point after, the last point followed by 0
    expected = 2 / 3 * (1 - 1 / 2) / 2 + 1 / 2 * (1 - 1 / 2) / 2 + 1 * (1 / 2 - 0) / 2 + 1 * (1 / 2 - 0) / 2
    assert found["ap50"] == pytest.approx(100 * expected)
    assert found["recall50"] == 100


def test_predictions_of_one_score_enter_the_curve_together():
    noise = (slice(400, 600), CHAIR, 0.5)
    together = means(TWO_CHAIRS, (FIRST, CHAIR, 0.5), noise, (SECOND, CHAIR, 0.5))
    assert together == means(TWO_CHAIRS, noise, (SECOND, CHAIR, 0.5), (FIRST, CHAIR, 0.5))
    # precision 2/3 and 1 at recall 1 and 0: (1 - 0) / 2 * 2/3 + (1 - 0) / 2
    assert together["ap50"] == pytest.approx(100 * (2 / 3 + 1) / 2)


def test_a_duplicate_is_a_false_positive_with_the_lower_score():
    one = cloud((2001, 200), (0, 200))
    for scores in ((0.8, 0.3), (0.3, 0.8)):  # the wrong one comes after recall is 1, and costs nothing
        assert means(one, *((FIRST, CHAIR, value) for value in scores))["ap50"] == 100
    # equal scores: one point of precision 1/2 at recall 1
    assert means(one, (FIRST, CHAIR, 0.8), (FIRST, CHAIR, 0.8))["ap50"] == pytest.approx(100 * (0.5 + 1) / 2)


def test_predictions_on_void_are_neither_right_nor_wrong():
    truth = cloud((2001, 200), (9001, 300), (5001, 200), (0, 200))
    wall, half, nothing = ((slice(*rows), CHAIR, 0.95) for rows in ((200, 500), (440, 560), (700, 900)))
    right = (FIRST, CHAIR, 0.9)
    assert means(truth, right, wall)["ap50"] == 100
    assert means(truth, right, nothing)["ap50"] == 100  # points without any class are void as well
    assert means(truth, right, half)["ap50"] < 100  # half of it is void, and that is not more than the threshold
    assert means(truth, right, half)["ap25"] == 100


def test_a_prediction_on_another_class_is_wrong():
    truth = cloud((2001, 200), (5001, 200))
    assert means(truth, (FIRST, CHAIR, 0.5), (SECOND, DESK, 0.5))["ap50"] == 100
    assert means(truth, (FIRST, CHAIR, 0.5), (SECOND, CHAIR, 0.9))["ap50"] < 50


def test_small_instances_are_not_asked_for_and_finding_them_is_not_wrong():
    truth = cloud((2001, 200), (2002, 99), (5001, 200))
    small = (slice(200, 300), CHAIR, 0.95)  # 99 of its points and one more
    assert means(truth, (FIRST, CHAIR, 0.5))["recall50"] == 100
    assert means(truth, (FIRST, CHAIR, 0.5), small)["ap50"] == 100
    # partly on the small one: 60 of 110 points do not count against it, and are no match
    partly = means(truth, (FIRST, CHAIR, 0.5), (slice(239, 349), CHAIR, 0.9))
    assert partly["ap50"] == 100
    assert partly["ap"] < 100
    # and a prediction of fewer than 100 points is none at all
    assert means(truth, (FIRST, CHAIR, 0.5), (slice(330, 429), CHAIR, 0.9))["ap50"] == 100


def test_groups_are_ignored_where_class_0_is_scored():
    truth = cloud((7, 300), (2001, 200))
    classes = (0, CHAIR)
    right = (slice(300, 500), CHAIR, 0.5)
    found = score(truth, (slice(0, 300), 0, 0.9), right, classes=classes).scores()
    assert found.instances == (0, 1)
    assert np.isnan(found.ap[0]).all()
    assert found.means()["ap"] == 100


def test_a_class_without_instances_does_not_enter_the_mean_and_its_predictions_are_forgotten():
    chairs = cloud((2001, 200), (2002, 200))
    found = score(chairs, (FIRST, CHAIR, 1.0), (SECOND, CHAIR, 1.0), (FIRST, MUG, 1.0)).scores()
    assert np.isnan(found.ap[2]).all()
    assert found.means()["ap"] == 100
    assert found.means([2]) == dict.fromkeys(found.means())
    with pytest.raises(DataError, match="no instance"):
        means(cloud((9001, 200)))


def test_masks_alone_are_scored_whatever_their_class():
    accumulator = score(TWO_CHAIRS, (FIRST, MUG, 0.9), (SECOND, WALL, 0.8), (slice(400, 800), CHAIR, 0.7))
    assert accumulator.scores().means()["ap"] == 0
    assert accumulator.agnostic_scores().means()["ap"] == pytest.approx(100)


def test_scenes_are_scored_together():
    accumulator = InstanceAccumulator([CHAIR])
    rows = np.arange(200)
    accumulator.add(cloud((2001, 200)), [Instance(rows, CHAIR, 0.2)])
    accumulator.add(cloud((2001, 200)), [])
    assert accumulator.scores().means()["ap"] == pytest.approx(50)
    assert accumulator.scores().means()["recall"] == pytest.approx(50)


def test_left_out_points_are_on_neither_side():
    truth = cloud((2001, 300))
    half = np.arange(300) < 150
    assert means(truth, (slice(0, 150), CHAIR, 1.0))["ap"] == 0
    assert means(truth, (slice(0, 150), CHAIR, 1.0), kept=half)["ap"] == 100
    assert score(truth, (slice(200, 300), CHAIR, 1.0), kept=half).scores().predictions[0] == 0


def test_a_point_that_the_cloud_lacks_is_an_error():
    with pytest.raises(DataError, match="points 0 to 399"):
        InstanceAccumulator([CHAIR]).add(np.zeros(400, int), [Instance(np.array([400]), CHAIR, 1.0)])


def random_scene(rng, points=4000, classes=(CHAIR, DESK, MUG, WALL)):
    """Instances of all sizes around the smallest that counts, predictions with ties, duplicates and other classes."""
    truth = np.zeros(points, int)
    place = number = 0
    while place < points:
        size, number = int(rng.choice([30, 99, 100, 150, 300])), number + 1
        truth[place : place + size] = rng.choice([0, *(1000 * np.array(classes) + number)])
        place += size
    predictions = []
    for _ in range(30):
        rows = np.flatnonzero((truth == rng.choice(truth[truth > 0])) & (rng.random(points) < rng.uniform(0.2, 1.3)))
        start = rng.integers(points - 100)
        rows = np.union1d(rows, np.arange(start, start + rng.integers(100)))
        kind = int(rng.choice([*classes, *([truth[rows[0]] // 1000] * 9)]))
        predictions += [(rows, kind, round(float(rng.random()), 1))] * int(rng.integers(1, 3))
    return truth, predictions


@pytest.fixture
def upstream(monkeypatch):
    """OpenMask3D's evaluation module from its checkout, with stand-ins for what it imports and does not use here."""
    root = os.environ.get("OPENMASK3D_ROOT")
    if not root:
        pytest.skip("OPENMASK3D_ROOT names no checkout")
    for name in ("imageio", "plyfile", "eval_semantic_instance", "util", "util_3d"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "imageio", types.ModuleType("imageio"))
    plyfile = types.ModuleType("plyfile")
    plyfile.PlyData = plyfile.PlyElement = None
    monkeypatch.setitem(sys.modules, "plyfile", plyfile)
    monkeypatch.syspath_prepend(str(Path(root) / "openmask3d" / "evaluation"))
    monkeypatch.setattr(np, "in1d", np.isin, raising=False)
    module = importlib.import_module("eval_semantic_instance")
    names = {CHAIR: "chair", DESK: "desk", MUG: "mug"}
    module.VALID_CLASS_IDS, module.CLASS_LABELS, module.ID_TO_LABEL = np.array(list(names)), list(names.values()), names
    return module


@pytest.mark.parametrize("seed", range(5))
def test_random_predictions_score_as_in_openmask3ds_evaluator(upstream, tmp_path, seed):
    rng = np.random.default_rng(seed)
    accumulator, matches = InstanceAccumulator((CHAIR, DESK, MUG)), {}
    for scene in range(3):
        truth, predictions = random_scene(rng)
        np.savetxt(tmp_path / f"{scene}.txt", truth, fmt="%d")
        masks = np.zeros((len(truth), len(predictions)))
        for column, (rows, *_) in enumerate(predictions):
            masks[rows, column] = 1
        kinds, scores = (np.array([prediction[place] for prediction in predictions]) for place in (1, 2))
        given = {"pred_masks": masks, "pred_classes": kinds, "pred_scores": scores}
        truths, found = upstream.assign_instances_for_scan(given, str(tmp_path / f"{scene}.txt"))
        matches[scene] = {"gt": truths, "pred": found}
        accumulator.add(truth, [Instance(*prediction) for prediction in predictions])
    precision, _, recall, _ = upstream.evaluate_matches(matches)
    ours = accumulator.scores()
    assert ours.ap == pytest.approx(100 * precision[0], abs=1e-9, nan_ok=True)
    assert ours.recall == pytest.approx(100 * recall[0], abs=1e-9, nan_ok=True)
    averages = upstream.compute_averages(precision)
    keys = {"ap": "all_ap", "ap50": "all_ap_50%", "ap25": "all_ap_25%"}
    means = ours.means()
    assert {key: means[key] for key in keys} == pytest.approx({key: 100 * averages[name] for key, name in keys.items()})
