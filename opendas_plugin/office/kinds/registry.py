"""The registry of kinds: a name, where such a thing is found, and the function that makes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from opendas_plugin.office.geometry import Mesh

Mount: TypeAlias = Literal["floor", "table", "wall", "ceiling", "surface"]
Maker: TypeAlias = Callable[[np.random.Generator], Mesh]


@dataclass(frozen=True)
class Kind:
    """A kind of object.

    Attributes:
        name: its class name.
        mount: where it is found: standing on the floor or on a table, hung on a wall or from the ceiling
            (its top at z = 0 then), or ``surface``: a piece of the room itself.
        make: draws one from a random generator; conventions as in :mod:`opendas_plugin.office.geometry`.
    """

    name: str
    mount: Mount
    make: Maker


KINDS: dict[str, Kind] = {}


def kind(name: str, mount: Mount = "floor") -> Callable[[Maker], Maker]:
    """Registers a maker under ``name``; what it makes is put where the conventions want it."""

    def register(make: Maker) -> Maker:
        KINDS[name] = Kind(name, mount, lambda rng: _placed(make(rng), mount))
        return make

    return register


def _placed(mesh: Mesh, mount: Mount) -> Mesh:
    if mount == "surface":
        return mesh
    low, high = mesh.bounds
    x, y = (low[:2] + high[:2]) / 2
    return mesh.moved((-x, -high[1] if mount == "wall" else -y, -high[2] if mount == "ceiling" else -low[2]))
