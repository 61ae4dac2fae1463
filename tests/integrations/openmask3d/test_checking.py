"""``check`` prints a row a picture, names what is wrong and draws it; ``features`` and ``query`` look first."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from integrations.openmask3d.launcher import main
from opendas_plugin.eval.fits import KINDS
from tests.integrations.openmask3d.scenes import write_room


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "room"
    write_room(folder)
    return folder


@pytest.fixture
def wrong(room, tmp_path):
    """The room with intrinsics of pictures twice as large."""
    shutil.copytree(room, tmp_path / "room")
    path = tmp_path / "room" / "intrinsic" / "intrinsic_color.txt"
    matrix = np.loadtxt(path)
    matrix[:2] *= 2.025
    np.savetxt(path, matrix)
    return tmp_path / "room"


def test_a_scene_that_fits(room, tmp_path, capsys):
    assert main(["check", "--scene", str(room), "--output", str(tmp_path / "look.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["picture", "points", "shown", "%", "hidden", "%", "in", "front", "%"]
    assert [line.split()[0] for line in lines[1:8]] == [*(f"{number}.jpg" for number in range(6)), "all"]
    shown, hidden, in_front = map(float, lines[7].split()[2:])
    assert shown + hidden + in_front == pytest.approx(100, abs=0.2)
    assert in_front < 4
    assert lines[8] == "masks that no picture shows: 1 of 5 (20%)"
    assert lines[-1] == "the points fit the depth maps"
    with Image.open(tmp_path / "look.png") as picture:
        assert picture.size == (160, 80)
        assert {KINDS["shown"], KINDS["hidden"]} <= {colour for _, colour in picture.getcolors(1 << 16)}


def test_a_scene_that_does_not(wrong, tmp_path, capsys):
    assert main(["check", "--scene", str(wrong), "--output", str(tmp_path / "look.png")]) == 1
    out, error = capsys.readouterr()
    assert "in front" in out
    assert "the intrinsics look like those of pictures of 160x120, not of 80x60" in error
    assert len(error.strip().splitlines()) == 1
    with Image.open(tmp_path / "look.png") as picture:
        assert KINDS["in front"] in {colour for _, colour in picture.getcolors(1 << 16)}


def test_features_look_first_and_can_be_forced(wrong, tmp_path, capsys):
    arguments = [
        "--scene",
        wrong,
        "--masks",
        wrong / "room_masks.pt",
        "--output",
        tmp_path / "f.npy",
        "--device",
        "cpu",
    ]
    assert main(["features", *map(str, arguments)]) == 1
    assert "go on all the same with --force" in capsys.readouterr().err
    assert not (tmp_path / "f.npy").exists()
    assert main(["features", *map(str, arguments), "--force"]) == 0
    assert np.load(tmp_path / "f.npy").shape[0] == 5


def test_a_picture_with_an_orientation_is_refused(room, tmp_path, capsys):
    shutil.copytree(room, tmp_path / "room")
    tags = Image.Exif()
    tags[0x0112] = 3
    path = tmp_path / "room" / "color" / "0.jpg"
    Image.open(path).save(path, exif=tags)
    assert main(["check", "--scene", str(tmp_path / "room"), "--output", str(tmp_path / "look.png")]) == 1
    assert "0.jpg has an EXIF orientation" in capsys.readouterr().err
