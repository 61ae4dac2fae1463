import numpy as np
import pytest

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.scenes.folder import check_numbering, find_cloud, find_frames, open_scene
from tests.integrations.openmask3d.scenes import INTRINSIC, SIZE, make_scene


@pytest.fixture
def folder(tmp_path):
    make_scene(tmp_path / "room", views=4)
    return tmp_path / "room"


def rename(folder, names):
    """Gives the frames 0, 1, ... other names."""
    for kind, suffix in (("color", ".jpg"), ("depth", ".png"), ("pose", ".txt")):
        for number, name in enumerate(names):
            (folder / kind / f"{number}{suffix}").rename(folder / kind / f"new{name}{suffix}")
        for name in names:
            (folder / kind / f"new{name}{suffix}").rename(folder / kind / f"{name}{suffix}")


def test_a_scenes_folder_is_read(folder):
    views = open_scene(folder, every=2)
    assert [path.name for path in views.colour] == ["0.jpg", "2.jpg"]
    assert views.size == views.intrinsic_size == SIZE
    np.testing.assert_allclose(views.intrinsic, INTRINSIC)
    assert views.read_depth(0).max() < 10


def test_frames_may_have_leading_zeros_and_gaps(folder):
    rename(folder, ["0003", "0010", "0011", "0200"])
    assert [path.name for path in open_scene(folder).depth] == ["0003.png", "0010.png", "0011.png", "0200.png"]
    with pytest.raises(DataError, match=r"meets 0 of 4: 0\.txt is missing"):
        check_numbering(folder / "pose")


def test_openmask3d_must_meet_all_frames(folder):
    check_numbering(folder / "pose")
    rename(folder, ["0", "1", "3", "4"])
    with pytest.raises(DataError, match=r"meets 2 of 4: 2\.txt is missing"):
        check_numbering(folder / "pose")


def test_frames_are_in_the_order_of_their_numbers(folder):
    rename(folder, ["9", "10", "100", "11"])
    assert [number for number, _ in find_frames(folder / "pose")] == [9, 10, 11, 100]


def test_suffixes_may_be_in_upper_case_or_others(folder):
    for kind, number, suffix in (
        ("color", 0, ".JPG"),
        ("color", 1, ".jpeg"),
        ("depth", 2, ".PNG"),
        ("pose", 3, ".TXT"),
    ):
        (path,) = (folder / kind).glob(f"{number}.*")
        path.rename(path.with_suffix(suffix))
    views = open_scene(folder)
    assert [path.name for path in views.colour] == ["0.JPG", "1.jpeg", "2.jpg", "3.jpg"]
    assert views.depth[2].name == "2.PNG"
    assert len(views) == 4
    (folder / "color" / "2.JPG").write_bytes((folder / "color" / "2.jpg").read_bytes())
    damaged(folder, r"2\.JPG and 2\.jpg are both of frame 2")


def test_pictures_without_a_pose_are_counted(folder, caplog):
    np.savetxt(folder / "pose" / "2.txt", np.full((4, 4), -np.inf))
    open_scene(folder)
    assert "1 of 4 pictures has no pose (infinite values: lost tracking) and shows nothing: 2" in caplog.text
    for number in range(4):
        np.savetxt(folder / "pose" / f"{number}.txt", np.full((4, 4), -np.inf))
    damaged(folder, "none of the 4 matrices in .* is a pose")


def damaged(folder, message, kind=DataError):
    with pytest.raises(kind, match=message) as error:
        open_scene(folder)
    assert "\n" not in str(error.value)


def test_what_is_missing_or_damaged_is_named(folder):
    (folder / "pose" / "1.txt").write_text("1 2 3")
    damaged(folder, r"1\.txt holds \(3,\) numbers")
    np.savetxt(folder / "pose" / "1.txt", np.zeros((4, 4)))
    damaged(folder, "a matrix without an inverse")
    (folder / "depth" / "2.png").unlink()
    damaged(folder, r"2\.png does not exist", MissingFileError)
    (folder / "intrinsic" / "intrinsic_color.txt").write_text("a b c")
    damaged(folder, "cannot be read as intrinsics")
    for path in (folder / "pose").iterdir():
        path.unlink()
    damaged(folder, "holds no poses", MissingFileError)


def test_the_cloud_is_the_only_one_or_has_the_folders_name(folder):
    with pytest.raises(MissingFileError, match=r"expected the scene's cloud as room\.ply"):
        find_cloud(folder)
    (folder / "a.ply").touch()
    assert find_cloud(folder).name == "a.ply"
    (folder / "room.ply").touch()
    assert find_cloud(folder).name == "room.ply"


def test_a_lost_camera_is_of_a_picture_of_nothing(folder):
    np.savetxt(folder / "pose" / "1.txt", np.full((4, 4), -np.inf))
    assert len(open_scene(folder)) == 4
