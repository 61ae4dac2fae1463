"""The command from its arguments to its files, exit codes and messages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands.prepare_data import main
from opendas_plugin.data.domain import load_domain
from tests.commands.pictures import break_picture
from tests.data.layouts import make_ade20k, make_kitti360

KINDS = ("office", "folders", "coco", "ade20k", "kitti360", "scannetpp", "openmask3d", "fold")
SHARED = Path(__file__).parents[3] / "shared" / "data"


def prepared(path="out"):
    return sorted(item.name for item in Path(path).iterdir())


def errors(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]


def test_folders_become_a_domain(street, capsys):
    assert main([*street, "--val-fraction", "0.3", "--novel-fraction", "0.34", "--seed", "3"]) == 0
    assert prepared() == [
        "domain.json",
        "pictures.json",
        "preview.jpg",
        "run.json",
        "train.jsonl",
        "val.jsonl",
        "vocabulary.json",
    ]
    domain = load_domain("out")
    assert len({segment.image for segment in domain.train}) == 7
    assert len({segment.image for segment in domain.val}) == 3
    assert len(domain.vocabulary.novel) == 1
    assert (len(domain.train), len(domain.val)) == (14, 9)
    printed = capsys.readouterr().out
    assert "train: 14 segments in 7 images kept, 7 dropped (novel name in a training image: 7)" in printed
    assert "val: 9 segments in 3 images kept, 0 dropped" in printed
    run = json.loads(Path("out/run.json").read_text())
    assert run["seed"] == 3
    assert run["config"]["val_fraction"] == 0.3


def test_a_seed_gives_the_same_files_again(street):
    contents = []
    for seed in ("1", "1", "2"):
        assert main([*street, "--novel-fraction", "0.34", "--seed", seed, "--overwrite"]) == 0
        contents.append([Path("out", name).read_bytes() for name in ("train.jsonl", "val.jsonl", "vocabulary.json")])
    assert contents[0] == contents[1] != contents[2]


def test_names_come_from_a_file_and_values_are_ignored(street, capsys):
    Path("names.txt").write_text("sky\nroad\nthe cars\n")
    Path("novel.txt").write_text("Car\n")
    flags = ["--classes", "names.txt", "--novel", "novel.txt", "--ignore", "0", "--template", "a {} outside."]
    assert main([*street, *flags]) == 0
    domain = load_domain("out")
    assert domain.vocabulary.names == ("road", "the cars")
    assert domain.vocabulary.novel == ("the cars",)
    assert domain.vocabulary.texts(["road"]) == ["a road outside."]
    assert domain.info["dropped"]["val"] == {"ignored label value": 2}


def test_validation_folders_of_their_own(street):
    assert main([*street, "--val-images", "images", "--val-labels", "labels"]) == 0
    domain = load_domain("out")
    assert len(domain.train) == len(domain.val) == 30


def test_coco_instances_and_their_own_validation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for split in ("train", "val"):
        Path(split).mkdir()
        Image.new("RGB", (50, 40)).save(f"{split}/1.jpg")
        box = {"id": 1, "image_id": 1, "category_id": 4, "segmentation": [[5, 5, 30, 5, 30, 30, 5, 30]]}
        content = {
            "images": [{"id": 1, "file_name": "1.jpg", "width": 50, "height": 40}],
            "annotations": [box],
            "categories": [{"id": 4, "name": "sky-other-merged"}],
        }
        Path(f"{split}.json").write_text(json.dumps(content))
    train = ["coco", "--instances-json", "train.json", "--images", "train", "--output", "out"]
    assert main([*train, "--val-instances-json", "val.json", "--val-images", "val"]) == 0
    domain = load_domain("out")
    assert [segment.label for segment in [*domain.train, *domain.val]] == ["sky", "sky"]
    assert domain.info["raw_names"] == {"sky": "sky-other-merged"}


def test_the_office_is_made_small(tmp_path, capsys):
    size = [
        "--pictures.width",
        "120",
        "--pictures.height",
        "90",
        "--pictures.min-area",
        "30",
        "--pictures.per-room",
        "1",
    ]
    rooms = ["--train-rooms", "1", "--val-rooms", "1", "--novel-split", "tune", "--workers", "1"]
    assert main(["office", *rooms, *size, "--output", str(tmp_path / "out")]) == 0
    domain = load_domain(tmp_path / "out")
    assert len({segment.image for segment in domain.train}) == 1
    assert "whiteboard" not in domain.vocabulary.names
    assert "laptop" in domain.vocabulary.novel
    assert len(domain.info["novel_for_want_of_training_segments"]) == len(domain.vocabulary.novel) - 10
    assert "of them novel because no training segment has them" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "run.json").read_text())["config"]["novel_split"] == "tune"


OFFICE_SIZE = ["--pictures.width", "120", "--pictures.height", "90", "--pictures.per-room", "1", "--workers", "1"]


def test_the_offices_novel_names_rooms_and_areas_can_be_chosen(tmp_path):
    (tmp_path / "novel.txt").write_text("Desks\noffice chair\n")
    flags = ["--novel", str(tmp_path / "novel.txt"), "--min-area", "60", "--val-fraction", "0.5"]
    rooms = ["--train-rooms", "1", "--val-rooms", "1", "--output", str(tmp_path / "out")]
    assert main(["office", *rooms, *OFFICE_SIZE, *flags]) == 0
    domain = load_domain(tmp_path / "out")
    seen = {segment.label for segment in domain.train}
    assert domain.vocabulary.base == tuple(name for name in domain.vocabulary.names if name in seen)
    assert not {"desk", "office chair"} & seen and "whiteboard" in domain.vocabulary.names
    assert min(segment.area for segment in [*domain.train, *domain.val]) >= 60
    assert domain.info["rooms"] == {"train": 1, "val": 1}


@pytest.mark.parametrize(
    "flags", [["--novel", "a", "--novel-fraction", "0.5"], ["--val-fraction", "1"], ["--min-area", "0"]]
)
def test_office_flags_out_of_range_exit_with_2(tmp_path, flags):
    assert main(["office", "--output", str(tmp_path / "out"), *flags]) == 2
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_refused_before_any_work(street, monkeypatch, capsys):
    """Nothing of the data is there: had anything been read or rendered, the error would be another."""
    Path("mine").mkdir()
    Path("mine/notes.txt").touch()
    missing = ["folders", "--images", "no", "--labels", "no", "--classes", "a,b", "--output", "mine"]
    monkeypatch.setattr("opendas_plugin.office.rooms.build_room", lambda *_: pytest.fail("a room was built"))
    for arguments in (missing, ["office", "--output", "mine", "--workers", "1"]):
        assert main(arguments) == 1
        assert "mine holds other files (notes.txt)" in errors(capsys)[0]
    assert [path.name for path in Path("mine").iterdir()] == ["notes.txt"]


BAD_INPUT = {
    "missing image": (lambda: Path("images/004.png").unlink(), [], "has no image images/004"),
    "truncated image": (lambda: break_picture("images/004.png"), [], "images/004.png cannot be read"),
    "truncated labels": (lambda: break_picture("labels/004.png"), [], "labels/004.png cannot be read"),
    "float image": (
        lambda: Image.fromarray(np.ones((40, 60), np.float32)).save("images/004.png", "TIFF"),
        [],
        "images/004.png: expected 8 or 16 bits",
    ),
    "another size": (lambda: Image.new("RGB", (9, 9)).save("images/004.png"), [], "is 60x40, but its image"),
    "label value": (lambda: None, ["--classes", "sky,road"], "label value 2 is not one of the 2 classes"),
    "duplicate names": (lambda: None, ["--classes", "sky,road,SKY"], "'sky' and 'SKY' are the same name"),
    "empty name": (lambda: None, ["--classes", "sky,,car"], "number 2 is empty"),
    "no such class file": (lambda: None, ["--classes", "names.txt"], "names.txt is not a file of names"),
    "no segment left": (lambda: None, ["--min-area", "100000"], "no segment is left for training"),
    "all ignored": (lambda: None, ["--ignore", "0", "1", "2"], "expected at least one name"),
    "novel not a name": (lambda: Path("novel.txt").write_text("bus\n"), ["--novel", "novel.txt"], "'bus'"),
    "novel file missing": (lambda: None, ["--novel", "novel.txt"], "novel.txt is not a file"),
    "all novel": (
        lambda: Path("novel.txt").write_text("sky\nroad\ncar"),
        ["--novel", "novel.txt"],
        "that is not novel",
    ),
    "template": (lambda: None, ["--template", "a photo"], "template"),
    "unwritable output": (lambda: Path("file").touch(), ["--output", "file/out"], "file/out: File exists"),
    "foreign output": (lambda: Path("mine").mkdir() or Path("mine/notes").touch(), ["--output", "mine"], "other files"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_line_and_leaves_nothing(street, capsys, case):
    spoil, flags, said = BAD_INPUT[case]
    spoil()
    before = sorted(Path().rglob("*"))
    assert main([*street, *flags]) == 1
    (line,) = errors(capsys)
    assert said in line
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    "flags",
    [
        ["--novel", "a", "--novel-fraction", "0.5"],
        ["--val-fraction", "1.5"],
        ["--novel-fraction", "0"],
        ["--min-area", "0"],
        ["--workers", "0"],
        ["--val-images", "images"],
        ["--val-images", "images", "--val-labels", "labels", "--val-fraction", "0.5"],
        ["--regions", "superpixel"],
        ["--no-such-flag"],
    ],
)
def test_bad_usage_exits_with_2(street, flags):
    assert main([*street, *flags]) == 2
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--instances-json", "a", "--panoptic-json", "b", "--panoptic-dir", "c"],
        ["--panoptic-json", "a"],
        ["--instances-json", "a", "--val-images", "b"],
        ["--instances-json", "a", "--val-panoptic-json", "b"],
        ["--instances-json", "a", "--val-instances-json", "b", "--val-fraction", "0.1"],
    ],
)
def test_coco_flags_that_contradict_exit_with_2(tmp_path, flags):
    assert main(["coco", "--images", "images", "--output", str(tmp_path / "out"), *flags]) == 2
    assert not list(tmp_path.iterdir())


def test_ade20k_and_kitti360_in_their_official_layouts(tmp_path):
    for kind, make, segments in (("ade20k", make_ade20k, (24, 12)), ("kitti360", make_kitti360, (20, 10))):
        root, out = make(tmp_path / kind), tmp_path / f"{kind}-out"
        assert main([kind, "--root", str(root), "--output", str(out)]) == 0
        domain = load_domain(out)
        assert (len(domain.train), len(domain.val)) == segments
        assert len(domain.vocabulary.names) == {"ade20k": 150, "kitti360": 37}[kind]
    assert (
        main(["kitti360", "--root", str(tmp_path / "kitti360"), "--classes", "19", "--output", str(tmp_path / "19")])
        == 0
    )
    assert load_domain(tmp_path / "19").vocabulary.names[-1] == "bicycle"


@pytest.mark.parametrize("flags", [["--every", "0"], ["--min-confidence", "2"], ["--classes", "20"]])
def test_kitti360_flags_out_of_range_exit_with_2(tmp_path, flags):
    assert main(["kitti360", "--root", str(tmp_path), "--output", str(tmp_path / "out"), *flags]) == 2


@pytest.mark.parametrize("arguments", [["--help"], *([kind, "--help"] for kind in KINDS)])
def test_help_exits_with_0(arguments, capsys):
    assert main(arguments) == 0
    assert "--help" in capsys.readouterr().out


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the sample data is not at {SHARED}")
def test_coco_samples(tmp_path):
    coco = SHARED / "coco"
    labels = [
        "--panoptic-json",
        f"{coco}/panoptic/panoptic_train2017.json",
        "--panoptic-dir",
        f"{coco}/panoptic/panoptic_train2017",
    ]
    output = tmp_path / "out"
    flags = ["--images", f"{coco}/images/train2017", "--novel-fraction", "0.1", "--output", str(output)]
    assert main(["coco", *labels, *flags]) == 0
    domain = load_domain(output)
    dropped = sum(sum(reasons.values()) for reasons in domain.info["dropped"].values())
    assert len(domain.train) + len(domain.val) + dropped == 1111
    assert domain.info["images"] == {"train": 80, "val": 20}
    assert len(domain.vocabulary.names) == 133
    assert len(domain.vocabulary.novel) == 13 + len(domain.info["novel_for_want_of_training_segments"]) == 34


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the sample data is not at {SHARED}")
def test_camvid_samples_split_by_blocks_of_video(tmp_path):
    names = "sky,building,pole,road,pavement,tree,sign,fence,car,pedestrian,bicyclist,unlabelled"
    data = ["--images", f"{SHARED}/camvid/train", "--labels", f"{SHARED}/camvid/trainannot", "--classes", names]
    assert main(["folders", *data, "--ignore", "11", "--group-by", "video", "--output", str(tmp_path / "out")]) == 0
    domain = load_domain(tmp_path / "out")
    assert domain.info["images"] == {"train": 96, "val": 24}
    assert len(domain.vocabulary.names) == 11


def test_an_output_that_is_a_link_is_written_through_it(street, tmp_path):
    """A folder on a larger disk, as it were: twice, so that the older domain behind the link is replaced."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "domain")
    for _ in range(2):
        assert main([*street, "--min-area", "10", "--overwrite"]) == 0
    assert (tmp_path / "out").is_symlink() and not (tmp_path / "disk" / "domain").is_symlink()
    assert len(load_domain(tmp_path / "disk" / "domain").train) > 0
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == ["domain"]
