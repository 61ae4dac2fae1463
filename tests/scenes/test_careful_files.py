"""Files of scenes that differ a little, or are damaged: read as meant, or refused in a sentence that names them."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from opendas_plugin.scenes.colmap import read_views
from opendas_plugin.scenes.folder import read_intrinsic, read_pose
from opendas_plugin.scenes.mask_arrays import read_array
from opendas_plugin.scenes.mask_arrays import read_masks as read_mask_file
from opendas_plugin.scenes.mask_features import read_features
from opendas_plugin.scenes.pointcloud import read_ply, write_ply
from opendas_plugin.scenes.scannetpp import (
    ScanNetPPScene,
    Thing,
    objects_of_vertices,
    read_segments,
    read_things,
)
from tests.test_careful_readers import refused


class TestArrays:
    def test_an_array_longer_than_its_file_is_refused(self, tmp_path):
        path = tmp_path / "a.npy"
        with open(path, "wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 1000)})
            file.write(bytes(48))
        with refused(r"a\.npy cannot be read"):
            read_array(path, "make it")

    @pytest.mark.parametrize("array", [np.array(["a"]), np.zeros((2, 3), complex), np.zeros((2, 3), object)])
    def test_arrays_of_other_things_are_refused(self, tmp_path, array):
        np.save(tmp_path / "a.npy", array, allow_pickle=True)
        for read in (lambda: read_features(tmp_path / "a.npy", 2), lambda: read_mask_file(tmp_path / "a.npy")):
            with refused(r"a\.npy"):
                read()
        np.savez(tmp_path / "b.npz", a=np.zeros(3))
        os.replace(tmp_path / "b.npz", tmp_path / "b.npy")
        with refused("b.npy"):
            read_array(tmp_path / "b.npy", "make it")


class TestPly:
    @pytest.fixture
    def cloud(self, tmp_path):
        write_ply(tmp_path / "a.ply", np.arange(30.0).reshape(10, 3), np.full((10, 3), 7, np.uint8))
        return tmp_path / "a.ply"

    def test_what_it_holds_is_read(self, cloud):
        points, colours = read_ply(cloud)
        assert points.tolist() == np.arange(30.0).reshape(10, 3).tolist()
        assert (colours == 7).all()

    @pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
    def test_a_file_that_was_cut_off_is_refused(self, cloud, part):
        cloud.write_bytes(cloud.read_bytes()[: int(part * cloud.stat().st_size)])
        with refused(r"a\.ply"):
            read_ply(cloud)

    def test_a_text_that_was_cut_off_is_refused(self, tmp_path):
        properties = "".join(f"property float {name}\n" for name in "xyz")
        head = f"ply\nformat ascii 1.0\nelement vertex 3\n{properties}end_header\n"
        (tmp_path / "a.ply").write_text(head + "0 0 0\n1 1 1\n")
        with refused(r"a\.ply"):
            read_ply(tmp_path / "a.ply")
        (tmp_path / "a.ply").write_text(head + "0 0 0\n1 1 1\nnan 2 2\n")
        with refused("point 2 is not finite"):
            read_ply(tmp_path / "a.ply")

    @pytest.mark.parametrize("count", [b"999999999999", b"11", b"0", b"-1", b"x"])
    def test_a_head_that_says_another_number_is_refused(self, cloud, count):
        cloud.write_bytes(cloud.read_bytes().replace(b"element vertex 10", b"element vertex " + count))
        with refused(r"a\.ply"):
            read_ply(cloud)


class TestMatrices:
    @pytest.mark.parametrize(
        ("rows", "says"),
        [
            (np.diag([1, 1, -1, 1]), "no rotation"),
            (np.diag([2, 2, 2, 1]), "no rotation"),
            (np.eye(4)[:3], "holds"),
            (np.block([[np.eye(3), np.zeros((3, 1))], [np.ones((1, 3)), np.ones((1, 1))]]), "last row"),
            (np.zeros((4, 4)), "without an inverse"),
        ],
    )
    def test_poses_that_no_camera_has(self, tmp_path, rows, says):
        np.savetxt(tmp_path / "0.txt", rows)
        with refused(rf"0\.txt.*{says}"):
            read_pose(tmp_path / "0.txt")

    @pytest.mark.parametrize("diagonal", [(0, 1, 1), (1, -1, 1), (1, 1, 5), (np.nan, 1, 1), (1, np.inf, 1)])
    def test_intrinsics_that_no_camera_has(self, tmp_path, diagonal):
        np.savetxt(tmp_path / "k.txt", np.diag(diagonal))
        with refused(r"k\.txt"):
            read_intrinsic(tmp_path / "k.txt")


CAMERA = "1 PINHOLE 64 48 50 50 32 24\n"
POSE = "1 0 0 0 0 0 {} 1"


class TestColmap:
    def model(self, folder, images, cameras=CAMERA):
        (folder / "cameras.txt").write_text(cameras)
        (folder / "images.txt").write_text(images)
        return read_views(folder)

    @pytest.mark.parametrize("between", ["\n", "\n\n", "\n1.5 2.5 -1 3 4 17\n", "\n10 20 30\n"])
    def test_an_images_second_line_may_be_empty_full_or_not_there(self, tmp_path, between):
        lines = between.join(f"{n} {POSE.format(n)} my frame {n}.jpg" for n in (3, 1, 2))
        views = self.model(tmp_path, f"# Number of images: 3, mean observations per image: 0\n{lines}\n")
        assert [(view.name, view.camera.pose[2, 3]) for view in views] == [(f"my frame {n}.jpg", -n) for n in (1, 2, 3)]

    def test_each_image_has_its_own_camera(self, tmp_path):
        images = f"1 {POSE.format(0)} a.jpg\n\n2 1 0 0 0 0 0 0 7 b.jpg\n\n"
        views = self.model(tmp_path, images, CAMERA + "7 PINHOLE 32 24 25 25 16 12\n")
        assert [view.camera.width for view in views] == [64, 32]

    @pytest.mark.parametrize(
        ("images", "cameras", "says"),
        [
            (f"1 {POSE.format(0)} a.jpg\n\n1 {POSE.format(0)} b.jpg\n", CAMERA, "the image number 1 is there twice"),
            (f"1 {POSE.format(0)} a.jpg\n\n2 {POSE.format(0)} a.jpg\n", CAMERA, "the image 'a.jpg' is there twice"),
            (f"# Number of images: 2\n1 {POSE.format(0)} a.jpg\n", CAMERA, "says 2 images and holds 1"),
            ("1 1 0 0 0 0 0 0 9 a.jpg\n", CAMERA, "the camera 9 of a.jpg is not in"),
            ("1 0 0 0 0 0 0 0 1 a.jpg\n", CAMERA, "no rotation"),
            ("1 nan 0 0 0 0 0 0 1 a.jpg\n", CAMERA, "no rotation"),
            (f"1 {POSE.format(0)} a.jpg\n1 2 3 4\n", CAMERA, "expected COLMAP's line of an image"),
            (f"1 {POSE.format(0)} a.jpg\n", CAMERA * 2, "the camera 1 is there twice"),
            (f"1 {POSE.format(0)} a.jpg\n", "1 PINHOLE 64 48 -50 50 32 24\n", "above 0"),
        ],
    )
    def test_what_would_be_lost_is_named(self, tmp_path, images, cameras, says):
        with refused(says):
            self.model(tmp_path, images, cameras)


class TestScanNetPP:
    def scene(self, folder, groups, segments=(0, 1, 2)):
        scene = ScanNetPPScene(folder, "s")
        scene.annotation.parent.mkdir(parents=True, exist_ok=True)
        scene.annotation.write_text(json.dumps({"segGroups": groups}))
        scene.segments.write_text(json.dumps({"segIndices": list(segments)}))
        return scene

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"label": None}, "object 2: expected its label as a text, got None"),
            ({"label": 3}, "object 2: expected its label as a text"),
            ({"objectId": 1}, "the objectId 1 is there twice"),
            ({"objectId": 1.5}, "objectId"),
            ({"objectId": "2"}, "objectId"),
            ({"segments": [1.5]}, "whole numbers"),
            ({"segments": ["1"]}, "whole numbers"),
            ({"segments": [-1]}, "whole numbers"),
            ({"segments": None}, "whole numbers"),
        ],
    )
    def test_groups_are_checked(self, tmp_path, change, says):
        groups = [{"objectId": number, "label": "desk", "segments": [number]} for number in (1, 2)]
        groups[1].update(change)
        with refused(rf"segments_anno\.json.*{says}"):
            read_things(self.scene(tmp_path, groups))

    @pytest.mark.parametrize("segments", [(-1,), (1.5,), (None,), ("1",), (10**30,)])
    def test_segments_are_checked(self, tmp_path, segments):
        with refused(r"segments\.json"):
            read_segments(self.scene(tmp_path, [], segments))

    def test_high_segment_numbers_take_no_memory(self):
        things = [Thing(1, "desk", np.array([10**15])), Thing(2, "mug", np.array([5, 7]))]
        assert objects_of_vertices(things, np.array([7, 10**15, 6])).tolist() == [2, 1, 0]
