"""evaluate.py semantic as its user meets it: detectron2's file or PNGs in, a report out, and how it refuses."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands.evaluate import main
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.segments import encode
from opendas_plugin.eval.masks import write_proposals
from opendas_plugin.readers import kitti360
from opendas_plugin.vocabulary import Vocabulary

# 2 x 3 pixels, classes 0..2, 255 to ignore
LABELS = {"street/a": [[0, 0, 1], [1, 255, 255]], "street/b": [[2, 2, 2], [0, 0, 255]]}
PREDICTED = {"street/a": [[0, 0, 1], [0, 1, 2]], "street/b": [[2, 1, 2], [0, 0, 0]]}
# hits 4, 1, 2; true 4, 2, 3; predicted 5, 2, 2 -> IoU 4/5, 1/3, 2/3
MIOU = 100 * (4 / 5 + 1 / 3 + 2 / 3) / 3


def save_maps(folder, maps, dtype=np.uint8):
    for stem, values in maps.items():
        path = folder / f"{stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array(values, dtype=dtype)).save(path)
    return folder


def save_json(path, maps, folder="/data/images", offset=0):
    entries = [
        {
            "file_name": f"{folder}/{stem}.jpg",
            "category_id": int(value) + offset,
            "segmentation": encode(values == value),
        }
        for stem, values in ((stem, np.array(values)) for stem, values in maps.items())
        for value in np.unique(values)
    ]
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def call(tmp_path, capsys):
    """Runs the command; returns exit code, stdout, the last line of stderr, and the summary or None."""
    labels = save_maps(tmp_path / "labels", LABELS)

    def run(predictions, *flags, ground_truth=labels, classes=("--num-classes", "3")):
        out = tmp_path / "out"
        given = ["--predictions", predictions, "--ground-truth", ground_truth, "--output", out, *classes, *flags]
        protocol = () if "--protocol" in flags else ("--protocol", "detectron2")
        code = main(["semantic", *map(str, given), *protocol])
        captured = capsys.readouterr()
        summary = out / "summary.json"
        return (
            code,
            captured.out,
            captured.err.splitlines()[-1] if captured.err else "",
            json.loads(summary.read_text()) if summary.exists() else None,
        )

    return run


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


@pytest.mark.parametrize("classes", [150, 171])
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


@pytest.fixture
def masks(domain, tmp_path):
    """The blocks' validation segments as masks without names, and label maps of their true classes."""
    data = load_domain(domain)
    nameless = [replace(one, label="", group=str(one.image.relative_to(domain))) for one in data.val]
    write_proposals(tmp_path / "masks.json", nameless)
    for image in {segment.image for segment in data.val}:
        labels = np.full((64, 96), 255, np.uint8)
        for segment in data.val:
            if segment.image == image:
                labels[segment.mask()] = data.vocabulary.index[segment.label]
        path = tmp_path / "truth" / image.relative_to(domain).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(labels).save(path)
    return {"--masks": tmp_path / "masks.json", "--images": domain, "--vocabulary": domain / "vocabulary.json"}


def test_masks_are_classified_first_and_their_maps_can_be_scored_again(masks, domain, tiny_backbone, tmp_path, capsys):
    def run(output, *flags):
        given = ["--ground-truth", tmp_path / "truth", "--protocol", "detectron2", "--output", tmp_path / output]
        assert main(["semantic", *map(str, [*given, *flags])]) == 0
        return json.loads((tmp_path / output / "summary.json").read_text())

    flags = [part for pair in masks.items() for part in pair]
    first = run("first", *flags, "--backbone", tiny_backbone, "--expand", "0")
    assert "zero-shot" in capsys.readouterr().out
    assert (first["n_masks"], first["n_images"], first["adapter"]) == (len(load_domain(domain).val), 3, None)
    assert first["crop"]["expand"] == 0
    assert first["n_unpredicted"] == 0
    again = run(
        "again", "--predictions", tmp_path / "first" / first["predictions"], "--vocabulary", masks["--vocabulary"]
    )
    assert {key: again[key] for key in ("miou", "macc", "pacc", "hiou")} == {
        key: first[key] for key in ("miou", "macc", "pacc", "hiou")
    }
    # every segment is one mask, so that the share of right pixels follows from the classification
    assert main(["classification", "--data", str(domain), "--backbone", tiny_backbone, "--expand", "0",
                 "--output", str(tmp_path / "names")]) == 0  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "names" / "predictions.jsonl").read_text().splitlines()]
    areas = [segment.area for segment in load_domain(domain).val]
    right = sum(area for area, line in zip(areas, lines, strict=True) if line["label"] == line["prediction"])
    assert first["pacc"] == pytest.approx(100 * right / sum(areas))


def test_pictures_without_masks_are_found_first_and_count_as_missed(masks, domain, tiny_backbone, tmp_path, capsys):
    entries = json.loads((tmp_path / "masks.json").read_text())
    bare = entries[0]["file_name"]
    (tmp_path / "masks.json").write_text(json.dumps([one for one in entries if one["file_name"] != bare]))

    def run(output, *flags):
        given = ["--ground-truth", tmp_path / "truth", "--protocol", "detectron2", "--output", tmp_path / output]
        code = main(["semantic", *map(str, [*given, *flags])])
        path = tmp_path / output / "summary.json"
        return code, json.loads(path.read_text()) if path.exists() else None

    flags = [part for pair in masks.items() for part in pair]
    code, first = run("first", *flags, "--backbone", tiny_backbone)
    pixels = (np.array(Image.open((tmp_path / "truth" / bare).with_suffix(".png"))) != 255).sum()
    assert (code, first["n_images"], first["n_images_without_masks"]) == (0, 3, 1)
    assert first["n_unpredicted"] == pixels
    again = ("--predictions", tmp_path / "first" / first["predictions"], "--vocabulary", masks["--vocabulary"])
    assert run("again", *again)[1]["miou"] == first["miou"]
    Image.new("L", (96, 64)).save(tmp_path / "truth" / "nowhere.png")
    assert run("third", *flags, "--backbone", tiny_backbone) == (1, None)
    assert "nowhere.png has neither masks nor a picture" in capsys.readouterr().err
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ((), "--predictions or --masks"),
        (("--masks", "m.json", "--predictions", "p.json"), "--predictions or --masks"),
        (("--masks", "m.json"), "--masks needs --vocabulary and --images"),
    ],
)
def test_flags_that_do_not_go_together_are_bad_usage(tmp_path, capsys, flags, says):
    needed = ("--ground-truth", "g", "--protocol", "ovseg", "--output", str(tmp_path), "--num-classes", "3")
    assert main(["semantic", *needed, *flags]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "cannot be read as a picture"),
        (lambda path: Image.fromarray(np.full((64, 96), 77, np.uint8)).save(path), "77"),
    ],
    ids=["cut off", "a value that is no class"],
)
def test_a_bad_label_map_is_found_before_masks_are_named(masks, tiny_backbone, tmp_path, capsys, spoil, says):
    last = sorted((tmp_path / "truth").rglob("*.png"))[-1]
    spoil(last)
    given = ["--ground-truth", tmp_path / "truth", "--protocol", "detectron2", "--output", tmp_path / "out"]
    flags = [*given, *(part for pair in masks.items() for part in pair), "--backbone", tiny_backbone]
    assert main(["semantic", *map(str, flags)]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert last.name in error and says in error
    assert not (tmp_path / "out").exists()
