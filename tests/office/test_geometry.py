"""Mesh primitives: closed, outward, of the volume that a formula gives, and movable."""

from __future__ import annotations

import numpy as np
import pytest

from opendas_plugin.office.geometry import box, cylinder, lathe, merge, panel, prism, sphere, torus, tube

GREY = (0.5, 0.5, 0.5)
POLYGON_14 = 14 / 2 * np.sin(2 * np.pi / 14)  # area of the 14-gon that stands for a unit circle


def volume(mesh):
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces].astype(float), 1, 0)
    return np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        (box((1, 2, 3), (4, 5, 6), GREY), 6.0),
        (cylinder(1, 2, (0, 0, 0), GREY), 2 * POLYGON_14),
        (cylinder(1, 2, (1, 1, 1), GREY, axis="x"), 2 * POLYGON_14),
        (cylinder(1, 3, (0, 2, 0), GREY, top=0, axis="y"), POLYGON_14),
        (lathe([(0, 0), (1, 0), (1, 1), (0, 1)], GREY), POLYGON_14),
        (prism([(0, 0), (2, 0), (0, 1)], 3, (0, 0, 0), GREY), 3.0),
        (prism([(0, 0), (0, 1), (2, 0)], 3, (1, 0, 0), GREY, axis="z"), 3.0),
        (prism([(0, 0), (2, 0), (0, 1)], 3, (0, 1, 0), GREY, axis="x"), 3.0),
        (tube([(0, 0, 0), (0, 0, 2)], 1, GREY, sides=14), 2 * POLYGON_14),
    ],
)
def test_solids_have_the_volume_of_their_formula_with_faces_outward(mesh, expected):
    assert volume(mesh) == pytest.approx(expected, rel=1e-5)


def test_round_solids_approach_the_volume_of_their_formula():
    assert volume(sphere((1, 2, 3), (0, 0, 0), GREY, sides=60, rings=40)) == pytest.approx(8 * np.pi, rel=0.01)
    assert volume(torus(1, 0.2, (0, 0, 0), GREY, axis="y", sides=60)) == pytest.approx(0.08 * np.pi**2, rel=0.2)


def test_a_picture_keeps_its_rows_and_columns():
    colours = np.array([[(1, 0, 0), (0, 1, 0)], [(0, 0, 1), (1, 1, 1)]], dtype=float)
    mesh = panel(colours, 2, 2, (0, 0, 0))
    centres = mesh.vertices[mesh.faces].mean(axis=1)
    red = centres[mesh.colours[:, 1] + mesh.colours[:, 2] == 0]
    assert (red[:, 0] < 0).all()
    assert (red[:, 2] > 0).all()


@pytest.mark.parametrize(("facing", "normal"), [("-y", (0, -1, 0)), ("+z", (0, 0, 1)), ("-z", (0, 0, -1))])
def test_a_picture_faces_where_it_says(facing, normal):
    mesh = panel(np.zeros((2, 3, 3)), 1, 1, (0, 0, 0), facing=facing)
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces], 1, 0)
    np.testing.assert_allclose(np.cross(b - a, c - a) * [[12]], np.tile(normal, (12, 1)) * 2, atol=1e-5)


def test_moving_turning_scaling_and_merging():
    mesh = box((2, 1, 1), (0, 0, 0), GREY)
    np.testing.assert_allclose(mesh.turned(np.pi / 2).bounds, [(-0.5, -1, -0.5), (0.5, 1, 0.5)], atol=1e-6)
    np.testing.assert_allclose(box((0, 0, 2), (0, 0, 1), GREY).rotated("x", np.pi / 2).bounds[0], (0, -2, 0), atol=1e-6)
    np.testing.assert_allclose(mesh.scaled((1, 2, 3)).moved((0, 0, 1)).bounds, [(-1, -1, -0.5), (1, 1, 2.5)])
    both = merge([mesh, mesh.moved((5, 0, 0))])
    assert volume(both) == pytest.approx(4.0)
    assert len(both.colours) == len(both.faces) == 24
