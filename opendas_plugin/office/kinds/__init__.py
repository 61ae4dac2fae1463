"""The objects of the office domain and of the tiny CLIP's pre-training: one small procedural function a name."""

from __future__ import annotations

from opendas_plugin.office.kinds import (
    appliances,
    bags,
    electronics,
    nature,
    openings,
    seating,
    stationery,
    storage,
    surfaces,
    tableware,
)
from opendas_plugin.office.kinds.registry import KINDS, Kind

__all__ = [
    "KINDS",
    "Kind",
    "appliances",
    "bags",
    "electronics",
    "nature",
    "openings",
    "seating",
    "stationery",
    "storage",
    "surfaces",
    "tableware",
]
