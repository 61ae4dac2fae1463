"""evaluate.py instance3d as its user meets it: both benchmarks' files in, a report out, and how it refuses."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from scipy import sparse

from opendas_plugin.commands.evaluate import main
from opendas_plugin.eval.report import read_confusion
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.scenes.feature_records import describe
from opendas_plugin.scenes.feature_source import FeatureSource
from opendas_plugin.scenes.mask_features import save_features, save_masks
from opendas_plugin.vocabulary import Vocabulary

# 300 points of a chair, 200 of a desk, 100 of the floor, which is not scored with --instance-classes
NAMES = ("floor", "office chair", "desk")
FLOOR, CHAIR, DESK = 0, 1, 2
TRUTH = np.repeat([1001, 2002, 3], [300, 200, 100])
CHAIR_MASK, DESK_MASK = np.arange(600) < 300, (np.arange(600) >= 300) & (np.arange(600) < 500)


def run_length(mask):
    """ScanNet++'s code, run by run: starts count from 1."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    counts = " ".join(f"{start + 1} {end - start}" for start, end in zip(edges[::2], edges[1::2], strict=True))
    return json.dumps({"length": len(mask), "counts": counts})


def lines_of(mask):
    return "\n".join(map(str, mask.astype(int).tolist())) + "\n"


class Files:
    """One scene of a benchmark: the chair found as a chair, the desk as a desk or whatever a test writes."""

    def __init__(self, folder, protocol):
        self.folder, self.protocol = folder, protocol
        self.suffix, self.encode = (".json", run_length) if protocol == "scannetpp" else (".txt", lines_of)
        self.write("gt/room.txt", "\n".join(map(str, TRUTH)) + "\n")
        self.mask("chair", CHAIR_MASK)
        self.mask("desk", DESK_MASK)
        self.predictions(f"masks/chair{self.suffix} 1 0.9", f"masks/desk{self.suffix} 2 0.8")
        ids = "\n".join(f"{number} {name}" for number, name in enumerate(NAMES))
        self.write("classes.txt", "\n".join(NAMES) if protocol == "scannetpp" else ids)
        self.write("scored.txt", "desk\noffice chair\n")
        self.write("removed/room.txt", "")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def mask(self, name, mask):
        self.write(f"predictions/masks/{name}{self.suffix}", self.encode(mask))

    def predictions(self, *lines):
        self.write("predictions/room.txt", "\n".join(lines) + "\n")

    def flags(self, *more):
        given = {"predictions": "predictions", "ground-truth": "gt", "classes": "classes.txt", "output": "out"}
        given["instance-classes"] = "scored.txt"
        if self.protocol == "scannetpp":
            given["mesh-masks"] = "removed"
        paths = [part for key, name in given.items() for part in (f"--{key}", str(self.folder / name))]
        return ["instance3d", "--protocol", self.protocol, *paths, *map(str, more)]

    @property
    def summary(self):
        return json.loads((self.folder / "out" / "summary.json").read_text())


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


def test_names_that_the_vocabulary_lacks_are_neither_base_nor_novel(call, files, caplog):
    Vocabulary(names=("desk", "mug"), novel=("mug",)).save(files.folder / "vocabulary.json")
    files.predictions(f"masks/desk{files.suffix} 2 0.9")
    assert call("--vocabulary", files.folder / "vocabulary.json")[0] == 0
    assert files.summary["ap"] == 50
    assert files.summary["unlisted"]["ap"] == 0
    Vocabulary(names=("desk", "mug", "wall"), novel=("desk",)).save(files.folder / "vocabulary.json")
    code, out, _ = call("--vocabulary", files.folder / "vocabulary.json")
    assert (code, files.summary["novel"]["ap"], files.summary["base"]["ap"]) == (0, 100, None)
    assert "unlisted" in out
    assert "office chair,unlisted," in (files.folder / "out" / "per_class.csv").read_text()
    assert "does not have 2 of the 3 names, 'floor' first" in caplog.text
    Vocabulary(names=("sky",)).save(files.folder / "vocabulary.json")
    assert "has none of the" in call("--vocabulary", files.folder / "vocabulary.json")[2]


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


