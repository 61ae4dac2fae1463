"""Numbers of label maps and predictions become names by the table that is stated, or are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from opendas_plugin.readers import kitti360
from tests.commands.class_maps import LABELS, MIOU, PREDICTED, save_json, save_maps

STATED = {"wall": 0, "desk": 2, "chair": 3}
"""Label values of three names where a fourth, of the value 1, is ignored."""


def stated(tmp_path, values=STATED, ignored=(1, 255)):
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps({"names": list(values), "values": values, "ignored": list(ignored)}))
    return ("--vocabulary", path)


def renumbered(maps, numbers):
    return {stem: [[numbers.get(value, value) for value in row] for row in rows] for stem, rows in maps.items()}


@pytest.mark.parametrize("numbers", ["places", "labels", "file"])
def test_numbers_become_names_by_the_table_that_is_stated(call, tmp_path, numbers):
    labels = save_maps(tmp_path / "own", renumbered(LABELS, {1: 2, 2: 3}))
    meant = {"places": {}, "labels": {1: 2, 2: 3}, "file": {0: 40, 1: 50, 2: 90}}[numbers]
    (tmp_path / "table.json").write_text('{"wall": 40, "desk": 50, "chair": 90}')
    flags = ("--prediction-values", tmp_path / "table.json" if numbers == "file" else numbers)
    for predictions in (
        save_maps(tmp_path / "p", renumbered(PREDICTED, meant)),
        save_json(tmp_path / "p.json", renumbered(PREDICTED, meant)),
    ):
        code, _, _, summary = call(predictions, *flags, ground_truth=labels, classes=stated(tmp_path))
        assert code == 0
        assert summary["miou"] == pytest.approx(MIOU)


def test_numbers_of_predictions_that_nobody_states_are_refused_where_labels_have_gaps(call, tmp_path):
    labels = save_maps(tmp_path / "own", renumbered(LABELS, {1: 2, 2: 3}))
    code, _, err, summary = call(save_maps(tmp_path / "p", PREDICTED), ground_truth=labels, classes=stated(tmp_path))
    assert (code, summary) == (1, None)
    assert "the label value of 'desk' is 2 and its place 1: say what the numbers of the predictions mean" in err


def test_a_value_outside_the_table_is_an_error_on_both_sides(call, tmp_path):
    labels = save_maps(tmp_path / "own", renumbered(LABELS, {1: 2, 2: 3}))
    given = {"ground_truth": labels, "classes": stated(tmp_path)}
    code, _, err, _ = call(save_maps(tmp_path / "p", {**PREDICTED, "street/b": [[4] * 3] * 2}),
                           "--prediction-values", "labels", **given)  # fmt: skip
    assert (code, "value 4 is not one of the 3 classes, 0, 2, 3" in err) == (1, True)
    save_maps(labels, {"street/b": [[5] * 3] * 2})
    code, _, err, _ = call(save_maps(tmp_path / "q", PREDICTED), "--prediction-values", "places", **given)
    assert (code, "value 5 is not one of the 3 classes" in err) == (1, True)


def test_an_offset_that_differs_from_the_vocabulary_is_an_error(call, tmp_path):
    code, _, err, _ = call(save_maps(tmp_path / "p", PREDICTED), "--offset", "1", classes=stated(tmp_path))
    assert code == 1
    assert "the label value of 'wall' is 0, by --offset it is 1" in err


def test_255_is_a_class_where_there_are_so_many(call, tmp_path):
    labels = save_maps(tmp_path / "many", {"a": [[254, 255, 255, 256]]}, np.uint16)
    predictions = save_maps(tmp_path / "p", {"a": [[254, 3, 255, 256]]}, np.uint16)
    code, _, _, summary = call(predictions, ground_truth=labels, classes=("--num-classes", "300"))
    assert (code, summary["n_pixels"], summary["n_unpredicted"], summary["pacc"]) == (0, 4, 0, 75)
    summary = call(predictions, "--ignore", "255", ground_truth=labels, classes=("--num-classes", "300"))[3]
    assert (summary["n_pixels"], summary["pacc"]) == (2, 100)


COCO_STUFF = [number for number in range(1, 183) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)]


def coco_stuff(tmp_path, classes):
    truth = np.random.default_rng(0).permutation(np.resize(np.arange(classes), 2000)).reshape(40, 50)
    return (
        save_maps(tmp_path / "stuff", {"a": truth.tolist()}),
        save_json(tmp_path / "stuff.json", {"a": np.array(COCO_STUFF)[truth].tolist()}),
    )


@pytest.mark.parametrize("classes", [150, pytest.param(171, marks=pytest.mark.slow)])
def test_dataset_ids_with_gaps_are_read_by_their_table(call, tmp_path, classes):
    labels, predictions = coco_stuff(tmp_path, classes)
    (tmp_path / "ids.json").write_text(json.dumps(COCO_STUFF))
    contiguous = {str(number): place for place, number in enumerate(COCO_STUFF)}
    (tmp_path / "meta.json").write_text(json.dumps({"stuff_dataset_id_to_contiguous_id": contiguous}))
    for table in ("coco-stuff", tmp_path / "ids.json", tmp_path / "meta.json"):
        flags = ("--prediction-values", table)
        summary = call(predictions, *flags, ground_truth=labels, classes=("--num-classes", "171"))[3]
        assert summary["miou"] == 100


@pytest.mark.parametrize(
    ("classes", "flags"),
    [(150, ("--num-classes", "171")), (171, ("--num-classes", "171")), (171, ("--num-classes", "182"))],
)
def test_dataset_ids_with_gaps_are_not_taken_for_places(call, tmp_path, classes, flags):
    labels, predictions = coco_stuff(tmp_path, classes)
    code, _, err, summary = call(predictions, "--prediction-offset", "1", ground_truth=labels, classes=flags)
    assert (code, summary) == (1, None)
    assert "--prediction-values" in err


def test_names_of_a_dataset_with_numbers_of_its_own_need_a_statement(call, tmp_path):
    names = kitti360.class_names(37)
    (tmp_path / "names.json").write_text(json.dumps({"names": names}))
    classes = ("--vocabulary", tmp_path / "names.json")
    ids = {label.kitti_id - 1: label.id for label in kitti360.LABELS if label.kitti_id > 0}
    labels = save_maps(tmp_path / "k", {"a": [[ids[0], ids[1], ids[36], 0]]})
    predictions = save_maps(tmp_path / "p", {"a": [[0, 1, 36, 36]]})
    code, _, err, _ = call(predictions, ground_truth=labels, classes=classes)
    assert (code, "--label-values kitti360 or places" in err) == (1, True)
    flags = ("--label-values", "kitti360", "--prediction-values", "places")
    assert call(predictions, *flags, ground_truth=labels, classes=classes)[3]["pacc"] == 100


def test_a_vocabulary_without_label_values_says_so(call, tmp_path, caplog):
    (tmp_path / "old.json").write_text('{"names": ["wall", "door", "mug"]}')
    assert call(save_maps(tmp_path / "p", PREDICTED), classes=("--vocabulary", tmp_path / "old.json"))[0] == 0
    assert "states no label values" in caplog.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"wall": 0, "desk": 2}', "'chair' has no value"),
        ('{"wall": 0, "desk": 0, "chair": 1}', "0 has two meanings"),
        ("[0, 1]", "the numbers of 3 names, got 2"),
        ('{"names": ["wall"]}', 'it has no "values"'),
        ("0 wall\ndesk\n", "line 2"),
        ("3", "expected"),
    ],
)
def test_a_table_that_does_not_fit_the_names_is_one_line(call, tmp_path, text, says):
    (tmp_path / "table.txt").write_text(text)
    flags = ("--label-values", tmp_path / "table.txt")
    code, _, err, summary = call(save_maps(tmp_path / "p", PREDICTED), *flags, classes=stated(tmp_path))
    assert (code, summary) == (1, None)
    assert "table.txt" in err
    assert says in err
