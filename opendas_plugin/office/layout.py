"""Rooms, and placing things in them so that nothing stands inside another thing.

A room is a box centred on the origin, its floor on z = 0. Boxes around the meshes decide what is free; things are let
down on furniture by rays, so that whatever has a level top can carry them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.office.geometry import Mesh, merge
from opendas_plugin.office.kinds import KINDS
from opendas_plugin.office.kinds.surfaces import ceiling_panel, floor_panel, wall_panel
from opendas_plugin.office.render import Lighting
from opendas_plugin.scenes.raycast import RayCaster

_Bounds: TypeAlias = NDArray[np.floating]
_QUARTER = np.pi / 2
_SHELL = 6  # a room's first items: floor, ceiling and four walls


@dataclass(frozen=True, eq=False)
class Item:
    """A thing in a room: its class name, its mesh in the room's coordinates, and how it is turned (radians)."""

    name: str
    mesh: Mesh
    yaw: float = 0.0

    @cached_property
    def bounds(self) -> NDArray[np.float32]:
        """Lowest and highest corner, (2, 3)."""
        return self.mesh.bounds

    @cached_property
    def straight(self) -> NDArray[np.float32]:
        """Lowest and highest corner, (2, 3), after turning the room back by ``yaw``: the thing's own box."""
        return self.mesh.turned(-self.yaw).bounds

    @cached_property
    def caster(self) -> RayCaster:
        """A ray caster of ``mesh``."""
        return RayCaster(self.mesh.vertices, self.mesh.faces)


@dataclass(frozen=True, eq=False)
class Room:
    """A furnished room.

    Attributes:
        size: width (x), depth (y) and height (z) in metres; the origin is the middle of the floor.
        items: everything in it, the floor, the ceiling and the four walls among them.
        lighting: its lamps.
    """

    size: tuple[float, float, float]
    items: tuple[Item, ...]
    lighting: Lighting

    @cached_property
    def mesh(self) -> Mesh:
        """All items as one mesh."""
        return merge(item.mesh for item in self.items)

    @cached_property
    def owner(self) -> NDArray[np.int32]:
        """Row of ``items`` that each face of ``mesh`` belongs to, (F,)."""
        return np.repeat(np.arange(len(self.items), dtype=np.int32), [len(item.mesh.faces) for item in self.items])

    @cached_property
    def caster(self) -> RayCaster:
        """A ray caster of ``mesh``."""
        return RayCaster(self.mesh.vertices, self.mesh.faces)


