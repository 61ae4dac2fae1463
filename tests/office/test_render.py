"""Pictures of a mesh: depth, pose, faces and shading against geometry worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from opendas_plugin.office.geometry import box, merge, sphere
from opendas_plugin.office.render import Light, Lighting, render
from opendas_plugin.scenes.camera import Camera

FLAT = Lighting(lights=(), ambient=(1.0, 1.0, 1.0))
SCENE = merge(
    [
        box((6, 5, 0.1), (0, 0, -0.05), (0.5, 0.5, 0.5)),
        box((1, 1, 1), (0, 0, 0.5), (0.8, 0.1, 0.1)),
        sphere(0.4, (1.2, 0.3, 0.4), (0.1, 0.1, 0.8)),
    ]
)


def camera(**options):
    return Camera.look_at((2.0, -3.0, 1.6), (0.2, 0.1, 0.5), width=96, height=72, **options)


def points_of(picture, view):
    y, x = np.nonzero(picture.face >= 0)
    origins, directions = view.rays(np.stack([x + 0.5, y + 0.5], axis=1).astype(np.float32))
    return origins + directions * picture.depth[y, x][:, None], picture.face[y, x]


@pytest.mark.parametrize("roll", [0.0, 7.0])
def test_look_at_is_a_right_handed_pose_that_centres_its_target(roll):
    view = camera(roll=roll)
    rotation = view.pose[:3, :3]
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    image, depth = view.project([[0.2, 0.1, 0.5]])
    np.testing.assert_allclose(image, [[48, 36]], atol=1e-9)
    assert depth[0] == pytest.approx(np.linalg.norm([1.8, -3.1, 1.1]))


def test_axes_are_right_down_forward():
    view = Camera.look_at((0, -2, 1), (0, 0, 1), width=96, height=72)
    image, _ = view.project([[0.5, 0, 1], [0, 0, 1.5]])
    assert image[0, 0] > 48 and image[0, 1] == pytest.approx(36)
    assert image[1, 1] < 36 and image[1, 0] == pytest.approx(48)


def test_project_undoes_rays():
    view = camera(roll=3)
    pixels = np.random.default_rng(0).uniform(0, 70, (50, 2)).astype(np.float32)
    origins, directions = view.rays(pixels)
    image, depth = view.project(origins + 3 * directions)
    np.testing.assert_allclose(image, pixels, atol=1e-3)
    np.testing.assert_allclose(depth, 3, atol=1e-5)


def test_all_rays_are_those_of_the_pixels_centres_to_the_bit():
    view = camera(roll=3)
    for found, same in zip(view.all_rays(), view.rays(view.centres()), strict=True):
        assert found.dtype == np.float32 and np.array_equal(found, same)


def test_depth_is_along_the_axis_not_along_the_ray():
    wall = box((9, 0.1, 9), (0, 3.05, 0), (0.5, 0.5, 0.5))
    picture = render(wall, Camera.look_at((0, 0, 0), (0, 3, 0), width=64, height=48, fov=80), FLAT)
    np.testing.assert_allclose(picture.depth, 3.0, rtol=1e-5)


def test_back_projected_depth_lies_on_the_face_that_the_picture_names():
    view = camera(roll=5)
    points, face = points_of(render(SCENE, view), view)
    corners = SCENE.vertices[SCENE.faces[face]].astype(float)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    assert np.abs(np.einsum("ij,ij->i", normal, points - corners[:, 0])).max() < 2e-4
    low, high = corners.min(axis=1), corners.max(axis=1)
    assert ((points > low - 2e-3) & (points < high + 2e-3)).all()


def test_nothing_is_depth_0_face_minus_1_and_the_background():
    picture = render(SCENE, camera(), background=(10, 200, 30))
    empty = picture.face < 0
    assert empty.any() and (picture.depth[empty] == 0).all() and (picture.depth[~empty] > 0).all()
    assert (picture.colour[0, 0] == (10, 200, 30)).all()


def test_colour_under_light_of_one_is_the_gamma_encoded_albedo():
    plate = box((4, 4, 0.1), (0, 0, -0.05), (0.25, 0.04, 1.0))
    picture = render(plate, Camera.look_at((0, -0.1, 2), (0, 0, 0), width=16, height=16), FLAT)
    assert (picture.colour[8, 8] == np.round(255 * np.sqrt([0.25, 0.04, 1.0]))).all()


def test_lamps_shine_by_lamberts_law_and_cast_shadows():
    floor = box((8, 8, 0.1), (0, 0, -0.05), (0.5, 0.5, 0.5))
    view = Camera.look_at((0, -0.01, 6), (0, 0, 0), width=41, height=41, fov=40)
    lamp = Lighting((Light((0, 0, 4), (1, 1, 1)),), ambient=(0, 0, 0))
    lit = render(floor, view, lamp).colour[..., 0].astype(float) / 255
    x = (np.arange(41) - 20) / 20.5 * np.tan(np.deg2rad(20)) * 6
    np.testing.assert_allclose(lit[20] ** 2, 0.5 * 4 / np.hypot(x, 4), atol=0.01)
    shaded = render(
        merge([floor, box((1, 1, 0.02), (0, 0, 3.9), (0.5, 0.5, 0.5))]),
        Camera.look_at((3, -3, 2), (0, 0, 0), width=41, height=41),
        lamp,
    )
    assert (shaded.colour[20, 20] == 0).all()


def test_smoothing_changes_colour_at_edges_only():
    rough, smooth = (render(SCENE, camera(), smooth=value) for value in (False, True))
    assert (rough.depth == smooth.depth).all() and (rough.face == smooth.face).all()
    changed = (rough.colour != smooth.colour).any(axis=2)
    assert 0 < changed.mean() < 0.5


def test_same_bytes_every_time():
    first, second = (render(SCENE, camera()) for _ in range(2))
    assert first.colour.tobytes() == second.colour.tobytes() and first.depth.tobytes() == second.depth.tobytes()
