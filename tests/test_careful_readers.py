"""Formats that tools write with small differences: read as meant, or refused in one sentence that names the file."""

from __future__ import annotations

import json
import resource

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.data.mask_inputs import read_masks
from opendas_plugin.data.segments import check_rle, from_polygons, from_runs
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.eval import label_maps
from opendas_plugin.eval.instance_files import read_classes, read_predictions, read_truth
from opendas_plugin.eval.label_maps import Labelling, pairs
from opendas_plugin.files import find_files, read_json, read_lines
from opendas_plugin.label_values import LabelValues
from opendas_plugin.readers.kitti360 import read_frames
from opendas_plugin.scenes.folder import read_intrinsic, read_pose
from opendas_plugin.scenes.mask_files import read_rle
from opendas_plugin.scenes.scannetpp import (
    read_scene_list,
)
from opendas_plugin.vocabulary import Vocabulary, read_names

VALUES = LabelValues.places(2, 0, ())
BOM = b"\xef\xbb\xbf"


def refused(says, kind=DataError):
    return pytest.raises(kind, match=says)


class TestText:
    @pytest.mark.parametrize("content", [BOM + b"wall\r\ndesk\r\n", b"wall\ndesk", BOM + b"wall\n" + BOM + b"desk\n\n"])
    def test_a_byte_order_mark_is_no_part_of_a_name(self, tmp_path, content):
        path = tmp_path / "names.txt"
        path.write_bytes(content)
        assert read_names(path) == read_lines(path) == read_scene_list(path) == ["wall", "desk"]
        assert read_classes(path, "scannetpp").names == ("wall", "desk")

    def test_a_byte_order_mark_is_no_part_of_anything_else(self, tmp_path):
        path = tmp_path / "file"
        for content, read, expected in (
            (b'{"names": ["wall"]}', lambda p: Vocabulary.load(p).names, ("wall",)),
            (b"1 wall\n", lambda p: read_classes(p, "scannet").ids, (1,)),
            (b"1001\n0\n", lambda p: read_truth(p).tolist(), [1001, 0]),
            (b"a.png b.png\n", read_frames, [("a.png", "b.png")]),
            (b"9 0 1\n0 9 1\n0 0 1\n", lambda p: read_intrinsic(p)[0, 0], 9),
            (b"1 0 0 2\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", lambda p: read_pose(p)[0, 3], 2),
        ):
            path.write_bytes(BOM + content)
            assert read(path) == expected

    def test_other_bytes_are_refused(self, tmp_path):
        (tmp_path / "a").write_text("wall\n", encoding="utf-16")
        with refused("expected UTF-8 text, found other bytes at 0"):
            read_names(tmp_path / "a")

    def test_lines_end_at_line_feeds_alone(self, tmp_path):
        (tmp_path / "a").write_text("wall\u2028paper\ndesk\x0cr\n", encoding="utf-8")
        assert read_names(tmp_path / "a") == ["wall\u2028paper", "desk\x0cr"]

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
            ("[" * 100_000, "inside each other without end"),
            ("1" * 5000, "numbers that can be read"),
            ("{", "line 1: expected JSON"),
        ],
    )
    def test_json_that_hides_something_is_refused(self, tmp_path, content, says):
        (tmp_path / "a.json").write_text(content)
        with refused(rf"a\.json.*{says}"):
            read_json(tmp_path / "a.json")


class TestFolders:
    def test_links_are_followed(self, tmp_path):
        (tmp_path / "disk").mkdir()
        (tmp_path / "disk" / "b.png").touch()
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.png").touch()
        (tmp_path / "in" / "more").symlink_to(tmp_path / "disk")
        (tmp_path / "in" / "c.png").symlink_to(tmp_path / "disk" / "b.png")
        (tmp_path / "disk" / "loop").symlink_to(tmp_path / "in")
        (tmp_path / "in" / "self").symlink_to(tmp_path / "in")
        assert list(find_files(tmp_path / "in", (".png",))) == ["a", "c", "more/b"]
        (tmp_path / "link").symlink_to(tmp_path / "in")
        assert len(find_files(tmp_path / "link", (".png",))) == 3

    def test_a_link_to_nothing_is_named(self, tmp_path):
        (tmp_path / "a.png").symlink_to("gone.png")
        with refused(r"a\.png is a link to gone\.png, which does not exist", MissingFileError):
            find_files(tmp_path, (".png",))

    def test_links_that_multiply_are_refused(self, tmp_path):
        for number in range(20):
            folder = tmp_path / str(number)
            folder.mkdir()
            for name in "ab":
                (folder / name).symlink_to(tmp_path / str(number + 1))
        (tmp_path / "20").mkdir()
        with refused("in more than 64 ways"):
            find_files(tmp_path / "0", (".png",))

    def test_twins_are_refused(self, tmp_path):
        labels = np.zeros((4, 4), np.uint8)
        for name in ("truth/a.png", "truth/a.tif", "predicted/a.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            Image.fromarray(labels).save(tmp_path / name)
        with refused(r"a\.png and .*a\.tif differ only in their suffix"):
            list(pairs(tmp_path / "predicted", tmp_path / "truth", Labelling(VALUES, VALUES)))
        (tmp_path / "truth" / "a.tif").unlink()
        rle = from_runs([0, 16], 4, 4)
        entries = [{"file_name": name, "category_id": 0, "segmentation": rle} for name in ("a.jpg", "a.png")]
        (tmp_path / "p.json").write_text(json.dumps(entries))
        with refused(r"a\.jpg and a\.png differ only in their suffix"):
            list(pairs(tmp_path / "p.json", tmp_path / "truth", Labelling(VALUES, VALUES)))

    @pytest.mark.parametrize(("height", "width"), [(4, 5), (1 << 14, 1 << 14)])
    def test_a_mask_of_another_size_is_refused_before_it_is_painted(self, tmp_path, monkeypatch, height, width):
        monkeypatch.setattr(label_maps.coco_mask, "decode", None)
        (tmp_path / "truth").mkdir()
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "truth" / "a.png")
        rle = from_runs([0, height * width], height, width)
        entry = {"file_name": "a.jpg", "category_id": 0, "segmentation": rle}
        (tmp_path / "p.json").write_text(json.dumps([entry]))
        with refused(f"the prediction is {width}x{height}, the label map 4x4"):
            list(pairs(tmp_path / "p.json", tmp_path / "truth", Labelling(VALUES, VALUES)))


