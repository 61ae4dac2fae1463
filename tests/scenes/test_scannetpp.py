"""ScanNet++'s layout: annotation, the choice of offices, labels of pixels and of vertices, and OpenMask3D's layout."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.eval.instance_files import read_classes, read_truth
from opendas_plugin.scenes.camera import Camera
from opendas_plugin.scenes.colmap import read_views
from opendas_plugin.scenes.mask_arrays import read_masks
from opendas_plugin.scenes.openmask3d_layout import export_masks, export_scene, read_proposals
from opendas_plugin.scenes.raycast import RayCaster, load_mesh
from opendas_plugin.scenes.scannetpp import ScanNetPPScene, Thing, choose_offices, class_names, read_things
from opendas_plugin.scenes.scannetpp_segments import Limits, read_scene, split_names
from opendas_plugin.scenes.scannetpp_truth import label_vertices, write_truth
from opendas_plugin.scenes.scannetpp_views import SceneViews, best_views
from tests.scenes.scannetpp_rooms import office_room, offices, write_scene


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return offices(tmp_path_factory.mktemp("scannetpp"))


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    root = tmp_path_factory.mktemp("office")
    return root, *office_room(root)


def inner(labels):
    """Pixels all of whose neighbours show the same thing."""
    return ndimage.maximum_filter(labels, 3) == ndimage.minimum_filter(labels, 3)


def test_offices_are_chosen_by_what_they_hold(root):
    assert choose_offices(root, "train", 14) == ["a0", "a1"]
    assert choose_offices(root, "train", 1) == ["a0"]
    assert choose_offices(root, "val", 16) == ["b0"]


def test_names_are_the_most_frequent_spellings_and_notes_are_none():
    names = class_names(["Desk", "desk", "desk", "office_chair", "REMOVE", "split", "objects", "DESK", ""])
    assert names == {"desk": "desk", "office chair": "office_chair"}


@pytest.mark.parametrize("pair", [("glass", "glasses"), ("wood", "woods"), ("len", "lens"), ("new", "news")])
def test_two_names_that_look_like_a_plural_stay_two_classes(pair):
    assert class_names(pair) == dict(zip(pair, pair, strict=True))


def test_novel_names_are_those_of_validation_scenes_alone(root):
    names, novel = split_names([ScanNetPPScene(root, "a0"), ScanNetPPScene(root, "a1")], [ScanNetPPScene(root, "b0")])
    assert sorted(names.values()) == [
        *("floor", "keyboard", "monitor", "mug", "office chair", "office chairs", "office desk")
    ]
    assert novel == ("monitor", "mug")


def test_a_class_whose_singular_alone_was_trained_on_is_novel(root):
    assert split_names([ScanNetPPScene(root, "a0")], [ScanNetPPScene(root, "a1")])[1] == ("office chairs",)


def test_pixel_labels_agree_with_the_renderers(room):
    root, frames, _ = room
    views = SceneViews(ScanNetPPScene(root, "room"), "iphone")
    agree = total = 0
    for view, frame in zip(views.views, frames, strict=True):
        found = views.objects(view).objects
        away = inner(frame.instance)
        agree += (found == frame.instance)[away].sum()
        total += away.sum()
        assert np.allclose(views.camera(view).pose, frame.camera.pose, atol=1e-6)
    assert total > 0.5 * frames[0].instance.size * len(frames)
    assert agree / total >= 0.99


def test_depth_agrees_with_the_renderers(room):
    root, frames, _ = room
    views = SceneViews(ScanNetPPScene(root, "room"), "iphone")
    depth = views.depth(frames[0].camera)
    assert np.abs(depth - frames[0].depth)[inner(frames[0].instance)].max() < 1e-3


def test_visible_shares_are_the_toolboxs(room):
    """Vertices of the faces that are seen, of all of the object's (create_vizcache_one_image)."""
    root, frames, house = room
    views = SceneViews(ScanNetPPScene(root, "room"), "iphone")
    found = views.objects(views.views[0])
    face, _ = house.caster.cast(*frames[0].camera.rays(frames[0].camera.centres()))
    seen = set(house.mesh.faces[np.unique(face[face >= 0])].ravel().tolist())
    for thing in read_things(ScanNetPPScene(root, "room")):
        if thing.id in found.visible:
            expected = len(seen & set(thing.segments.tolist())) / len(thing.segments)
            assert found.visible[thing.id] == pytest.approx(expected, abs=0.02)


