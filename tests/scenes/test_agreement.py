"""What is wrong with a scene is found by trying: each fault is made on a ray-cast room, and named as what was made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from opendas_plugin.errors import DataError
from opendas_plugin.scenes.agreement import find_fault, require_agreement, total
from opendas_plugin.scenes.camera import Camera
from opendas_plugin.scenes.views import Fit, Projector
from tests.integrations.openmask3d.scenes import make_scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return make_scene(tmp_path_factory.mktemp("room"))


def projected(scene, points=None, **changes):
    points = scene.points if points is None else points
    projector = Projector(replace(scene.views, **changes), points, sparse.csr_matrix(scene.masks > 0), 0.2)
    projector.counts(range(len(projector.views)))
    return projector


def by(scene, *factors):
    return scene.views.intrinsic * np.array([*factors, 1.0])[:, None]


def swapped(scene):
    matrix = scene.views.intrinsic.copy()
    matrix[0, 2], matrix[1, 2] = matrix[1, 2], matrix[0, 2]
    return matrix


def test_counts_are_those_of_a_camera_that_projects_them_one_by_one(scene):
    projector, views = projected(scene), scene.views
    for view, fit in enumerate(projector.fits):
        height, width = views.size
        pixels, depths = Camera(views.intrinsic, views.poses[view], width, height).project(scene.points)
        counts, sensor = dict.fromkeys(("inside", "shown", "hidden", "in_front"), 0), views.read_depth(view)
        for (x, y), z in zip(pixels.tolist(), depths.tolist(), strict=True):
            if z <= 0 or not (-1 < x < width and -1 < y < height):  # upstream cuts towards 0
                continue
            counts["inside"] += 1
            seen = sensor[int(y), int(x)]
            if seen > 0:
                counts["in_front" if z < seen - 0.2 else "hidden" if z > seen + 0.2 else "shown"] += 1
        assert fit == Fit(**counts)


def test_a_scene_that_fits_has_no_fault(scene):
    projector = projected(scene)
    whole = total(projector.fits)
    assert whole.in_front < 0.04 * whole.known
    assert find_fault(projector) is None
    require_agreement(projector)


FAULTS = {
    "another size": (
        lambda s: {"intrinsic": by(s, 2.025, 2.025)},
        "look like those of pictures of 160x120, not of 80x60",
    ),
    "smaller": (lambda s: {"intrinsic": by(s, 0.5, 0.5)}, "look like those of pictures of 40x30, not of 80x60"),
    "swapped": (lambda s: {"intrinsic": swapped(s)}, "cx and cy of the intrinsics look swapped"),
    "inverse": (lambda s: {"poses": np.linalg.inv(s.views.poses)}, "world to camera"),
    "rotated": (
        lambda s: {"points": s.points @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0.0]]).T},
        "cloud looks rotated",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused_by_its_name_unless_forced(scene, fault, caplog):
    make, says = FAULTS[fault]
    projector = projected(scene, **make(scene))
    with pytest.raises(DataError, match=says) as error:
        require_agreement(projector)
    assert "\n" not in str(error.value)
    if "`force`" not in str(error.value):  # next to no point is seen: there is nothing to go on with
        assert total(projector.fits).shown < 0.05 * max(total(projector.fits).inside, 1)
        return
    require_agreement(projector, force=True)
    assert "forced to go on" in caplog.text


def test_depth_and_colour_of_another_shape_are_refused(tmp_path):
    scene = make_scene(tmp_path / "room", views=2)
    from PIL import Image

    for path in scene.views.colour:
        Image.open(path).crop((0, 8, 80, 52)).save(path)  # as of a camera that is 16:9
    with pytest.raises(DataError, match="colour pictures are 80x44 and the depth maps 80x60, of another shape"):
        require_agreement(projected(scene, intrinsic_size=(44, 80)))
