"""What each step of a reproduction is made from, and its work."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from opendas_plugin.runs.meters import Meter
from opendas_plugin.runs.reproduce import ade20k, anchor, check, hosts, kitti360, rivals, scannetpp, store
from opendas_plugin.runs.reproduce.place import Place
from opendas_plugin.runs.reproduce.store import Done
from opendas_plugin.stamps import Inputs

logger = logging.getLogger(__name__)

STEPS: Mapping[str, tuple[Callable[[Place], Inputs], Callable[[Place], Done]]] = {
    "check": (check.inputs, check.run),
    "anchor": (anchor.inputs, anchor.run),
    "rivals": (rivals.inputs, rivals.run),
    "ade20k": (ade20k.inputs, ade20k.run),
    "kitti360": (kitti360.inputs, kitti360.run),
    "scannetpp": (scannetpp.inputs, scannetpp.run),
    "hosts": (hosts.inputs, hosts.run),
}
"""What a step is made from, and its work."""


def do(name: str, place: Place, made: Mapping[str, Any]) -> Done:
    """A step, or what an earlier run has made of it; ``made`` says with which versions and device this one would be."""
    read_inputs, work = STEPS[name]
    inputs, folder = read_inputs(place), place.folder(name)
    done = store.open_step(folder, inputs, again=name == "check")
    if done is not None:
        logger.info("%s is done already", name)
        return done
    logger.info("%s begins", name)
    meter = Meter(place.device)
    found = work(place)
    seconds = meter.seconds
    with meter.paused():
        memory = [meter.peak / 1024, *(row.about["gib"] for row in found.results if "gib" in row.about)]
    known = [gib for gib in memory if not math.isnan(gib)]
    found = Done(found.results, found.notes, found.facts, seconds, max(known) if known else None, made)
    store.write_step(folder, inputs, found)
    return Done.from_json(found.to_json())  # as a later call reads it