def test_the_cache_gives_the_same_and_knows_when_the_annotation_changed(root, tmp_path):
    scene = ScanNetPPScene(root, "a0")
    first = SceneViews(scene, "iphone", cache=tmp_path)
    fresh = [first.objects(view) for view in first.views]
    again = SceneViews(scene, "iphone", cache=tmp_path)
    kept = [again.objects(view) for view in again.views]
    assert again._mesh is None  # nothing was cast
    for one, other in zip(fresh, kept, strict=True):
        assert (one.objects == other.objects).all() and one.visible == pytest.approx(other.visible)
    content = scene.annotation.read_text()
    scene.annotation.write_text(content + " ")
    changed = SceneViews(scene, "iphone", cache=tmp_path)
    changed.objects(changed.views[0])
    assert changed._mesh is not None
    scene.annotation.write_text(content)


FISHEYE = (0.05, -0.01, 0.002, -0.0005)


def test_fisheye_pictures_are_straightened_in_step_with_their_labels(room, tmp_path):
    """A fisheye picture whose colours are the objects' ids, cast with OpenCV's own model, keeps its labels."""
    cv2 = pytest.importorskip("cv2")
    house = room[2]
    camera = Camera.look_at((0.5, -0.5, 1.6), (0, 1, 0.6), width=200, height=150, fov=60)
    camera = Camera(np.array([[95.0, 0, 101.3], [0, 95.0, 74.2], [0, 0, 1]]), camera.pose, 200, 150)
    points = camera.centres().astype(np.float64).reshape(-1, 1, 2)
    straight = cv2.fisheye.undistortPoints(points, camera.intrinsics, np.array(FISHEYE)).reshape(-1, 2)
    local = np.column_stack([straight, np.ones(len(straight))])
    directions = (local @ camera.pose[:3, :3].T).astype(np.float32)
    face, _ = house.caster.cast(np.broadcast_to(camera.pose[:3, 3], directions.shape), directions)
    instance = np.concatenate([house.owner + 1, [0]])[face].reshape(150, 200)
    picture = np.repeat(instance.astype(np.uint8)[..., None], 3, axis=2)
    owner = np.zeros(len(house.mesh.vertices), np.int64)
    owner[house.mesh.faces.ravel()] = np.repeat(house.owner + 1, 3)
    things = [(row, item.name, np.flatnonzero(owner == row)) for row, item in enumerate(house.items, 1)]
    mesh = (house.mesh.vertices, house.mesh.faces)
    write_scene(tmp_path, "s", *mesh, things, [("DSC1.png", camera, picture)], source="dslr", distortion=FISHEYE)
    views = SceneViews(ScanNetPPScene(tmp_path, "s"), "dslr")
    view = views.views[0]
    colours, labels = views.picture(view)[..., 0], views.objects(view).objects
    away = inner(labels) & inner(colours)
    assert away.mean() > 0.5
    assert (colours == labels)[away].mean() >= 0.99
    assert views.camera(view).intrinsics[0, 2] == 100 and views.camera(view).intrinsics[1, 2] == 75


def test_objects_become_segments_of_their_best_pictures(root, tmp_path):
    scenes = [ScanNetPPScene(root, "a0")]
    names, _ = split_names(scenes, [])
    limits = Limits(every=1, min_side=10, views=2)
    images = list(read_scene(*scenes, names, limits, straightened=tmp_path))
    labels = [segment.label for image in images for segment in image.segments]
    assert labels.count("office chair") == labels.count("office desk") == 2
    assert "remove" not in labels
    dropped = sum((image.dropped for image in images), start=Counter())
    assert dropped["seen better in other pictures"] == 2 * 4  # floor, chair, desk, keyboard
    assert dropped["label that is no class"] == 4
    views = SceneViews(scenes[0], "iphone")
    shown = [views.objects(view).visible for view in views.views]
    best = best_views(shown, 2)
    for place, image in enumerate(images):
        assert {segment.label for segment in image.segments} == {
            thing.label for thing in read_things(scenes[0]) if place in best[thing.id] and thing.label != "remove"
        }
        assert all(segment.group == "a0" for segment in image.segments)


def test_small_narrow_and_hidden_objects_are_dropped(root, tmp_path):
    scenes = [ScanNetPPScene(root, "a0")]
    names, _ = split_names(scenes, [])
    for limits, reason in (
        (Limits(every=1, min_area=10**6), "smaller than 1000000 pixels"),
        (Limits(every=1, min_side=1000), "narrow box"),
        (Limits(every=1, min_side=1, min_visible=1.0), "mostly hidden"),
    ):
        images = read_scene(*scenes, names, limits, straightened=tmp_path)
        assert sum(image.dropped[reason] for image in images) > 0


def test_every_nth_picture_in_colmaps_order(root):
    names = [view.name for view in SceneViews(ScanNetPPScene(root, "a0"), "iphone", every=2).views]
    assert names == ["frame_000000.jpg", "frame_000020.jpg"]


