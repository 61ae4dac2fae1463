"""evaluate.py instance3d as its user meets it: both benchmarks' files in, a report out, and how it refuses."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from opendas_plugin.commands.evaluate import main
from opendas_plugin.vocabulary import Vocabulary
from tests.commands.instances import CHAIR_MASK, NAMES, Files


@pytest.fixture(params=["scannet", "scannetpp"])
def files(request, tmp_path):
    return Files(tmp_path, request.param)


@pytest.fixture
def call(files, capsys):
    def run(*flags):
        code = main(files.flags(*flags))
        captured = capsys.readouterr()
        return code, captured.out, captured.err.splitlines()[-1] if captured.err else ""

    return run


def test_a_report_has_ap_recall_and_every_class(call, files):
    code, out, _ = call()
    assert code == 0
    assert files.summary["ap"] == files.summary["ap50"] == files.summary["recall"] == 100
    assert files.summary["agnostic"]["ap"] == 100
    assert files.summary["protocol"] == files.protocol
    assert (files.summary["n_scenes"], files.summary["n_instances"], files.summary["n_predictions"]) == (1, 2, 2)
    assert "100.0" in out
    with open(files.folder / "out" / "per_class.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["name"], row["ap"]) for row in rows] == [
        ("1", "office chair", "100.0000"),
        ("2", "desk", "100.0000"),
    ]
    assert (files.folder / "out" / "run.json").exists()


def test_wrong_names_leave_the_masks_score(call, files):
    files.predictions(f"masks/chair{files.suffix} 2 0.9", f"masks/desk{files.suffix} 1 0.8")
    assert call()[0] == 0
    assert files.summary["ap25"] == 0
    assert files.summary["agnostic"]["ap"] == 100


def test_base_and_novel_classes_apart(call, files):
    Vocabulary(names=("desk", "Office_Chair"), novel=("Office_Chair",)).save(files.folder / "vocabulary.json")
    files.predictions(f"masks/chair{files.suffix} 1 0.9")
    code, out, _ = call("--vocabulary", files.folder / "vocabulary.json")
    assert code == 0
    assert (files.summary["base"]["ap"], files.summary["novel"]["ap"], files.summary["ap"]) == (0, 100, 50)
    assert "novel" in out


def test_names_that_the_vocabulary_lacks_were_not_trained_and_are_novel(call, files, caplog):
    """As by --base-from: the desk, which was trained, is found; the office chair, in no vocabulary, is not."""
    Vocabulary(names=("desk", "mug"), novel=("mug",)).save(files.folder / "vocabulary.json")
    files.predictions(f"masks/desk{files.suffix} 2 0.9")
    code, _, _ = call("--vocabulary", files.folder / "vocabulary.json")
    assert (code, files.summary["ap"]) == (0, 50)
    assert (files.summary["base"]["ap"], files.summary["novel"]["ap"]) == (100, 0)
    assert "office chair,novel," in (files.folder / "out" / "per_class.csv").read_text()
    assert "not trained by it, and count as novel" in caplog.text
    for names, novel in ((("desk", "mug", "wall"), ("desk",)), (("sky",), ())):
        Vocabulary(names=names, novel=novel).save(files.folder / "vocabulary.json")
        assert (
            "trained none of the names to score (3 names, 'floor' first); give"
            in call("--vocabulary", files.folder / "vocabulary.json")[2]
        )


def test_of_a_name_and_its_plural_each_counts_as_the_vocabulary_says(call, files):
    Vocabulary(names=("desk", "office chairs", "office chair"), novel=("office chair",)).save(files.folder / "v.json")
    files.predictions(f"masks/chair{files.suffix} 1 0.9")
    assert call("--vocabulary", files.folder / "v.json")[0] == 0
    assert "office chair,novel," in (files.folder / "out" / "per_class.csv").read_text()
    assert (files.summary["base"]["ap"], files.summary["novel"]["ap"]) == (0, 100)


@pytest.mark.parametrize("number", ["9", "-1", "1.5"])
def test_a_predicted_class_that_the_list_lacks_is_an_error(call, files, number):
    files.predictions(f"masks/chair{files.suffix} 1 0.9", f"masks/desk{files.suffix} {number} 0.8")
    code, _, err = call()
    assert code == 1
    assert "room.txt, line 2" in err
    assert not (files.folder / "out" / "summary.json").exists()


def test_a_true_class_that_the_list_lacks_is_an_error_unless_it_is_void(call, files):
    truth = (files.folder / "gt" / "room.txt").read_text().replace("2002", "40001")
    files.write("gt/room.txt", truth)
    code, _, err = call()
    assert code == 1
    assert "class ids 40, which are not in --classes" in err
    files.predictions(f"masks/chair{files.suffix} 1 0.9")
    assert call("--void", "40")[0] == 0
    assert (files.summary["n_instances"], files.summary["ap"]) == (1, 100)
    assert "--void and --classes both have the class id 2" in call("--void", "2")[2]


def test_class_0_of_scannetpps_list_is_scored(tmp_path, caplog):
    files = Files(tmp_path, "scannetpp")
    files.write("gt/room.txt", "".join(f"{number}\n" for number in np.repeat([1, 2, 1003], 200)))
    files.write("classes.txt", "chair\ndesk\n")
    files.write("scored.txt", "chair\ndesk\n")
    files.mask("chair", np.arange(600) < 200)
    files.mask("desk", np.arange(600) >= 400)
    files.predictions("masks/chair.json 0 0.9", "masks/desk.json 1 0.9")
    assert main(files.flags()) == 0
    assert files.summary["n_instances"] == 3
    assert files.summary["recall50"] == 75  # one of two chairs, the desk
    assert "'chair' is class 0" in caplog.text
    files.write("scored.txt", "desk\n")
    assert main(files.flags()) == 0
    assert files.summary["n_instances"] == 1


def test_class_0_of_scannets_list_cannot_be_scored(tmp_path, capsys):
    files = Files(tmp_path, "scannet")
    files.write("scored.txt", "\n".join(NAMES))
    assert main(files.flags()) == 1
    assert "the class id 0, but in ScanNet's ground truth numbers below 1000 are groups" in capsys.readouterr().err


def test_a_mask_file_named_twice_counts_by_its_last_line(call, files, caplog):
    chair = f"masks/chair{files.suffix}"
    files.predictions(f"{chair} 2 0.9", f"masks/desk{files.suffix} 2 0.8", f"{chair} 1 0.3")
    assert call()[0] == 0
    assert files.summary["ap"] == 100
    assert "twice" in caplog.text


def test_only_the_named_scenes_are_scored(call, files):
    files.write("gt/hall.txt", "0\n")
    code, _, error = call()
    assert code == 1
    assert "hall.txt" in error
    assert "--scenes" in error
    files.write("scenes.txt", "room\n")
    assert call("--scenes", files.folder / "scenes.txt")[0] == 0


def test_mesh_masks_take_vertices_out_of_both_sides(tmp_path):
    files = Files(tmp_path, "scannetpp")
    files.mask("chair", np.arange(600) < 150)
    assert main(files.flags()) == 0
    assert files.summary["ap50"] == 50  # IoU 0.5 is not above 0.5
    files.write("removed/room.txt", "\n".join(map(str, range(150, 300))))
    assert main(files.flags()) == 0
    assert files.summary["ap"] == 100
    (tmp_path / "removed" / "room" / "scans").mkdir(parents=True)
    (tmp_path / "removed" / "room.txt").rename(tmp_path / "removed/room/scans/mesh_aligned_0.05_mask.txt")
    assert main(files.flags()) == 0
    assert files.summary["ap"] == 100


def change(files, what):
    """Damages one file; returns what the error has to say."""
    chair, path = f"masks/chair{files.suffix}", files.folder
    if what == "short mask":
        files.mask("chair", CHAIR_MASK[:599])
        return "600" if files.protocol == "scannetpp" else "599 points, but the ground truth has 600"
    if what == "no mask file":
        (path / "predictions" / chair).unlink()
        return "does not exist"
    if what == "outside":
        files.predictions("../gt/room.txt 1 0.5")
        return "outside"
    if what == "two columns":
        files.predictions(f"{chair} 1")
        return 'room.txt, line 1: expected "mask_file class_id score"'
    if what == "score":
        files.predictions(f"{chair} 1 nan")
        return "expected a score"
    if what == "truth":
        files.write("gt/room.txt", "2001\nchair\n")
        return "gt/room.txt"
    if what == "scored class":
        files.write("scored.txt", "desk\nstool\n")
        return "'stool' is not one of the 3 classes"
    if what == "no ground truth":
        files.write("gt/room.txt", "0\n" * 600)
        return "no instance"
    files.write("predictions/" + chair, "{}" if files.protocol == "scannetpp" else "yes\nno\n")
    return f"chair{files.suffix}"


@pytest.mark.parametrize(
    "what",
    [
        "short mask",
        "no mask file",
        "outside",
        "two columns",
        "score",
        "truth",
        "scored class",
        "no ground truth",
        "odd",
    ],
)
def test_bad_files_are_one_line(call, files, what):
    says = change(files, what)
    code, out, error = call()
    assert code == 1
    assert out == ""
    assert error.startswith("error: ")
    assert says in error
    assert not (files.folder / "out" / "summary.json").exists()


@pytest.mark.parametrize(
    "counts", ["0 3", "1 601", "1 2 3", "1 -2", "one 2"], ids=["start 0", "beyond", "odd", "negative", "text"]
)
def test_damaged_run_length_codes_are_one_line(tmp_path, capsys, counts):
    files = Files(tmp_path, "scannetpp")
    files.write("predictions/masks/chair.json", json.dumps({"length": 600, "counts": counts}))
    assert main(files.flags()) == 1
    assert "starts from 1" in capsys.readouterr().err


def test_mesh_masks_belong_to_one_protocol(tmp_path, capsys):
    files = Files(tmp_path, "scannet")
    assert main([*files.flags(), "--mesh-masks", str(tmp_path)]) == 2
    assert "--mesh-masks" in capsys.readouterr().err