class NamelessMasks:
    """The chair, the desk, the floor and a mask that no picture shows, with features that are texts' of given names."""

    def __init__(self, folder, backbone):
        self.files = Files(folder, "scannet")
        self.folder, self.backbone = folder, backbone
        # the ground truth's numbers of the floor would be a group where class 0 is scored, so the classes start at 1
        truth = np.repeat([2001, 3002, 1003, 0], [300, 200, 100, 50])
        self.files.write("gt/room.txt", "\n".join(map(str, truth)) + "\n")
        self.files.write("classes.txt", "1 floor\n2 office chair\n3 desk\n")
        self.masks = np.stack([truth == 2001, truth == 3002, truth == 1003, truth == 0], axis=1)
        self.clip = OpenDASCLIP.from_backbone(backbone, prompts=None)
        save_masks(folder / "predictions" / "room_masks.pt", self.masks)

    def features(self, *names, clip=None, name=None):
        """Features of the first masks that say ``names``; the last mask has none."""
        clip = clip or self.clip
        with torch.no_grad():
            texts = clip.encode_text(clip.tokenize([f"a photo of a {one}." for one in names])).numpy()
        features = np.concatenate([texts, np.zeros((1, texts.shape[1]))])
        source = FeatureSource(name or self.backbone, clip)
        described = describe(source, sparse.csr_matrix(self.masks), {})
        save_features(self.folder / "features" / "room_openmask3d_features.npy", features, described)

    def run(self, *flags):
        given = [*self.files.flags("--features", self.folder / "features"), *map(str, flags)]
        return main(given if "--adapter" in flags else [*given, "--backbone", self.backbone])


@pytest.fixture
def nameless(tmp_path, tiny_backbone):
    return NamelessMasks(tmp_path, tiny_backbone)


def test_openmask3ds_masks_get_the_name_of_the_nearest_text(nameless):
    nameless.features("office chair", "desk", "floor")
    assert nameless.run() == 0
    summary = nameless.files.summary
    assert summary["ap"] == 100
    assert (summary["n_predictions"], summary["adapter"], summary["template"]) == (3, None, "a photo of a {}.")
    lines = [json.loads(line) for line in (nameless.folder / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [(line["scene"], line["mask"], line["prediction"]) for line in lines] == [
        ("room", 0, "office chair"),
        ("room", 1, "desk"),
        ("room", 2, "floor"),
    ]
    nameless.features("desk", "desk", "desk")
    assert nameless.run() == 0
    assert nameless.files.summary["agnostic"]["ap"] == 100
    assert nameless.files.summary["recall"] == 50


def test_oracle_masks_also_score_the_names_of_all_classes(nameless, capsys):
    Vocabulary(names=("desk", "floor", "office chair"), novel=("desk",)).save(nameless.folder / "vocabulary.json")
    nameless.features("office chair", "office chair", "floor")
    assert nameless.run("--oracle", "--vocabulary", nameless.folder / "vocabulary.json") == 0
    oracle = nameless.files.summary["oracle"]
    assert oracle["acc"] == pytest.approx(200 / 3)
    assert oracle["n_f1"] == 0
    assert oracle["b_f1"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert oracle["novel_only"]["acc"] == 100
    assert (oracle["n_segments"], oracle["n_unseen"]) == (3, 1)
    assert "W-F1" in capsys.readouterr().out
    confusion, names = read_confusion(nameless.folder / "out" / oracle["confusion_matrix"])
    assert confusion[names.index("desk"), names.index("office chair")] == 1


def test_masks_that_are_not_the_ground_truths_are_no_oracle(nameless, capsys):
    nameless.masks[310, 1] = False
    save_masks(nameless.folder / "predictions" / "room_masks.pt", nameless.masks)
    nameless.features("office chair", "desk", "floor")
    assert nameless.run("--oracle") == 1
    assert "mask 1 is not one instance of the ground truth" in capsys.readouterr().err


def test_features_of_another_clip_are_refused(nameless, capsys):
    adapter = nameless.folder / "adapter"
    adapted = OpenDASCLIP.from_backbone(nameless.backbone, prompts=PromptConfig())
    with torch.no_grad():
        for parameter in adapted.prompt_parameters():
            parameter.add_(0.1)
    adapted.save_pretrained(adapter)
    nameless.features("office chair", "desk", "floor")
    assert nameless.run("--adapter", adapter) == 1
    assert "must come from the same CLIP" in capsys.readouterr().err
    nameless.features("office chair", "desk", "floor", clip=adapted, name=f"opendas:{adapter}")
    assert nameless.run("--adapter", adapter) == 0
    assert nameless.files.summary["ap"] == 100
    assert nameless.run() == 1


def test_features_and_masks_that_do_not_fit_are_one_line(nameless, capsys):
    nameless.features("office chair", "desk")
    assert nameless.run() == 1
    assert "3 features for the 4 masks" in capsys.readouterr().err
    save_masks(nameless.folder / "predictions" / "room_masks.pt", nameless.masks[:600])
    assert nameless.run() == 1
    assert "650 points" in capsys.readouterr().err
    (nameless.folder / "features" / "room_openmask3d_features.npy").unlink()
    assert nameless.run() == 1
    assert "does not exist" in capsys.readouterr().err
    assert main([*nameless.files.flags(), "--oracle"]) == 2