class TestMasks:
    @pytest.mark.parametrize(
        "value", [float("nan"), float("inf"), -float("inf"), 1e9, -1e9, 1e300, 10**400, "9", None, True]
    )
    def test_polygons_with_odd_numbers_never_reach_the_decoder(self, value):
        with refused("polygon"):
            from_polygons([[1, 1, value, 5, 5, 1]], 20, 30)

    @pytest.mark.parametrize(
        "polygons", [[], [[]], [[1, 2, 3]], [[[1, 2], [3, 4]]], "text", None, [[1, 2] * 2], [None]]
    )
    def test_polygons_of_another_shape_are_refused(self, polygons):
        with refused("expected .*polygon"):
            from_polygons(polygons, 20, 30)

    def test_an_endless_outline_is_refused(self):
        with refused("outline"):
            from_polygons([[0, 0, 1000, 1000] * 20_000], 1000, 1000)

    def test_polygons_a_little_outside_are_clipped(self):
        code = from_polygons([[-5, -5, 40, -5, 40, 25, -5, 25]], 20, 30)
        assert check_rle(code) is None
        assert read_masks(code, 20, 30)[0].rle["counts"] == from_runs([0, 600], 20, 30)["counts"]

    @pytest.mark.parametrize(
        "runs", [[1.5, 598.5], [-1, 601], [2**62] * 4 + [600], [10**30], "600", [[600]], [True, 599], 600]
    )
    def test_run_lengths_that_are_none_are_refused(self, runs):
        with refused("run lengths"):
            from_runs(runs, 20, 30)
        with refused("mask 0"):
            read_masks([{"size": [20, 30], "counts": runs}], 20, 30)

    @pytest.mark.parametrize("size", [[10**5, 10**5], [2**40, 2**40], [10**30, 1], None, [20], [20.0, 30.0]])
    def test_sizes_that_fill_the_memory_are_refused(self, size):
        assert check_rle({"size": size, "counts": "0"}) is not None

    def test_numbers_that_do_not_fit_the_decoder_are_refused(self):
        assert "not a compressed" in check_rle({"size": [20, 30], "counts": "o" * 12 + "0"})

    @pytest.mark.parametrize(
        "content",
        [
            {"length": 10, "counts": "1 5 4"},
            {"length": 10, "counts": "0 5"},
            {"length": 10, "counts": "8 5"},
            {"length": 10, "counts": "1 -5"},
            {"length": 10, "counts": "1 99999999999999999999"},
            {"length": 10, "counts": [1, 5]},
            {"length": "10", "counts": "1 5"},
            {"length": 10**18, "counts": "1 5"},
            [],
        ],
    )
    def test_run_lengths_of_points_are_checked(self, tmp_path, content):
        (tmp_path / "m.json").write_text(json.dumps(content))
        with refused(r"m\.json"):
            read_rle(tmp_path / "m.json", 10)

    def test_overlapping_runs_take_no_memory(self, tmp_path):
        (tmp_path / "m.json").write_text(json.dumps({"length": 100_000, "counts": "1 100000 " * 50_000}))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert len(read_rle(tmp_path / "m.json", 100_000)) == 100_000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB

    def test_a_mask_folder_may_be_a_link_but_not_lie_outside(self, tmp_path):
        for folder in ("disk", "in"):
            (tmp_path / folder).mkdir()
        (tmp_path / "disk" / "0.txt").write_text("1\n0\n")
        (tmp_path / "in" / "masks").symlink_to(tmp_path / "disk")
        (tmp_path / "in" / "s.txt").write_text("masks/0.txt 3 0.9\n")
        (found,) = read_predictions(tmp_path / "in", "s", 2, "scannet", (3,))
        assert found.points.tolist() == [0] if hasattr(found, "points") else found is not None
        for outside in ("../disk/0.txt", "masks/../../disk/0.txt", str(tmp_path / "disk" / "0.txt"), "."):
            (tmp_path / "in" / "s.txt").write_text(f"{outside} 3 0.9\n")
            with refused("lies outside"):
                list(read_predictions(tmp_path / "in", "s", 2, "scannet", (3,)))


class TestLists:
    def test_names_that_are_listed_twice_are_refused(self, tmp_path):
        path = tmp_path / "list.txt"
        path.write_text("a b\nc b\n")
        with refused("the frame 'b' is there twice"):
            read_frames(path)
        path.write_text("one\ntwo\none\n")
        for read in (read_scene_list, lambda p: read_classes(p, "scannetpp")):
            with refused("'one' is there twice"):
                read(path)
        for content, says in (("1 wall\n1 desk\n", "class id 1"), ("1 wall\n2 wall\n", "'wall' are the same name")):
            path.write_text(content)
            with refused(says):
                read_classes(path, "scannet")

    def test_an_empty_line_does_not_move_the_names_after_it(self, tmp_path):
        (tmp_path / "top100.txt").write_text("wall\n\ndesk\n")
        with refused("has an empty line, but names are numbered by their lines"):
            read_classes(tmp_path / "top100.txt", "scannetpp")
