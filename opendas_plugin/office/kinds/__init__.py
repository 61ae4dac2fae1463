"""The objects of the office domain and of the tiny CLIP's pre-training: one small procedural function a name."""

from __future__ import annotations

from opendas_plugin.office.kinds import (
    appliances,
    bags,
    computers,
    electronics,
    fittings,
    leisure,
    lighting,
    openings,
    pictures,
    plants,
    seating,
    stationery,
    storage,
    surfaces,
    tables,
    tableware,
    tools,
)
from opendas_plugin.office.kinds.registry import KINDS, Kind

__all__ = [
    "KINDS",
    "Kind",
    "appliances",
    "bags",
    "computers",
    "electronics",
    "fittings",
    "leisure",
    "lighting",
    "openings",
    "pictures",
    "plants",
    "seating",
    "stationery",
    "storage",
    "surfaces",
    "tables",
    "tableware",
    "tools",
]