class Builder:
    """A room to place things in; every placing returns the item, or None where no free place was found."""

    def __init__(self, rng: np.random.Generator, size: tuple[float, float, float]) -> None:
        self.rng, self.size = rng, size
        width, depth, height = size
        paint = int(rng.integers(2**31))  # the four walls are painted alike
        walls = [wall_panel(np.random.default_rng(paint), self._length(wall), height) for wall in range(4)]
        self.items = [
            Item("floor", floor_panel(rng, width, depth)),
            Item("ceiling", ceiling_panel(rng, width, depth).moved((0, 0, height))),
            *(Item("wall", self._against(mesh, wall), wall * _QUARTER) for wall, mesh in enumerate(walls)),
        ]
        self._zones: list[_Bounds] = []

    def make(self, name: str) -> Mesh:
        """A new thing of a kind, in its own coordinates."""
        return KINDS[name].make(self.rng)

    def add(self, item: Item) -> Item:
        """Adds ``item`` where it is, whatever else is there."""
        self.items.append(item)
        return item

    def hang(
        self,
        name: str,
        bottom: tuple[float, float],
        *,
        clear: float = 0.3,
        beside: tuple[Item, float] | None = None,
    ) -> Item | None:
        """Hangs a thing on a wall, its origin ``bottom`` metres up, with ``clear`` metres before it kept free.

        ``beside``: a thing on the wall to use, and how many metres to the right of its middle to hang this one.
        """
        mesh = self.make(name)

        def propose() -> Item:
            wall = int(self.rng.integers(4))
            along = self._within(self._length(wall), mesh, 0)
            if beside:
                other, offset = beside
                wall = round(other.yaw / _QUARTER)
                along = float(other.straight[:, 0].mean()) + offset
            shift = (along, -0.001, self.rng.uniform(*bottom))
            return Item(name, self._against(mesh.moved(shift), wall), wall * _QUARTER)

        item = self._place(propose, gap=0.03, clear=clear)
        if item:
            self._zones.append(_before(item, clear))
        return item

    def stand(self, name: str, *, at_wall: bool, turn: float = 0.0) -> Item | None:
        """Stands a thing on the floor: its back to a wall, or free in the room, turned by up to ``turn`` radians."""
        mesh = self.make(name)

        def propose() -> Item:
            wall = int(self.rng.integers(4))
            if at_wall:
                back = mesh.bounds[1, 1] + self.rng.uniform(0.03, 0.08)
                shift = (self._within(self._length(wall), mesh, 0), -back, 0.0)
                return Item(name, self._against(mesh.moved(shift), wall), wall * _QUARTER)
            yaw = wall * _QUARTER + self.rng.uniform(-turn, turn)
            turned = mesh.turned(yaw)
            shift = (self._within(self.size[0], turned, 0), self._within(self.size[1], turned, 1), 0.0)
            return Item(name, turned.moved(shift), yaw)

        return self._place(propose, gap=0.05)

    def seat(self, name: str, host: Item, *, around: bool = False) -> Item | None:
        """Stands a seat before ``host``, or on any side of it, looking at it."""
        mesh = self.make(name)
        low, high = host.bounds[:, :2]

        def propose() -> Item:
            side = host.yaw + (self.rng.integers(4) * _QUARTER if around else 0.0)
            yaw = side + np.pi + self.rng.uniform(-0.6, 0.6)
            turned = mesh.turned(yaw)
            out = np.array([np.sin(side), -np.cos(side)])
            reach = np.abs(out) @ (high - low + np.ptp(turned.bounds[:, :2], axis=0)) / 2 + self.rng.uniform(0.03, 0.15)
            aside = np.array([out[1], -out[0]]) * self.rng.uniform(-0.25, 0.25) * (high - low)
            return Item(name, turned.moved((*((low + high) / 2 + reach * out + aside), 0.0)), yaw)

        return self._place(propose, gap=0.01)

    def lay(
        self, name: str, hosts: Sequence[Item], *, spot: tuple[float, float] | None = None, turn: float = 0.4
    ) -> Item | None:
        """Lets a thing down on one of ``hosts``, near ``spot`` of its top (x and y in -1..1, -1 is left and front)."""
        mesh = self.make(name)

        def propose() -> Item | None:
            host = hosts[int(self.rng.integers(len(hosts)))]
            low, high = host.straight[:, :2]
            spread = self.rng.uniform(-0.95, 0.95, 2) if spot is None else spot + self.rng.uniform(-0.1, 0.1, 2)
            x, y = (low + high) / 2 + spread * (high - low) / 2
            cosine, sine = np.cos(host.yaw), np.sin(host.yaw)
            turned = mesh.turned(host.yaw + self.rng.uniform(-turn, turn))
            at = turned.moved((cosine * x - sine * y, sine * x + cosine * y, 0.0))
            top = _level_top(host, at.bounds)
            return None if top is None else Item(name, at.moved((0, 0, top + 0.002)), host.yaw)

        return self._place(propose, gap=0.002, on=hosts) if hosts else None

    def hang_from_ceiling(self, name: str) -> Item | None:
        """Hangs a thing from the ceiling."""
        mesh = self.make(name)

        def propose() -> Item:
            yaw = int(self.rng.integers(4)) * _QUARTER
            turned = mesh.turned(yaw)
            shift = (self._within(self.size[0], turned, 0), self._within(self.size[1], turned, 1), self.size[2] - 0.001)
            return Item(name, turned.moved(shift), yaw)

        return self._place(propose, gap=0.2)

    def _place(
        self, propose: Callable[[], Item | None], *, gap: float, clear: float = 0.0, on: Sequence[Item] = ()
    ) -> Item | None:
        things = np.array([other.bounds for other in self.items[_SHELL:] if other not in on]).reshape(-1, 2, 3)
        taken = things if on or clear else np.concatenate([things, *(zone[None] for zone in self._zones)])
        for _ in range(60):
            item = propose()
            if item is None or not self._holds(item):
                continue
            if _apart(item.bounds, taken, gap) and (not clear or _apart(_before(item, clear), things, 0.0)):
                return self.add(item)
        return None

    def _holds(self, item: Item) -> bool:
        limit = np.array([*self.size[:2], 2 * self.size[2]]) / 2
        return bool((np.abs(item.bounds) <= limit).all())

    def _length(self, wall: int) -> float:
        return self.size[wall % 2]

    def _against(self, mesh: Mesh, wall: int) -> Mesh:
        return mesh.moved((0, self._length(wall + 1) / 2, 0)).turned(wall * _QUARTER)

    def _within(self, length: float, mesh: Mesh, axis: int) -> float:
        room = max(length / 2 - np.abs(mesh.bounds[:, axis]).max() - 0.04, 0.0)
        return float(self.rng.uniform(-room, room))


def _before(item: Item, reach: float) -> _Bounds:
    """The box around ``item``, extended by ``reach`` metres to its front."""
    low, high = item.bounds
    front = np.array([np.sin(item.yaw), -np.cos(item.yaw), 0.0]) * reach
    return np.stack([np.minimum(low, low + front), np.maximum(high, high + front)])


def _apart(bounds: _Bounds, others: _Bounds, gap: float) -> bool:
    return not ((others[:, 0] < bounds[1] + gap) & (others[:, 1] > bounds[0] - gap)).all(axis=1).any()


def _level_top(host: Item, bounds: _Bounds) -> float | None:
    """Height of ``host`` under a box, or None where it is not level or not there."""
    x, y = np.linspace(bounds[0, :2] + 0.01, bounds[1, :2] - 0.01, 4).T
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    above = np.column_stack([grid, np.full(len(grid), host.bounds[1, 2] + 1)])
    face, distance = host.caster.cast(above, np.broadcast_to((0.0, 0.0, -1.0), above.shape))
    if (face < 0).any() or np.ptp(distance) > 0.004:
        return None
    return float(above[0, 2] - distance.min())
