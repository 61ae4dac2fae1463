"""Regions found by depth, and the 3D experiment from masks to its table, on a ray-cast room and a tiny CLIP."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from integrations.openmask3d.features import Extraction
from integrations.openmask3d.launcher import main
from integrations.openmask3d.settings import FeatureSettings
from integrations.openmask3d.surfaces import fill_regions
from opendas_plugin.crops import CropPolicy
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.scenes.mask_arrays import save_masks
from opendas_plugin.scenes.pointcloud import write_ply
from opendas_plugin.vocabulary import Vocabulary
from tests.integrations.openmask3d.scenes import COLOURS, make_scene

NAMES = ("wall", "red box", "blue box", "green box")


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A domain folder with one scene, its oracle masks and proposals; returns the folder and the scene."""
    folder = tmp_path_factory.mktemp("domain")
    place = folder / "data" / "scenes" / "room"
    scene = make_scene(place)
    write_ply(place / "room.ply", scene.points, np.full((len(scene.points), 3), 128, np.uint8))
    boxes = scene.masks[:, :3] > 0
    truth = np.where(boxes.any(axis=1), 1000 * (boxes.argmax(axis=1) + 2) + boxes.argmax(axis=1) + 2, 1001)
    truth[-20:] = 0
    (folder / "data" / "ground_truth").mkdir()
    np.savetxt(folder / "data" / "ground_truth" / "room.txt", truth, fmt="%d")
    (folder / "data" / "classes.txt").write_text("".join(f"{row} {name}\n" for row, name in enumerate(NAMES, 1)))
    Vocabulary(NAMES, novel=("green box",)).save(folder / "data" / "vocabulary.json")
    save_masks(folder / "masks" / "oracle" / "room_masks.pt", np.column_stack([boxes, truth == 1001]))
    save_masks(folder / "masks" / "proposals" / "room_masks.pt", scene.masks)
    (folder / "masks" / "scenes.txt").write_text("room\n")
    return folder, scene


@pytest.fixture(scope="module")
def adapters(tiny_backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    for seed in range(2):
        clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig(init_std=0.5), seed=0)
        clip.save_pretrained(folder / str(seed), crop_policy=CropPolicy("mean", 0.2))
    return [folder / "0", folder / "1"]


def test_regions_by_depth_are_the_pixels_of_the_things(room):
    _, scene = room
    extraction = Extraction(scene.views, scene.points, scene.masks, FeatureSettings())
    regions = list(fill_regions(extraction.projector, extraction.regions(None, np.random.RandomState(0))))
    assert {region.mask for region in regions} == {0, 1, 2, 3}
    for region in regions:
        if region.mask < 3:
            picture = scene.views.read_colour(region.view) / 255
            expected = np.abs(picture - COLOURS[region.mask + 1]).sum(axis=2) < 0.3
            found = region.whole_mask()
            assert (found & expected).sum() / (found | expected).sum() > 0.85


def test_regions_by_depth_are_exact_to_the_pixel(room):
    views = replace(
        room[1].views, colour=room[1].views.colour[:1], depth=room[1].views.depth[:1], poses=np.eye(4)[None]
    )
    depth = views.read_depth(0)
    row, column = np.nonzero(depth)
    pixels = np.column_stack([column + 0.5, row + 0.5, np.ones(len(row))])
    points = pixels @ np.linalg.inv(views.intrinsic).T * depth[row, column, None]  # one for each pixel
    masks = np.column_stack([(row + column) % 2 == 0, row % 3 == 0])
    extraction = Extraction(views, points, masks, FeatureSettings())
    regions = list(fill_regions(extraction.projector, extraction.regions(None, np.random.RandomState(0))))
    assert [region.mask for region in regions] == [0, 1]
    for region in regions:
        expected = np.zeros(depth.shape, dtype=bool)
        expected[row, column] = masks[:, region.mask]
        np.testing.assert_array_equal(region.whole_mask(), expected)


def run(room, adapters, output, *more):
    folder, _ = room
    flags = ["--data", folder / "data", "--masks", folder / "masks", "--output", output, "--adapters", *adapters]
    return main(["experiment", *map(str, [*flags, *more])])


def test_one_command_gives_plain_clip_adapters_and_their_spread(room, adapters, tmp_path, capsys):
    assert run(room, adapters, tmp_path / "out") == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].startswith(f"1 scene of {room[0] / 'data'}")
    assert lines[2] == f"adapter 1: {adapters[0]} (opendas) on test-tiny with random weights of seed 0"
    assert [line.split("  ")[0] for line in lines[6:]] == ["plain CLIP", "adapter 1", "adapter 2", "2 adapters"]
    assert (tmp_path / "out" / "table.txt").read_text() == out
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    for clip in ("plain CLIP", "adapter 1"):
        oracle = summary[clip]["oracle"]
        assert (oracle["n_scenes"], oracle["n_instances"], oracle["oracle"]["n_segments"]) == (1, 3, 4)
        assert oracle["agnostic"]["recall"] == 100
        assert summary[clip]["proposals"]["n_predictions"] == 4  # one mask is seen in no picture
        assert f"{oracle['oracle']['acc']:.1f}" in out
    report = json.loads((tmp_path / "out" / "adapter1" / "oracle" / "summary.json").read_text())
    assert report["adapter"] == str(adapters[0])


def test_finished_features_are_kept_and_give_the_same_table(room, adapters, tmp_path, capsys):
    assert run(room, adapters, tmp_path / "out") == 0
    first, files = capsys.readouterr().out, sorted((tmp_path / "out").rglob("*.npy"))
    assert len(files) == 3 * 2
    before = [path.stat().st_mtime_ns for path in files]
    assert run(room, adapters, tmp_path / "out") == 0
    assert capsys.readouterr().out == first
    assert [path.stat().st_mtime_ns for path in files] == before


def test_an_error_names_the_scene_and_the_masks(room, adapters, tmp_path, capsys):
    folder = shutil.copytree(room[0], tmp_path / "domain")
    save_masks(folder / "masks" / "proposals" / "room_masks.pt", room[1].masks[:, 4:])
    assert run((folder, None), adapters, tmp_path / "out") == 1
    assert "room, proposals: no mask is seen in any picture" in capsys.readouterr().err.splitlines()[-1]


def test_adapters_that_cannot_be_compared_are_one_line(room, adapters, tiny_backbone, tmp_path, capsys):
    other = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig(), seed=0)
    other.save_pretrained(tmp_path / "other", template="a {}.")
    assert run(room, [adapters[0], tmp_path / "other"], tmp_path / "out") == 1
    assert "compare like with like" in capsys.readouterr().err
    assert run(room, [], tmp_path / "out") == 2
