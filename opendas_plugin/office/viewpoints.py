"""Where to take pictures of a room from, so that few pictures show most of its things."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.office.layout import Item, Room
from opendas_plugin.office.names import CLASSES
from opendas_plugin.scenes.camera import Camera

_Point: TypeAlias = NDArray[np.float64]

_SHRINK = 4  # candidates are judged by pictures this many times smaller
_WORTH = np.array([1.0, 0.6, 0.05])  # of seeing a thing for the first, the second and any further time
_SURFACES = ("wall", "floor", "ceiling")


def choose_views(
    rng: np.random.Generator,
    room: Room,
    count: int,
    *,
    width: int,
    height: int,
    min_area: int,
    candidates: int = 80,
    names: Container[str] = CLASSES,
) -> list[Camera]:
    """Cameras of one lens, near and far, standing and crouching, that together see the things of ``room`` well.

    Greedy: each next one is the candidate that shows most things in ``min_area`` pixels or more, where a thing counts
    the more the fewer candidates show it and the fewer chosen ones have. Only things of ``names`` count.
    """
    things = [row for row, item in enumerate(room.items) if _is_thing(item, names)]
    cameras, shows = [], []
    fov = rng.uniform(54, 66)
    for eye, target in _candidates(rng, room, candidates, fov, names):
        camera = Camera.look_at(eye, target, width=width, height=height, fov=fov, roll=rng.normal(0, 1.5))
        pixels, near = _glance(room, camera.shrunk(_SHRINK))
        if near < 0.3:
            cameras.append(camera)
            shows.append(pixels[things] * _SHRINK**2 > 1.2 * min_area)
    rarity = np.maximum(np.sum(shows, axis=0), 1) ** -0.65
    seen = np.zeros(len(things), int)
    chosen: list[int] = []
    for _ in range(min(count, len(cameras))):
        worth = (np.array(shows) * rarity * _WORTH[np.minimum(seen, 2)]).sum(axis=1)
        worth[chosen] = -1
        best = int(worth.argmax())
        chosen.append(best)
        seen += shows[best]
    return [cameras[best] for best in chosen]


def _is_thing(item: Item, names: Container[str]) -> bool:
    return item.name in names and item.name not in _SURFACES


def _glance(room: Room, camera: Camera) -> tuple[NDArray[np.intp], float]:
    """Pixels that show each item, and the share of pixels that show something nearer than half a metre."""
    face, depth = room.caster.cast(*camera.all_rays())
    return np.bincount(room.owner[face[face >= 0]], minlength=len(room.items)), float((depth < 0.5).mean())


def _candidates(
    rng: np.random.Generator, room: Room, count: int, fov: float, names: Container[str]
) -> Iterator[tuple[_Point, _Point]]:
    things = [item for item in room.items if _is_thing(item, names)]
    small = np.array([np.linalg.norm(np.ptp(item.bounds, axis=0)) for item in things]) ** -0.7
    found = 0
    for _ in range(20 * count):
        if rng.random() < 0.8:
            eye, target = _facing(rng, things[rng.choice(len(things), p=small / small.sum())], fov)
        else:
            eye, target = _across(rng, room)
        if abs(target[2] - eye[2]) < 0.75 * np.linalg.norm(target - eye) and _stands_free(room, eye):
            found += 1
            yield eye, target
        if found == count:
            return


def _facing(rng: np.random.Generator, item: Item, fov: float) -> tuple[_Point, _Point]:
    """A view of one thing from its front side that fills a quarter to two thirds of the picture."""
    low, high = item.bounds
    extent = np.linalg.norm(high - low)
    distance = np.clip(extent / 2 / np.tan(np.deg2rad(fov) / 2) / rng.uniform(0.25, 0.65), 0.7, 3.5)
    side = item.yaw + rng.uniform(-0.9, 0.9)
    rise = rng.uniform(0.0, 0.7)
    out = np.array([np.sin(side) * np.cos(rise), -np.cos(side) * np.cos(rise), np.sin(rise)])
    target = (low + high) / 2 + rng.uniform(-0.2, 0.2, 3) * (high - low)
    eye = target + distance * out
    eye[2] = np.clip(eye[2], 0.7, 1.8)
    return eye, target


def _across(rng: np.random.Generator, room: Room) -> tuple[_Point, _Point]:
    """A view through the room from near one of its walls."""
    half = np.array(room.size[:2]) / 2
    eye = np.array([*(rng.choice([-1, 1], 2) * half * rng.uniform(0.6, 0.95, 2)), rng.uniform(1.4, 1.8)])
    return eye, np.array([*(rng.uniform(-0.5, 0.5, 2) * half), rng.uniform(0.6, 1.2)])


def _stands_free(room: Room, eye: _Point) -> bool:
    if (np.abs(eye[:2]) > np.array(room.size[:2]) / 2 - 0.2).any():
        return False
    boxes = np.stack([item.bounds for item in room.items if item.name not in _SURFACES])
    return not ((eye > boxes[:, 0] - 0.15) & (eye < boxes[:, 1] + 0.15)).all(axis=1).any()
