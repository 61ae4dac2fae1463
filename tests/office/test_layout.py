"""Furnished rooms: everything is in the room, held by something, and not inside another thing."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from opendas_plugin.office.furnish import HOSTS, furnish
from opendas_plugin.office.kinds import KINDS
from opendas_plugin.office.layout import Room
from opendas_plugin.office.names import CLASSES
from opendas_plugin.office.viewpoints import choose_views

ROOMS = 8
SURFACES = ("wall", "floor", "ceiling")
FITTED = [{"door", "door frame"}, {"doorway", "door frame"}, {"window", "window blinds"}]


@pytest.fixture(scope="module")
def rooms() -> list[Room]:
    return [furnish(np.random.default_rng([7, number])) for number in range(ROOMS)]


def things(room):
    return [item for item in room.items if item.name not in SURFACES]


def test_sizes_are_those_of_offices(rooms):
    for room in rooms:
        width, depth, height = room.size
        assert 3.5 <= width <= 7 and 3 <= depth <= 6 and 2.5 <= height <= 3.1
        assert [item.name for item in room.items].count("wall") == 4
        assert sum(item.name == name for name in ("floor", "ceiling") for item in room.items) == 2


def test_everything_is_inside_the_room(rooms):
    for room in rooms:
        low, high = np.array([-room.size[0] / 2, -room.size[1] / 2, 0]), np.array(room.size) / (2, 2, 1)
        for item in room.items:
            assert (item.bounds[0] > low - 1e-3).all() and (item.bounds[1] < high + 1e-3).all(), item.name


def test_nothing_is_inside_another_thing(rooms):
    for room in rooms:
        for one, other in combinations(things(room), 2):
            overlap = np.minimum(one.bounds[1], other.bounds[1]) - np.maximum(one.bounds[0], other.bounds[0])
            if (overlap > 0.005).all():
                fitted = {one.name, other.name} in FITTED
                carried = [item for item in (one, other) if item.name in HOSTS]  # a bench's back is above its seat
                assert fitted or carried, (one.name, other.name)


def test_everything_is_held_by_something(rooms):
    for room in rooms:
        for item in things(room):
            low, high = item.bounds
            if low[2] < 0.01 or high[2] > room.size[2] - 0.01:
                continue
            walls = np.array(room.size[:2]) / 2 - np.abs(item.bounds[:, :2]).max(axis=0)
            if walls.min() < 0.01 or item.name == "window blinds":
                continue
            assert KINDS[item.name].mount != "wall", item.name
            grid = np.stack(np.meshgrid(*np.linspace(low[:2], high[:2], 9).T), axis=-1).reshape(-1, 2)
            below = np.column_stack([grid, np.full(len(grid), low[2] - 1e-4)])
            _, distance = room.caster.cast(below, np.broadcast_to((0.0, 0.0, -1.0), below.shape))
            assert distance.min() < 0.01, item.name


def test_owner_names_the_item_of_every_face(rooms):
    room = rooms[0]
    for row, item in enumerate(room.items):
        faces = room.mesh.faces[room.owner == row]
        assert len(faces) == len(item.mesh.faces)
        np.testing.assert_array_equal(room.mesh.vertices[faces], item.mesh.vertices[item.mesh.faces])


def test_most_classes_stand_in_a_handful_of_rooms(rooms):
    present = {item.name for room in rooms for item in room.items}
    assert len(set(CLASSES) & present) >= len(CLASSES) - 3


def test_a_seed_gives_the_same_room_again_and_another_seed_another(rooms):
    again = furnish(np.random.default_rng([7, 0]))
    assert again.mesh.vertices.tobytes() == rooms[0].mesh.vertices.tobytes()
    assert again.mesh.colours.tobytes() == rooms[0].mesh.colours.tobytes() and again.lighting == rooms[0].lighting
    assert again.size != rooms[1].size


def test_views_stand_in_the_room_share_a_lens_and_show_different_things(rooms):
    room = rooms[1]
    cameras = choose_views(np.random.default_rng(0), room, 5, width=160, height=120, min_area=60)
    assert len(cameras) == 5
    seen = []
    for camera in cameras:
        eye = camera.pose[:3, 3]
        assert (np.abs(eye[:2]) < np.array(room.size[:2]) / 2).all() and 0.5 < eye[2] < 1.9
        np.testing.assert_array_equal(camera.intrinsics, cameras[0].intrinsics)
        face, _ = room.caster.cast(*camera.rays(camera.centres()))
        assert (face >= 0).all()  # rooms are closed
        seen.append(set(room.owner[face].tolist()))
    assert len(set.union(*seen)) > 1.5 * np.mean([len(one) for one in seen])
