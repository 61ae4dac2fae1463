"""evaluate.py semantic as its user meets it: detectron2's file or PNGs in, a report out, and how it refuses."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.vocabulary import Vocabulary
from tests.commands.class_maps import LABELS, MIOU, PREDICTED, save_json, save_maps


def test_label_maps_may_be_tiffs_of_16_bits(call, tmp_path):
    for stem, values in LABELS.items():
        path = tmp_path / "tiff" / f"{stem}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = np.where(np.array(values) == 255, 65535, np.array(values))
        Image.fromarray(stored.astype(np.uint16)).save(path)
    predictions = save_json(tmp_path / "sem_seg_predictions.json", PREDICTED)
    *_, summary = call(predictions, "--ignore", "65535", ground_truth=tmp_path / "tiff")
    assert summary["miou"] == pytest.approx(MIOU)


def test_detectron2s_file_and_pngs_give_the_same_report(call, tmp_path):
    for predictions in (save_json(tmp_path / "p.json", PREDICTED), save_maps(tmp_path / "p", PREDICTED)):
        code, out, _, summary = call(predictions)
        assert code == 0
        assert summary["miou"] == pytest.approx(MIOU)
        assert summary["macc"] == pytest.approx(100 * (1 + 1 / 2 + 2 / 3) / 3)
        assert (summary["n_images"], summary["n_pixels"], summary["n_unpredicted"]) == (2, 9, 0)
        assert summary["protocol"] == "detectron2"
        assert f"{MIOU:.1f}" in out
    with open(tmp_path / "out" / "per_class.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["iou"]) for row in rows] == pytest.approx([80, 33.3333, 66.6667], abs=1e-4)
    assert (tmp_path / "out" / "run.json").exists()


def test_offsets_and_several_ignored_values(call, tmp_path):
    shifted = {stem: [[0 if v == 255 else v + 1 for v in row] for row in rows] for stem, rows in LABELS.items()}
    labels = save_maps(tmp_path / "shifted", shifted)
    flags = ("--ignore", "0", "255", "--offset", "1")
    assert call(save_maps(tmp_path / "p", PREDICTED), *flags, ground_truth=labels)[3]["miou"] == pytest.approx(MIOU)
    predictions = save_json(tmp_path / "p.json", PREDICTED, offset=7)
    code, _, _, summary = call(predictions, *flags, "--prediction-offset", "7", ground_truth=labels)
    assert code == 0
    assert summary["miou"] == pytest.approx(MIOU)


def test_ignoring_class_zero_takes_it_out_of_the_mean_and_predicting_it_is_wrong(call, tmp_path):
    summary = call(save_maps(tmp_path / "p", PREDICTED), "--ignore", "0", "255")[3]
    assert summary["miou"] == pytest.approx(100 * (1 / 3 + 2 / 3) / 2)
    summary = call(save_maps(tmp_path / "p", PREDICTED), "--ignore", "0", "255", "--protocol", "ovseg")[3]
    assert summary["miou"] == pytest.approx(100 * (1 / 3 + 2 / 3) / 3)


def test_pixels_without_a_prediction_are_missed(call, tmp_path):
    nothing = {stem: [[255] * 3] * 2 for stem in LABELS}
    code, _, _, summary = call(save_maps(tmp_path / "p", nothing))
    assert code == 0
    assert (summary["miou"], summary["n_unpredicted"]) == (0, 9)


def test_a_vocabulary_gives_names_and_the_score_of_novel_ones(call, tmp_path):
    Vocabulary(names=("wall", "door", "door frame"), novel=("door frame",)).save(tmp_path / "vocabulary.json")
    classes = ("--vocabulary", tmp_path / "vocabulary.json")
    code, _, _, summary = call(save_maps(tmp_path / "p", PREDICTED), classes=classes)
    assert code == 0
    assert summary["n_miou"] == pytest.approx(100 * 2 / 3)
    assert "door frame,novel,3,2," in (tmp_path / "out" / "per_class.csv").read_text()


def test_sixteen_bit_maps_hold_more_than_255_classes(call, tmp_path):
    labels = save_maps(tmp_path / "many", {"a": [[700, 846], [65535, 255]]}, np.uint16)
    predictions = save_maps(tmp_path / "p", {"a": [[700, 1], [1, 255]]}, np.uint16)
    code, _, _, summary = call(predictions, "--ignore", "65535", ground_truth=labels, classes=("--num-classes", "847"))
    assert code == 0
    assert summary["pacc"] == pytest.approx(100 * 2 / 3)


def bad_predictions(tmp_path, kind):
    path = tmp_path / "p.json"
    if kind == "missing image":
        return save_json(path, {"street/a": PREDICTED["street/a"]})
    if kind == "unknown class":
        return save_json(path, {**PREDICTED, "street/b": [[9] * 3] * 2})
    if kind == "other size":
        return save_json(path, {**PREDICTED, "street/b": [[0] * 4] * 2})
    if kind == "two of one stem":
        return save_maps(tmp_path / "p", {**PREDICTED, "old/street/a": PREDICTED["street/a"]})
    if kind == "damaged":
        entries = json.loads(save_json(path, PREDICTED).read_text())
        entries[3]["segmentation"]["counts"] = "05"
        path.write_text(json.dumps(entries))
        return path
    path.write_text('{"mIoU": 3}')
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing image", "has no prediction for"),
        ("unknown class", "category_id 9 is not one of the classes, 0 to 2"),
        ("other size", "the prediction is 4x2, the label map 3x2"),
        ("two of one stem", "both belong to the label map street/a"),
        ("damaged", "entry 4"),
        ("another file", 'expected {"file_name"'),
    ],
)
def test_bad_predictions_are_one_line(call, tmp_path, kind, says):
    code, out, err, summary = call(bad_predictions(tmp_path, kind))
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert says in err
    assert summary is None


@pytest.mark.parametrize(
    ("flags", "classes", "code", "says"),
    [
        (("--protocol", "torchmetrics"), ("--num-classes", "3"), 2, ""),
        ((), (), 2, "--vocabulary or --num-classes"),
        ((), ("--num-classes", "0"), 2, "--num-classes must be 1"),
        ((), ("--num-classes", "2"), 1, "value 2 is not one of the 2 classes"),
        (("--ignore", "7"), ("--num-classes", "3"), 1, "value 255 is not one of the 3 classes"),
        (("--ignore", "0", "1", "2", "255"), ("--num-classes", "3"), 1, "all of them are ignored"),
    ],
)
def test_bad_flags_are_one_line(call, tmp_path, flags, classes, code, says):
    result, _, err, summary = call(save_maps(tmp_path / "p", PREDICTED), *flags, classes=classes)
    assert result == code
    assert says in err
    assert summary is None
