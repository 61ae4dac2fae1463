"""Masks without classes of a cloud: how instances are spoilt, and the files that the 3D experiment reads."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from opendas_plugin.data.proposals import best_iou
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.scenes import proposals3d
from opendas_plugin.scenes.mask_arrays import read_masks
from opendas_plugin.scenes.pointcloud import write_ply
from opendas_plugin.scenes.proposals3d import check_scene, erode, merge, split, spoil, write_proposals_3d


def block(rng, corner, points, side=0.5):
    return np.array(corner) + side * rng.random((points, 3))


@pytest.fixture
def room():
    """Points and instances: a floor, two boxes that touch, one apart, and a thing of too few points."""
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(0, 4, (6000, 2)), np.zeros(6000)])
    parts = [floor, block(rng, (1, 1, 0.3), 3000), block(rng, (1.5, 1, 0.3), 3000), block(rng, (3, 3, 0.3), 3000),
             block(rng, (0.2, 3, 0.3), 60, 0.1)]  # fmt: skip
    instances = np.repeat([1001, 2002, 3003, 3004, 2005], [len(part) for part in parts])
    return np.concatenate(parts), instances


def test_splits_merges_and_erosions(room):
    points, instances = room
    rng = np.random.default_rng(1)
    mask = instances == 2002
    first, second = split(points, mask, rng)
    assert np.array_equal(first | second, mask)
    assert not (first & second).any()
    assert min(first.sum(), second.sum()) >= 0.24 * mask.sum()
    assert np.array_equal(merge(points, mask, instances, rng), mask | (instances == 3003))
    assert np.array_equal(merge(points, instances == 3004, instances, rng), instances == 3004)
    eroded = erode(points, mask, 0.3)
    assert eroded.sum() == pytest.approx(0.7 * mask.sum(), rel=0.01)
    assert points[eroded, 0].mean() < points[mask, 0].mean()  # the side that touches the other box went


def test_every_instance_of_100_points_is_spoilt(room):
    points, instances = room
    for seed in range(5):
        masks = spoil(points, instances, np.random.default_rng(seed))
        touched = {number for mask in masks for number in np.unique(instances[mask]).tolist()}
        assert touched == {1001, 2002, 3003, 3004}
        assert all(mask.sum() >= 100 for mask in masks)


@pytest.fixture
def data(room, tmp_path):
    points, instances = room
    scene = tmp_path / "data" / "scenes" / "office_test_000"
    scene.mkdir(parents=True)
    write_ply(scene / "office_test_000.ply", points, np.full((len(points), 3), 90, np.uint8))
    (tmp_path / "data" / "ground_truth").mkdir()
    np.savetxt(tmp_path / "data" / "ground_truth" / "office_test_000.txt", instances, fmt="%d")
    return tmp_path / "data"


def test_the_files_are_openmask3ds_and_their_quality_is_stated(data, room, tmp_path):
    pytest.importorskip("open3d", exc_type=ImportError)
    _, instances = room
    quality = write_proposals_3d(data, ["office_test_000"], tmp_path / "out", seed=2)
    proposals, oracle = (
        read_masks(tmp_path / "out" / kind / "office_test_000_masks.pt").toarray() for kind in ("proposals", "oracle")
    )
    assert oracle.shape == (len(instances), 4)
    assert [best_iou(mask, instances) for mask in oracle.T] == [1] * 4
    assert quality["all"]["masks"] == proposals.shape[1]
    assert quality["all"]["mean_iou"] == pytest.approx(
        np.mean([best_iou(mask, instances) for mask in proposals.T]), abs=1e-4
    )
    assert quality["over-segmentation"]["masks"] >= 2
    assert (tmp_path / "out" / "scenes.txt").read_text() == "office_test_000\n"


def test_finished_scenes_are_kept_and_no_scene_depends_on_others(data, tmp_path):
    pytest.importorskip("open3d", exc_type=ImportError)
    (first, second), out = ("office_test_000", "office_test_001"), tmp_path / "out"
    (data / "scenes" / second).mkdir()
    for name in ("scenes/{0}/{0}.ply", "ground_truth/{0}.txt"):
        shutil.copy(data / name.format(first), data / name.format(second))

    def files(scene, folder=out):
        return [folder / kind / f"{scene}_masks.pt" for kind in ("proposals", "oracle")]

    def times(scene):
        return [path.stat().st_mtime_ns for path in files(scene)]

    quality = write_proposals_3d(data, [second], out)
    before = times(second)
    both = write_proposals_3d(data, [first, second], out)
    assert times(second) == before
    assert both["all"]["masks"] > quality["all"]["masks"]
    write_proposals_3d(data, [first], tmp_path / "afresh")
    for path, afresh in zip(files(first), files(first, tmp_path / "afresh"), strict=True):
        np.testing.assert_array_equal(read_masks(path).toarray(), read_masks(afresh).toarray())
    assert files(first)[0].read_bytes() != files(second)[0].read_bytes()  # another name, other chances

    truth = data / "ground_truth" / f"{second}.txt"
    truth.write_text(truth.read_text().replace("2002", "0"))
    write_proposals_3d(data, [second], out)
    assert read_masks(files(second)[1]).shape[1] == 3
    before = times(first)
    write_proposals_3d(data, [first], out, seed=1)
    assert times(first) != before


@pytest.fixture
def regions(monkeypatch):
    """Regions of the cloud without open3d: its first half."""

    def half(points, fewest):
        return (np.arange(len(points)) < len(points) // 2)[:, None]

    monkeypatch.setattr(proposals3d, "geometric_masks", half)


def test_masks_that_were_written_over_are_made_again(data, tmp_path, caplog, regions):
    write_proposals_3d(data, ["office_test_000"], tmp_path / "out")
    path = tmp_path / "out" / "oracle" / "office_test_000_masks.pt"
    whole = read_masks(path).toarray()
    path.write_bytes(path.read_bytes() + b"x")
    write_proposals_3d(data, ["office_test_000"], tmp_path / "out")
    np.testing.assert_array_equal(read_masks(path).toarray(), whole)
    assert "made again: oracle has changed" in caplog.text


def test_masks_of_another_cloud_or_truth_are_refused(data, tmp_path, caplog, regions):
    write_proposals_3d(data, ["office_test_000"], tmp_path / "out")
    check_scene(data, "office_test_000", tmp_path / "out")
    truth = data / "ground_truth" / "office_test_000.txt"
    truth.write_text(truth.read_text().replace("2002", "2003"))
    with pytest.raises(DataError, match="made from another ground truth of office_test_000"):
        check_scene(data, "office_test_000", tmp_path / "out")
    check_scene(data, "office_test_000", tmp_path / "elsewhere")
    assert "does not say which clouds" in caplog.text


def test_a_domain_without_its_ground_truth_is_an_error(data, tmp_path):
    (data / "ground_truth" / "office_test_000.txt").unlink()
    with pytest.raises(MissingFileError, match="expected scenes, as"):
        write_proposals_3d(data, ["office_test_000"], tmp_path / "out")
