"""The office domain as written: manifests, labels, depth, poses and points agree; same seed, same bytes."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from opendas_plugin.data.domain import load_domain
from opendas_plugin.errors import ConfigError
from opendas_plugin.office.names import BASE, CLASSES, NOVEL_TEST, NOVEL_TUNE
from opendas_plugin.office.rooms import Pictures, build_room
from opendas_plugin.runs import prepare

SMALL = Pictures(width=240, height=180, per_room=4, min_area=100)


@pytest.fixture(scope="module")
def office(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("office") / "domain"
    prepare("office", output=folder, train_rooms=1, val_rooms=1, pictures=SMALL, workers=1)
    return folder


@pytest.fixture(scope="module")
def scene(office) -> Path:
    return office / "scenes" / "office_test_000"


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_the_folder_is_a_domain_of_base_and_novel_names(office):
    domain = load_domain(office)
    seen = {segment.label for segment in domain.train}
    assert domain.vocabulary.names == BASE + NOVEL_TEST and seen == set(domain.vocabulary.base) <= set(BASE)
    assert domain.vocabulary.novel == tuple(name for name in BASE + NOVEL_TEST if name not in seen)
    assert {segment.label for segment in domain.val} & set(NOVEL_TEST)
    assert {segment.group for segment in domain.train} == {"office_train_000"}
    assert {segment.group for segment in domain.val} == {"office_test_000"}


def test_counts_of_kept_and_dropped_segments_are_told(office):
    info = load_domain(office).info
    assert info["name"] == "office" and info["seed"] == 0 and info["novel_split"] == "test"
    assert info["kept"]["val"] == len(load_domain(office).val)
    assert info["dropped"]["val"]["name outside the vocabulary"] > 0
    assert "novel name in a training image" in info["dropped"]["train"]
    assert info["pictures"]["look"]["noise"]


def test_masks_are_those_of_the_instance_and_class_pictures(office):
    domain = load_domain(office)
    for segment in [*domain.train, *domain.val]:
        folder, name = segment.image.parent.parent, segment.image.stem
        mask = segment.mask()
        assert mask.sum() >= SMALL.min_area and read(segment.image).shape == (180, 240, 3)
        instance = np.unique(read(folder / "instance" / f"{name}.png")[mask])
        assert len(instance) == 1 and instance[0] > 0
        assert (read(folder / "instance" / f"{name}.png") == instance[0]).sum() == mask.sum()
        labels = np.unique(read(folder / "class" / f"{name}.png")[mask])
        assert [domain.vocabulary.names[label] for label in labels] == [segment.label]


def test_a_thing_has_two_segments_at_most_unless_its_name_is_rare_in_validation(office, tmp_path):
    prepare("office", output=tmp_path / "few", train_rooms=1, val_rooms=1, pictures=replace(SMALL, fewest=1), workers=1)
    few, many = load_domain(tmp_path / "few"), load_domain(office)
    seen = Counter(
        int(read(segment.image.parent.parent / "instance" / f"{segment.image.stem}.png")[segment.mask()][0])
        for segment in few.val
    )
    assert max(seen.values()) == 2
    assert [(s.image.name, s.rle) for s in few.train] == [(s.image.name, s.rle) for s in many.train]
    assert len(many.val) > len(few.val)
    more = Counter(segment.label for segment in many.val) - Counter(segment.label for segment in few.val)
    assert max(Counter(segment.label for segment in many.val)[name] for name in more) <= 20


def test_novel_things_stand_unlabelled_in_training_rooms(office):
    names = {item.name for item in build_room(0, "train", 0).items}
    assert names & set(NOVEL_TEST) and names & set(NOVEL_TUNE)
    for path in (office / "scenes" / "office_train_000" / "class").iterdir():
        labels = set(np.unique(read(path)).tolist()) - {255}
        assert labels and labels <= set(range(len(BASE)))


def test_the_scene_has_openmask3ds_layout(scene):
    intrinsic = np.loadtxt(scene / "intrinsic" / "intrinsic_color.txt")
    assert intrinsic.shape == (4, 4) and intrinsic[0, 2] == 120 and intrinsic[1, 2] == 90
    poses = sorted(scene.glob("pose/*.txt"), key=lambda path: int(path.stem))
    assert [path.stem for path in poses] == ["0", "1", "2", "3"]
    for path in poses:
        pose = np.loadtxt(path)
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-6)
        assert pose[3].tolist() == [0, 0, 0, 1]
        colour, depth = read(scene / "color" / f"{path.stem}.jpg"), read(scene / "depth" / f"{path.stem}.png")
        assert colour.shape == (180, 240, 3) and depth.shape == (180, 240) and depth.dtype == np.uint16
        assert depth.min() > 100 and depth.max() < 10_000


def test_ground_truth_has_a_class_and_an_instance_for_every_vertex(office, scene):
    cloud = trimesh.load(scene / f"{scene.name}.ply")
    labels = np.loadtxt(office / "ground_truth" / f"{scene.name}.txt", dtype=int)
    assert len(labels) == len(cloud.vertices) == len(cloud.colors)
    classes = dict(line.split(" ", 1) for line in (office / "classes.txt").read_text().splitlines())
    items = build_room(0, "test", 0).items
    for label in np.unique(labels[labels > 0]).tolist():
        assert classes[str(label // 1000)] == items[label % 1000 - 1].name
        assert (labels == label).sum() >= 100  # ScanNet's evaluation ignores smaller instances
    unlabelled = {item.name for row, item in enumerate(items, 1) if not (labels % 1000 == row).any()}
    assert not unlabelled & set(BASE + NOVEL_TEST) and unlabelled & set(CLASSES) <= set(NOVEL_TUNE)


def test_points_of_things_seen_in_a_picture_have_the_label_of_their_pixel(office, scene):
    classes = [line.split(" ", 1)[1] for line in (office / "classes.txt").read_text().splitlines()]
    points = trimesh.load(scene / f"{scene.name}.ply").vertices
    labels = np.loadtxt(office / "ground_truth" / f"{scene.name}.txt", dtype=int)
    intrinsic = np.loadtxt(scene / "intrinsic" / "intrinsic_color.txt")[:3, :3]
    agree = total = 0
    for number in range(4):
        world_to_camera = np.linalg.inv(np.loadtxt(scene / "pose" / f"{number}.txt"))
        local = points @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
        u, v, z = (local @ intrinsic.T).T
        u, v = np.floor(u / z), np.floor(v / z)
        inside = (z > 0) & (u >= 0) & (u < 240) & (v >= 0) & (v < 180)
        row, column = v[inside].astype(int), u[inside].astype(int)
        seen = np.abs(read(scene / "depth" / f"{number}.png")[row, column] / 1000 - z[inside]) < 0.01
        instance = read(scene / "instance" / f"{number}.png")[row, column][seen]
        label = labels[inside][seen]
        thing = label > 1000 * (1 + classes.index("ceiling")) + 999  # a wall also has points behind its posters
        agree += (instance[thing] == label[thing] % 1000).sum()
        total += thing.sum()
    assert classes[:3] == ["wall", "floor", "ceiling"]
    assert total > 2000 and agree / total > 0.97  # at borders a point and its pixel's centre may differ


def test_the_same_seed_gives_the_same_bytes_in_any_number_of_processes(office, tmp_path):
    prepare("office", output=tmp_path / "again", train_rooms=1, val_rooms=1, pictures=SMALL, workers=2)
    first, second = (
        {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in root.rglob("*")
            if path.is_file() and path.name != "run.json"
        }
        for root in (office, tmp_path / "again")
    )
    assert first == second and len(first) == 6 + 1 + 1 + 2 + 2 * (1 + 1 + 4 * 5)


def test_splits_and_seeds_have_rooms_of_their_own():
    sizes = {build_room(seed, split, 0).size for seed in (0, 1) for split in ("train", "tune", "test")}
    assert len(sizes) == 6


@pytest.mark.parametrize("wrong", [{"novel_split": "train"}, {"train_rooms": 0}, {"workers": 0}])
def test_numbers_that_cannot_be_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong)).replace("_", "[ _]")):
        prepare("office", output=tmp_path / "x", **wrong)
    assert not (tmp_path / "x").exists()
