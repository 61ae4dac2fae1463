"""Step ``ade20k``: the paper's rows on ADE20K-150, and its adapters tested on KITTI-360 and ScanNet++ Offices."""

from __future__ import annotations

from pathlib import Path

from opendas_plugin.runs.classification import evaluate_classification, mark_base
from opendas_plugin.runs.reproduce import training_rows
from opendas_plugin.runs.reproduce.place import Place, title_of
from opendas_plugin.runs.reproduce.published import CROSS, PLAIN
from opendas_plugin.runs.reproduce.results import Result
from opendas_plugin.runs.reproduce.scannetpp import UNNAMED
from opendas_plugin.runs.reproduce.scoring import joint_row
from opendas_plugin.runs.reproduce.sources import SOURCES
from opendas_plugin.runs.reproduce.store import Done
from opendas_plugin.runs.reproduce.training_rows import Trained, adapters, reason, related_names
from opendas_plugin.stamps import Inputs

READER = "ade20k"
OTHERS = ("kitti360", "scannetpp")


def inputs(place: Place) -> Inputs:
    """What the step is made from; prepares the data."""
    return training_rows.inputs(place, READER, *OTHERS)


def run(place: Place) -> Done:
    """Trains the rows, and tests their adapters on the other datasets that are there."""
    trained = training_rows.train(place, READER, {"zero_shot": PLAIN[READER]})
    notes = [related_names(place, READER), "The paper's closed-set figures after adaptation have not been seen by us."]
    rows = list(trained.rows)
    for other in OTHERS:
        if place.has(other):
            rows += _on(place, trained, other)
        else:
            notes.append(f"The rows on {SOURCES[other].title} are left out: {SOURCES[other].manual}.")
    return Done(rows, notes)


def _on(place: Place, trained: Trained, other: str) -> list[Result]:
    """The rows of another dataset, whose base names are those that ADE20K's training had."""
    base_from = place.prepared(READER) / "vocabulary.json"
    domain, data = place.domain(other), place.prepared(other)
    vocabulary = mark_base(domain.vocabulary, base_from)
    about = {"backbone": title_of(place.trained), "crops": str(place.anchored.crops)}
    rows = []
    for method in place.tier.methods:
        folders: dict[int | None, Path] = {}
        for seed, adapter in adapters(trained.jobs, method).items():
            folder = place.folder(READER) / f"on-{other}" / method / f"seed{seed}"
            if not (folder / "summary.json").exists():
                evaluate_classification(
                    data=data, output=folder, adapter=str(adapter), base_from=base_from, device=str(place.device),
                    workers=place.workers,
                )  # fmt: skip
            folders[None if method == "zero_shot" else seed] = folder
        known = CROSS[other].get(method, {})
        why = reason(place) or (UNNAMED if other == "scannetpp" else "")
        title = f"{method}, trained on ADE20K-150"
        rows.append(joint_row(title, SOURCES[other].title, folders, domain.val, vocabulary, known, about, why))
    return rows