def test_of_overlapping_objects_the_smallest_counts_in_3d():
    things = [
        Thing(7, "desk", np.arange(0, 8)),
        Thing(8, "split", np.arange(0, 10)),
        Thing(9, "mug", np.arange(6, 9)),
        Thing(4, "desk", np.arange(9, 10)),
    ]
    classes, objects = label_vertices(things, np.arange(12), {"desk": 0, "mug": 1})
    assert classes.tolist() == [0] * 6 + [1] * 3 + [0, -1, -1]
    assert objects.tolist() == [0] * 6 + [2] * 3 + [3, -1, -1]


def test_ground_truth_in_both_formats(root, tmp_path):
    scene = ScanNetPPScene(root, "b0")
    write_truth(tmp_path, [scene], ["floor", "monitor", "mug", "office chair", "office desk"])
    names = ("wall", "floor", "ceiling", "monitor", "mug", "office chair", "office desk")
    for protocol, first in (("scannet", 1), ("scannetpp", 0)):
        classes = read_classes(tmp_path / f"classes_{protocol}.txt", protocol)
        assert classes.names == names and classes.ids == tuple(range(first, first + len(names)))
        truth = read_truth(tmp_path / protocol / "b0.txt")
        for row, thing in enumerate(read_things(scene)):
            instance = (names.index(thing.label) + first) * 1000 + row + 1 if thing.label != "floor" else 0
            assert set(truth[thing.segments].tolist()) == {instance}
    assert (tmp_path / "instance_classes.txt").read_text().split("\n")[:2] == ["monitor", "mug"]


def test_a_scene_for_openmask3d(root, tmp_path):
    scene, folder = ScanNetPPScene(root, "a0"), tmp_path / "a0"
    vertices, faces = load_mesh(scene.mesh)
    masks = np.zeros((len(vertices), 2), bool)
    masks[:50, 0] = masks[50:80, 1] = True
    np.save(tmp_path / "masks.npy", masks)
    folder.mkdir()
    assert export_scene(scene, folder, every=2, width=80) == 2
    export_masks(scene, tmp_path / "a0_masks.pt", tmp_path / "masks.npy")
    intrinsic = np.loadtxt(folder / "intrinsic" / "intrinsic_color.txt")
    views = read_views(scene.poses("iphone"))[::2]
    assert intrinsic[0, 0] == pytest.approx(views[0].camera.intrinsics[0, 0] / 2)
    for number, view in enumerate(views):
        colour = np.asarray(Image.open(folder / "color" / f"{number}.jpg"))
        depth = np.asarray(Image.open(folder / "depth" / f"{number}.png"))
        assert colour.shape == (60, 80, 3) and depth.shape == (60, 80) and depth.dtype == np.uint16
        pose = np.loadtxt(folder / "pose" / f"{number}.txt")
        camera = Camera(intrinsic[:3, :3], pose, 80, 60)
        assert np.allclose(pose, view.camera.pose, atol=1e-6)
        _, distance = RayCaster(vertices, faces).cast(*camera.rays(camera.centres()))
        expected = np.where(np.isfinite(distance), distance, 0).reshape(60, 80)
        assert np.abs(depth / 1000 - expected).max() < 2e-3
    assert sorted(path.name for path in (folder / "pose").iterdir()) == ["0.txt", "1.txt"]
    assert (read_masks(tmp_path / "a0_masks.pt") == masks).all()
    assert (load_mesh(folder / "a0.ply")[0] == vertices).all()


def test_proposals_in_scannetpps_format(tmp_path):
    (tmp_path / "predicted_masks").mkdir()
    (tmp_path / "s.txt").write_text("predicted_masks/s_000.json 3 0.9\npredicted_masks/s_001.json 1 0.5\n")
    for number, counts in enumerate(("1 2 6 1", "")):
        content = {"length": 7, "counts": counts}
        (tmp_path / "predicted_masks" / f"s_{number:03d}.json").write_text(json.dumps(content))
    assert read_proposals(tmp_path, "s", 7).T.tolist() == [[1, 1, 0, 0, 0, 1, 0], [0] * 7]
    with pytest.raises(DataError, match="about 7 points, but the scene has 8"):
        read_proposals(tmp_path, "s", 8)
    with pytest.raises(MissingFileError, match=r"t\.txt does not exist"):
        read_proposals(tmp_path, "t", 7)


def test_what_is_missing_or_odd_is_named(root, tmp_path):
    with pytest.raises(MissingFileError, match=r"cameras\.txt does not exist"):
        SceneViews(ScanNetPPScene(root, "none"), "iphone")
    scene = ScanNetPPScene(tmp_path, "s")
    scene.annotation.parent.mkdir(parents=True)
    scene.annotation.write_text('{"segGroups": [{"label": "desk"}]}')
    with pytest.raises(DataError, match="expected ScanNet"):
        read_things(scene)
    scene.mesh.write_text("ply\nnonsense")
    with pytest.raises(DataError, match="cannot be read as a PLY file"):
        load_mesh(scene.mesh)
