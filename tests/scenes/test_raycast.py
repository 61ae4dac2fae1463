"""The ray caster against formulas worked by hand and against Moller and Trumbore's test on every triangle."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from opendas_plugin.errors import DataError
from opendas_plugin.scenes.raycast import RayCaster

SQUARE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], float), np.array([[0, 1, 2], [0, 2, 3]])


def brute_force(vertices, faces, origin, direction):
    """First face and distance by Moller and Trumbore's intersection, in float64."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    edge1, edge2 = b - a, c - a
    p = np.cross(direction, edge2)
    determinant = np.einsum("ij,ij->i", edge1, p)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.einsum("ij,ij->i", origin - a, p) / determinant
        q = np.cross(origin - a, edge1)
        v = q @ direction / determinant
        t = np.einsum("ij,ij->i", edge2, q) / determinant
    inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
    margin = np.min(np.abs(np.stack([u, v, 1 - u - v])), axis=0)
    return np.where(inside, t, np.inf), margin


def test_plane_from_both_sides_and_beside_it():
    caster = RayCaster(*SQUARE)
    origins = [[0.5, -0.2, 3.0], [0.5, -0.2, -2.0], [1.5, 0.0, 3.0], [0.1, 0.2, 3.0]]
    directions = [[0, 0, -1], [0, 0, 1], [0, 0, -1], [0, 0, 1]]
    face, distance = caster.cast(origins, directions)
    assert face.tolist() == [0, 0, -1, -1]
    np.testing.assert_allclose(distance, [3, 2, np.inf, np.inf], rtol=1e-6)


def test_distance_is_in_lengths_of_the_direction():
    origins, directions = [[0.3, 0.1, 4.0]], np.array([[0.1, 0.0, -1.0]])
    caster = RayCaster(*SQUARE)
    _, unit = caster.cast(origins, directions)
    _, double = caster.cast(origins, 2 * directions)
    np.testing.assert_allclose([unit[0], double[0]], [4.0, 2.0], rtol=1e-6)


def test_sphere_lies_where_the_quadratic_equation_says():
    sphere = trimesh.creation.icosphere(subdivisions=5, radius=2.0)
    rng = np.random.default_rng(0)
    origins = rng.normal(size=(500, 3))
    origins *= 5 / np.linalg.norm(origins, axis=1, keepdims=True)
    directions = rng.uniform(-1.2, 1.2, (500, 3)) - origins
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    face, distance = RayCaster(sphere.vertices, sphere.faces).cast(origins, directions)
    along = -np.einsum("ij,ij->i", origins, directions)
    expected = along - np.sqrt(along**2 - (25 - 4))
    assert (face >= 0).all()
    np.testing.assert_allclose(distance, expected, atol=6e-3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equal_to_brute_force_on_random_meshes(seed):
    rng = np.random.default_rng(seed)
    vertices = rng.uniform(-1, 1, (60, 3)).astype(np.float32).astype(float)
    faces = np.stack([rng.permutation(60)[:3] for _ in range(80)])
    origins = rng.uniform(-2, 2, (64, 3)).astype(np.float32).astype(float)
    directions = rng.normal(size=(64, 3)).astype(np.float32).astype(float)
    face, distance = RayCaster(vertices, faces).cast(origins, directions)
    for i in range(64):
        t, margin = brute_force(vertices, faces, origins[i], directions[i])
        if margin[t < np.inf].size and margin[t < np.inf].min() < 1e-4:
            continue  # a ray through an edge may count as either side in float32
        assert (face[i] < 0) == np.isinf(t.min())
        if face[i] >= 0:
            assert distance[i] == pytest.approx(t.min(), rel=1e-3, abs=1e-4)
            assert t[face[i]] == pytest.approx(t.min(), rel=1e-3, abs=1e-4)


def test_blocked_looks_no_further_than_the_segment():
    caster = RayCaster(*SQUARE)
    steps = [[0, 0, -2.9], [0, 0, -3.1], [0, 0, 5]]
    assert caster.blocked([[0.5, -0.2, 3.0]] * 3, steps).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("vertices", "faces", "word"),
    [
        (SQUARE[0][:, :2], SQUARE[1], "vertices"),
        (SQUARE[0], np.zeros((0, 3)), "faces"),
        (SQUARE[0], [[0, 1, 4]], "0..4"),
    ],
)
def test_a_mesh_that_is_none_is_refused(vertices, faces, word):
    with pytest.raises(DataError, match=word):
        RayCaster(vertices, faces)


def test_rays_of_unequal_number_are_refused():
    with pytest.raises(DataError, match=r"\(1, 3\) and \(2, 3\)"):
        RayCaster(*SQUARE).cast([[0, 0, 1]], [[0, 0, 1]] * 2)
