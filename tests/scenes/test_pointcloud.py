import sys

import numpy as np
import pytest
from scipy.spatial import cKDTree

from opendas_plugin.errors import DataError, MissingDependencyError, MissingFileError
from opendas_plugin.scenes.pointcloud import fuse, geometric_masks, import_open3d, read_ply, write_ply
from tests.integrations.openmask3d.scenes import make_scene


def open3d_is_there():
    try:
        return bool(import_open3d())
    except MissingDependencyError:
        return False


def test_a_cloud_comes_back(tmp_path):
    rng = np.random.default_rng(0)
    points, colours = rng.random((50, 3)), rng.integers(0, 256, (50, 3), dtype=np.uint8)
    write_ply(tmp_path / "cloud.ply", points, colours)
    read = read_ply(tmp_path / "cloud.ply")
    np.testing.assert_allclose(read[0], points, atol=1e-6)
    np.testing.assert_array_equal(read[1], colours)


def test_a_meshs_vertices_keep_their_order(tmp_path):
    header = ["ply", "format ascii 1.0", "element vertex 4"]
    header += [f"property float {axis}" for axis in "xyz"] + [f"property uchar {c}" for c in ("red", "green", "blue")]
    header += ["element face 1", "property list uchar int vertex_indices", "end_header"]
    vertices = ["1 0 0 255 0 0", "0 1 0 0 255 0", "0 0 1 0 0 255", "5 5 5 1 2 3"]  # the last one is in no face
    (tmp_path / "mesh.ply").write_text("\n".join([*header, *vertices, "3 0 1 2", ""]))
    points, colours = read_ply(tmp_path / "mesh.ply")
    np.testing.assert_array_equal(points, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [5, 5, 5]])
    np.testing.assert_array_equal(colours, [[255, 0, 0], [0, 255, 0], [0, 0, 255], [1, 2, 3]])


def test_files_that_are_no_clouds(tmp_path):
    with pytest.raises(MissingFileError, match="expected a scene's point cloud"):
        read_ply(tmp_path / "cloud.ply")
    (tmp_path / "cloud.ply").write_text("not a cloud")
    with pytest.raises(DataError, match="cannot be read as a PLY file"):
        read_ply(tmp_path / "cloud.ply")


def test_without_open3d_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(MissingDependencyError, match=r"opendas-plugin\[3d\]"):
        import_open3d()


@pytest.mark.skipif(not open3d_is_there(), reason="open3d cannot be imported")
class TestWithOpen3D:
    def test_fused_points_lie_on_the_surfaces_in_their_colours(self, tmp_path):
        scene = make_scene(tmp_path, views=8)
        points, colours = fuse(scene.views, range(8), voxel=0.03)
        assert len(points) > 500
        surfaces = scene.points[:-20]  # the last ones are far behind all cameras
        distance, _ = cKDTree(surfaces).query(points)
        assert np.median(distance) < 0.06
        red = scene.masks[:, 0] > 0
        near = cKDTree(scene.points[red]).query(points)[0] < 0.03
        assert (colours[near].astype(int)[:, 0] > colours[near].astype(int)[:, 2] + 50).mean() > 0.8

    def test_planes_and_boxes_become_masks(self):
        rng = np.random.default_rng(0)
        floor = np.column_stack([rng.uniform(0, 2, (6000, 2)), np.zeros(6000)])
        boxes = [rng.uniform((x, 1, 0.2), (x + 0.3, 1.3, 0.5), (900, 3)) for x in (0.5, 1.5)]
        points = np.concatenate([floor, *boxes])
        masks = geometric_masks(points, planes=1)
        assert masks.shape == (7800, 3)
        assert masks.sum(axis=1).max() == 1, "no point is in two masks"
        for column, part in enumerate((slice(0, 6000), slice(6000, 6900), slice(6900, 7800))):
            assert max(masks[part, mask].mean() for mask in range(3)) > 0.95, column
        np.testing.assert_array_equal(geometric_masks(points, planes=1), masks)

    def test_too_few_points_are_an_error(self):
        with pytest.raises(DataError, match="no part of 100 points"):
            geometric_masks(np.random.default_rng(0).random((100, 3)))
