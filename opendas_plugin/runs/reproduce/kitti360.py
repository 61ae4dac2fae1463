"""Step ``kitti360``: the paper's rows on KITTI-360."""

from __future__ import annotations

from opendas_plugin.runs.reproduce import training_rows
from opendas_plugin.runs.reproduce.place import Place
from opendas_plugin.runs.reproduce.published import PLAIN
from opendas_plugin.runs.reproduce.store import Done
from opendas_plugin.runs.reproduce.training_rows import related_names
from opendas_plugin.stamps import Inputs

READER = "kitti360"


def inputs(place: Place) -> Inputs:
    """What the step is made from; prepares the data."""
    return training_rows.inputs(place, READER)


def run(place: Place) -> Done:
    """Trains the rows."""
    trained = training_rows.train(place, READER, {"zero_shot": PLAIN[READER]})
    every = place.tier.options(READER)["every"]
    frames = "" if every == 1 else f"Every {every}th frame of the official lists is taken. "
    notes = [
        f"{frames}All 37 annotated classes count; the paper does not say whether it takes these or the 19 that are "
        "evaluated.",
        related_names(place, READER),
        "The paper's closed-set figures after adaptation have not been seen by us.",
    ]
    return Done(trained.rows, notes)
