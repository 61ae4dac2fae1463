"""``features`` and ``scene``: what OpenMask3D computes, for any scene in its layout, and such a scene from frames."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from integrations.openmask3d.launcher import main
from opendas_plugin.crops import CropPolicy
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.scenes.mask_arrays import read_masks
from opendas_plugin.scenes.pointcloud import read_ply, write_ply
from tests.integrations.openmask3d import upstream
from tests.integrations.openmask3d.scenes import INTRINSIC, write_room
from tests.scenes.test_pointcloud import open3d_is_there


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "room"
    scene = write_room(folder)
    return folder, scene


def features(room, output, *flags):
    arguments = ["--scene", room, "--masks", room / "room_masks.pt", "--output", output, "--device", "cpu", *flags]
    return main(["features", *map(str, arguments)])


def test_features_are_of_the_boxes_of_the_visible_points(room, tmp_path, capsys):
    folder, scene = room
    assert features(folder, tmp_path / "room.npy", "--how.top-k", 2, "--how.levels", 1) == 0
    assert "5 masks, 1 of them in no picture" in capsys.readouterr().out
    clip, found = OpenDASCLIP.from_backbone("office-tiny"), np.load(tmp_path / "room.npy")
    seen = upstream.visible_pixels(scene.views, scene.points, scene.masks, 0.2)
    best = np.argsort(-seen.sum(axis=(2, 3)), axis=0)[:2].T
    for mask in range(4):
        pieces = []
        for view in best[mask]:
            rows, columns = np.where(seen[view, mask])
            image = scene.views.read_colour(view)[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            pieces.append(clip.preprocess(upstream.Image.fromarray(image)))
        with torch.no_grad():
            expected = clip.encode_image(torch.stack(pieces), normalize=True).mean(dim=0)
        np.testing.assert_allclose(found[mask], expected, atol=1e-6)
    assert not found[4].any()


def test_a_complete_file_stays_when_resuming(room, tmp_path, capsys):
    folder, _ = room
    for _ in range(2):
        assert features(folder, tmp_path / "room.npy", "--resume") == 0
    assert capsys.readouterr().out.strip().endswith("is complete and stays")
    assert json.loads((tmp_path / "room.json").read_text())["clip"]["name"] == "office-tiny"


def correct_intrinsics(folder):
    path = folder / "intrinsic" / "intrinsic_color.txt"
    matrix = np.loadtxt(path)
    matrix[:2] *= 1.01
    np.savetxt(path, matrix)


def move_a_pose(folder):
    path = folder / "pose" / "1.txt"
    np.savetxt(path, np.loadtxt(path) + np.eye(4)[:, [1, 2, 3, 0]] * 0.001)


def write_over(name):
    def change(folder):
        picture = Image.open(folder / name)
        picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(folder / name)

    return change


def drop_a_point(folder):
    points, colours = read_ply(folder / "room.ply")
    points[0] += 0.01
    write_ply(folder / "room.ply", points, colours)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (correct_intrinsics, "the intrinsic matrix has changed"),
        (move_a_pose, "the pose of picture 1 has changed"),
        (write_over("color/2.jpg"), "color/2.jpg has changed"),
        (write_over("depth/2.png"), "depth/2.png has changed"),
        (drop_a_point, "the cloud has changed"),
    ],
)
def test_resuming_computes_again_what_is_of_another_scene_and_says_why(room, tmp_path, capsys, caplog, change, what):
    folder = shutil.copytree(room[0], tmp_path / "room")
    assert features(folder, tmp_path / "f.npy", "--resume") == 0
    change(folder)
    capsys.readouterr()
    assert features(folder, tmp_path / "f.npy", "--resume") == 0
    assert f"f.npy is computed again: {what}" in caplog.text
    assert features(folder, tmp_path / "want.npy") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), np.load(tmp_path / "want.npy"))
    assert features(folder, tmp_path / "f.npy", "--resume") == 0
    assert capsys.readouterr().out.strip().endswith("is complete and stays")


def test_a_moved_scene_is_the_same(room, tmp_path, capsys):
    assert features(room[0], tmp_path / "f.npy", "--resume") == 0
    folder = shutil.copytree(room[0], tmp_path / "elsewhere" / "room", copy_function=shutil.copyfile)
    assert features(folder, tmp_path / "f.npy", "--resume") == 0
    assert capsys.readouterr().out.strip().endswith("is complete and stays")


def test_crops_of_an_adapter(room, tmp_path, capsys):
    folder, _ = room
    clip = OpenDASCLIP.from_backbone("office-tiny", prompts=PromptConfig(visual_tokens=1, text_tokens=1))
    clip.save_pretrained(tmp_path / "adapter", crop_policy=CropPolicy("mean", 0.3, "center"))
    adapter = ("--clip", f"opendas:{tmp_path / 'adapter'}")
    assert features(folder, tmp_path / "ours.npy", *adapter, "--crops", "adapter") == 0
    assert features(folder, tmp_path / "theirs.npy", *adapter) == 0
    assert np.abs(np.load(tmp_path / "ours.npy") - np.load(tmp_path / "theirs.npy")).max() > 1e-3
    assert features(folder, tmp_path / "no.npy", "--crops", "adapter") == 2
    assert "needs --clip opendas:ADAPTER" in capsys.readouterr().err


def test_a_flag_of_sam_without_sam_is_refused(room, tmp_path, capsys):
    assert features(room[0], tmp_path / "no.npy", "--sam-type", "vit_h") == 2
    assert "--sam-type has no effect without SAM" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--depth-scale", 5000), "check depth_scale"),
        (("--scene", "/nowhere"), "/nowhere/pose holds no poses"),
        (("--predictor", "sam"), "choose the predictor boxes"),
        (("--every", 0), "every must be 1 or more"),
    ],
)
def test_bad_input_is_one_line(room, tmp_path, capsys, flags, message):
    assert features(room[0], tmp_path / "room.npy", *flags) != 0
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not open3d_is_there(), reason="open3d cannot be imported")
def test_a_scene_is_made_of_frames(room, tmp_path):
    folder, _ = room
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(6):
        for kind, suffix in (("color", "jpg"), ("depth", "png"), ("pose", "txt")):
            written = suffix.upper() if suffix == "jpg" and number % 2 == 0 else suffix  # as cameras may write it
            shutil.copyfile(folder / kind / f"{number}.{suffix}", frames / f"frame-{10 * number:06}.{kind}.{written}")
    np.savetxt(tmp_path / "k.txt", INTRINSIC)
    arguments = ["--frames", frames, "--intrinsics", tmp_path / "k.txt", "--output", tmp_path / "kitchen"]
    assert main(["scene", *map(str, arguments), "--every", "2"]) == 0
    points, _ = read_ply(tmp_path / "kitchen" / "kitchen.ply")
    masks = read_masks(tmp_path / "kitchen" / "kitchen_masks.pt")
    assert masks.shape[0] == len(points)
    assert masks.shape[1] >= 1
    assert sorted(path.name for path in (tmp_path / "kitchen" / "pose").iterdir()) == ["0.txt", "1.txt", "2.txt"]
    arguments = ["--scene", tmp_path / "kitchen", "--masks", tmp_path / "kitchen" / "kitchen_masks.pt"]
    assert main(["features", *map(str, arguments), "--output", str(tmp_path / "kitchen.npy")]) == 0
    assert np.load(tmp_path / "kitchen.npy").any(axis=1).all()
