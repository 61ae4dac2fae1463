"""ScanNet++ scenes from the command line: to a domain, and to scenes for OpenMask3D."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opendas_plugin.commands.prepare_data import main
from opendas_plugin.data.domain import load_domain
from opendas_plugin.scenes.mask_arrays import read_masks
from opendas_plugin.scenes.raycast import load_mesh
from tests.scenes.scannetpp_rooms import offices


@pytest.fixture
def scenes(tmp_path):
    """Flags that read three scenes of boxes with all of their pictures."""
    root = offices(tmp_path / "scannetpp")
    limits = ["--every", "1", "--min-side", "8", "--output", str(tmp_path / "out")]
    return ["scannetpp", "--root", str(root), *limits]


def test_scannetpp_chooses_offices_and_marks_what_only_validation_has(scenes, tmp_path, capsys):
    assert main(scenes) == 0
    domain = load_domain(tmp_path / "out")
    assert domain.vocabulary.novel == ("monitor", "mug")
    assert domain.info["scenes"] == {"train": ["a0", "a1"], "val": ["b0"]}
    assert {segment.group for segment in domain.train} == {"a0", "a1"}
    assert "scenes: 2 to learn from, 1 to judge by" in capsys.readouterr().out
    folder = tmp_path / "out" / "ground_truth"
    truth = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.txt"))
    lists = ["classes_scannet.txt", "classes_scannetpp.txt", "instance_classes.txt"]
    assert truth == [*lists, "scannet/b0.txt", "scannetpp/b0.txt"]
    assert len(list((tmp_path / "out.cache").rglob("*.npz"))) == 3 * 4
    first = (tmp_path / "out" / "val.jsonl").read_bytes()
    assert main([*scenes, "--overwrite"]) == 0
    assert (tmp_path / "out" / "val.jsonl").read_bytes() == first


def test_scannetpp_takes_lists_of_scenes_and_novel_names(scenes, tmp_path, capsys):
    for name, content in (("t", "a1\nkitchen\n"), ("v", "b0\na0\n"), ("novel", "keyboard\nmug\n")):
        (tmp_path / name).write_text(content)
    lists = ["--train-scenes", str(tmp_path / "t"), "--val-scenes", str(tmp_path / "v")]
    assert main([*scenes, *lists, "--novel", str(tmp_path / "novel")]) == 0
    domain = load_domain(tmp_path / "out")
    assert domain.vocabulary.novel == ("keyboard", "monitor", "mug")
    assert domain.info["novel_for_want_of_training_segments"] == ["monitor"]
    assert "keyboard" not in {segment.label for segment in domain.train}
    (tmp_path / "v").write_text("a1\n")
    assert main([*scenes, *lists, "--overwrite"]) == 1
    assert "the scene a1 is in both lists" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--val-fraction", "0.2"], ["--resume"], ["--every", "0"], ["--min-visible", "2"]])
def test_scannetpp_flags_without_meaning_exit_with_2(scenes, tmp_path, flags):
    assert main([*scenes, *flags]) == 2
    assert not (tmp_path / "out").exists()


def test_scenes_for_openmask3d(scenes, tmp_path, capsys):
    (tmp_path / "list").write_text("a0\nb0\n")
    flags = ["openmask3d", *scenes[1:3], "--scenes", str(tmp_path / "list"), "--output", str(tmp_path / "3d")]
    assert main([*flags, "--every", "2", "--width", "64"]) == 0
    assert sorted(path.name for path in (tmp_path / "3d" / "b0" / "color").iterdir()) == ["0.jpg", "1.jpg"]
    for name in ("a0", "b0"):
        points = len(load_mesh(tmp_path / "3d" / name / f"{name}.ply")[0])
        np.save(tmp_path / f"{name}.npy", np.eye(points, 2, dtype=bool))
    same = ["--every", "2", "--width", "64"]
    assert main([*flags, *same, "--proposals", str(tmp_path)]) == 0
    assert "a0: is there, left as it is" in capsys.readouterr().out
    assert (read_masks(tmp_path / "3d" / "masks" / "b0_masks.pt") == np.eye(points, 2)).all()
    (tmp_path / "b0.npy").unlink()
    assert main([*flags, *same, "--proposals", str(tmp_path)]) == 1
    assert "b0.txt does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "change", "message"),
    [
        (["--width", "32"], None, "--width was 64, now 32"),
        (["--every", "2"], None, "--every was 1, now 2"),
        ([], "scans/segments_anno.json", "segments_anno.json has changed"),
        ([], "iphone/colmap/images.txt", "images.txt has changed"),
        ([], "iphone/rgb/frame_000010.jpg", "the picture frame_000010.jpg has changed"),
    ],
)
def test_a_scene_that_is_there_is_of_the_same_files_and_settings(
    scenes, tmp_path, capsys, caplog, flags, change, message
):
    (tmp_path / "list").write_text("a0\n")
    same = ["openmask3d", *scenes[1:3], "--scenes", str(tmp_path / "list"), "--output", str(tmp_path / "3d")]
    same += ["--every", "1", "--width", "64"]
    for _ in range(2):
        assert main(same) == 0
    if change is not None:
        with open(Path(scenes[2]) / "data" / "a0" / change, "ab") as file:
            file.write(b" ")
    assert main([*same, *flags]) == 1
    assert message in capsys.readouterr().err
    (tmp_path / "3d" / "a0" / "inputs.json").unlink()  # as earlier versions wrote it
    assert main([*same, *flags]) == 0
    assert "it does not say what it was made from" in caplog.text
