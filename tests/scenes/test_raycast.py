"""The ray caster, with either engine, against formulas worked by hand and Moller and Trumbore's test of every triangle.

The engines are compared with each other too, on a furnished room. Where a ray passes through an edge or meets two faces
at one distance, either face is right: such rays may differ in the face, never in the distance.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opendas_plugin.errors import DataError, MissingDependencyError
from opendas_plugin.office.furnish import furnish
from opendas_plugin.office.viewpoints import choose_views
from opendas_plugin.scenes.embree import Embreex, Libigl, find_engine
from opendas_plugin.scenes.raycast import RayCaster

SQUARE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], float), np.array([[0, 1, 2], [0, 2, 3]])


@pytest.fixture(params=["embreex", "igl"])
def engine(request, monkeypatch):
    """One engine alone: the wheel of the other cannot be imported."""
    pytest.importorskip(request.param)
    without(monkeypatch, "igl" if request.param == "embreex" else "embreex")
    return request.param


def without(monkeypatch, *packages):
    for package in packages:
        for module in [name for name in sys.modules if name.split(".")[0] == package]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, package, None)


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


@pytest.mark.usefixtures("engine")
def test_plane_from_both_sides_and_beside_it():
    caster = RayCaster(*SQUARE)
    origins = [[0.5, -0.2, 3.0], [0.5, -0.2, -2.0], [1.5, 0.0, 3.0], [0.1, 0.2, 3.0]]
    directions = [[0, 0, -1], [0, 0, 1], [0, 0, -1], [0, 0, 1]]
    face, distance = caster.cast(origins, directions)
    assert face.tolist() == [0, 0, -1, -1]
    np.testing.assert_allclose(distance, [3, 2, np.inf, np.inf], rtol=1e-6)


@pytest.mark.usefixtures("engine")
def test_distance_is_in_lengths_of_the_direction():
    origins, directions = [[0.3, 0.1, 4.0]], np.array([[0.1, 0.0, -1.0]])
    caster = RayCaster(*SQUARE)
    _, unit = caster.cast(origins, directions)
    _, double = caster.cast(origins, 2 * directions)
    np.testing.assert_allclose([unit[0], double[0]], [4.0, 2.0], rtol=1e-6)


@pytest.mark.usefixtures("engine")
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


@pytest.mark.usefixtures("engine")
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@pytest.mark.usefixtures("engine")
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


def both_engines(vertices, faces):
    pytest.importorskip("embreex")
    pytest.importorskip("igl")
    points, triangles = np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(faces, np.int32)
    return Embreex(points, triangles), Libigl(points, triangles)


def assert_faces_tie(mesh, origins, directions, faces, others):
    """Faces and others are met at one distance: rays through an edge that both have, or through faces in one place."""
    for origin, direction, face, other in zip(origins, directions, faces, others, strict=True):
        corners = mesh.vertices[mesh.faces[[face, other]]].astype(float)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        t = np.einsum("ij,ij->i", normals, corners[:, 0] - origin) / (normals @ direction)
        assert t[0] == pytest.approx(t[1], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_engines_see_the_same_office_room(seed):
    """The thing behind every pixel, its distance to 0.01 mm, and the face but for ties (here up to 0.5% of pixels)."""
    room = furnish(np.random.default_rng(seed))
    embreex, libigl = both_engines(room.mesh.vertices, room.mesh.faces)
    view = choose_views(np.random.default_rng(seed), room, 1, width=240, height=180, min_area=100, candidates=8)[0]
    origins, directions = (np.ascontiguousarray(part, np.float32) for part in view.rays(view.centres()))
    (face, distance), (other, other_distance) = embreex.first(origins, directions), libigl.first(origins, directions)
    assert (face >= 0).all() and (room.owner[face] == room.owner[other]).all()
    np.testing.assert_allclose(other_distance, distance, rtol=0, atol=1e-5)
    differ = np.flatnonzero(face != other)
    assert len(differ) < 0.01 * len(face)
    assert_faces_tie(room.mesh, origins[differ], directions[differ], face[differ], other[differ])


def test_engines_are_blocked_by_the_same():
    rng = np.random.default_rng(0)
    room = furnish(rng)
    embreex, libigl = both_engines(room.mesh.vertices, room.mesh.faces)
    low, high = room.mesh.bounds
    starts, ends = (rng.uniform(low, high, (5000, 3)).astype(np.float32) for _ in range(2))
    blocked = embreex.blocked(starts, ends - starts)
    assert 0.1 < blocked.mean() < 0.9
    assert (blocked != libigl.blocked(starts, ends - starts)).sum() <= 2  # ends on a face


def test_libigl_is_taken_where_embreex_cannot_be_imported(monkeypatch):
    pytest.importorskip("igl")
    assert find_engine() is Embreex
    without(monkeypatch, "embreex")
    assert find_engine() is Libigl


def test_without_either_the_error_says_what_to_install(monkeypatch):
    without(monkeypatch, "embreex", "igl")
    with pytest.raises(MissingDependencyError, match=r"embreex .*libigl"):
        RayCaster(*SQUARE)
