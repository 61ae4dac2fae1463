"""Step ``scannetpp``: the paper's rows on ScanNet++ Offices, which cannot be exact."""

from __future__ import annotations

from opendas_plugin.runs.reproduce import training_rows
from opendas_plugin.runs.reproduce.place import Place
from opendas_plugin.runs.reproduce.published import OFFICES
from opendas_plugin.runs.reproduce.store import Done
from opendas_plugin.runs.reproduce.training_rows import reason, related_names
from opendas_plugin.stamps import Inputs
from opendas_plugin.wording import counted

READER = "scannetpp"
UNNAMED = "the paper does not name its 14 and 16 offices"


def inputs(place: Place) -> Inputs:
    """What the step is made from; prepares the data."""
    return training_rows.inputs(place, READER)


def run(place: Place) -> Done:
    """Trains the rows; the scenes that were taken are named."""
    trained = training_rows.train(place, READER, OFFICES, reason(place) or UNNAMED)
    scenes = place.domain(READER).info.get("scenes", {})
    counts = {part: len(scenes.get(part, ())) for part in ("train", "val")}
    notes = [
        f"These rows cannot be the paper's exactly: {UNNAMED}, and so not its names either (156 in training, 233 in "
        f"validation). Here {counted(counts['train'], 'scene trains', 'scenes train')} and "
        f"{counted(counts['val'], 'is', 'are')} judged by: of each official list "
        "those with the most kinds of office things, or those of offices_train.txt and offices_val.txt by the data.",
        related_names(place, READER),
    ]
    return Done(trained.rows, notes, {"scenes": scenes})
