"""The paper's rows on one dataset: methods trained by the literal recipe on the anchored crops, as rows of a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opendas_plugin.runs.comparison import Compare
from opendas_plugin.runs.comparison_rows import rows_of, systems_of
from opendas_plugin.runs.comparison_runs import Job
from opendas_plugin.runs.reproduce.place import Place, title_of
from opendas_plugin.runs.reproduce.published import Figures
from opendas_plugin.runs.reproduce.results import Result
from opendas_plugin.runs.reproduce.rivals import cost_of
from opendas_plugin.runs.reproduce.scoring import joint_row
from opendas_plugin.runs.reproduce.sources import SOURCES
from opendas_plugin.stamps import Inputs
from opendas_plugin.wording import counted


@dataclass(frozen=True)
class Trained:
    """The rows of a dataset.

    Args:
        rows: one for each method, after a row for each earlier stage of it.
        jobs: the trainings behind them.
    """

    rows: list[Result]
    jobs: list[Job]


def inputs(place: Place, reader: str, *others: str) -> Inputs:
    """What the rows of a dataset are made from; prepares it.

    Args:
        place: of the reproduction.
        reader: of the dataset.
        others: readers of datasets that the adapters are also tested on; those that are there are prepared.
    """
    found = [reader, *(other for other in others if place.has(other))]
    for one in found:
        place.prepared(one)
    crops = place.anchored.crops
    settings = {"methods": list(place.tier.methods), "shots": place.tier.shots, "seeds": place.tier.seeds}
    return place.inputs(found, [place.trained], crops=str(crops), **settings)


def train(place: Place, reader: str, published: Mapping[str, Figures], why_not: str = "") -> Trained:
    """Trains the tier's methods on a dataset and scores them in the joint protocol.

    Args:
        place: of the reproduction.
        reader: of the dataset.
        published: method -> what is known of it.
        why_not: why no row can be the paper's; empty: as the tier says.
    """
    folder, domain = place.folder(reader), place.domain(reader)
    crops = place.anchored.crops.to_dict()
    fields: dict[str, Any] = {"crops": {key: crops[key] for key in ("background", "expand", "resize")}}
    if place.tier.shots is not None:
        fields["segments"] = {"shots": place.tier.shots}
    recipe = place.write_recipe(folder / "recipe.yaml", place.trained, fields)
    comparison = Compare(
        place.prepared(reader), folder / "rows", methods=place.tier.methods, seeds=place.tier.seeds,
        recipe=str(recipe), device=str(place.device), jobs=place.jobs,
    )  # fmt: skip
    comparison()
    jobs = comparison.plan()
    costs = {system.title: system for system in systems_of(jobs)}
    about = {"backbone": title_of(place.trained), "crops": str(place.anchored.crops)}
    rows = [
        joint_row(
            row.title, SOURCES[reader].title, row.folders, domain.val, domain.vocabulary,
            published.get(row.title, {}), about | cost_of(costs[row.title]), why_not or reason(place),
        )
        for row in rows_of(jobs)
    ]  # fmt: skip
    return Trained(rows, jobs)


def adapters(jobs: list[Job], method: str) -> dict[int | None, Path]:
    """Training seed -> the adapter's folder, of a method."""
    return {job.run.config.seed: job.folder / "adapter" for job in jobs if job.title == method}


def reason(place: Place) -> str:
    """Why rows of the tier are not the paper's; empty: they are."""
    if place.tier.is_rehearsal:
        return "made-up data and random weights"
    if place.tier.is_papers:
        return ""
    shots = f", {counted(place.tier.shots, 'shot')} a name" if place.tier.shots else ""
    return f"{title_of(place.trained)}{shots}; the paper's is ViT-L/14 on all segments"


def related_names(place: Place, reader: str) -> str:
    """Where the related names of the triplet loss come from, in a sentence."""
    if (place.root / "negatives" / f"{reader}.json").is_file():
        return "The related names are those of the file that was given; the paper's are GPT-4's."
    return "The related names were found offline by the text tower; the paper's are GPT-4's, and are not published."
