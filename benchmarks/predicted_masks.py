"""Plain CLIP and adapters on predicted masks of office-bench-v2: class maps of pictures, and instances of clouds.

Masks without classes (spoilt ground truth and an over-segmentation) of all test rooms are named by plain CLIP and by
adapters of three methods, with the settings that the tuned rows chose: one adapter for each fold of the first
partition, each with a training seed of its own, so that every name is novel once. What is done is kept.

    python benchmarks/predicted_masks.py --data runs/data/office-bench-v2 --output runs/predicted
"""

from __future__ import annotations

import csv
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from PIL import Image

from integrations.openmask3d.experiment import Experiment
from opendas_plugin.data.images import read_labels
from opendas_plugin.eval.tables import Cell, Figure, Table
from opendas_plugin.files import read_json, write_text
from opendas_plugin.office.bench_folds import FOLDS, folds
from opendas_plugin.office.scene3d import NO_CLASS
from opendas_plugin.runs.bench_rows import Place, rows_of
from opendas_plugin.runs.comparison_runs import run_all
from opendas_plugin.runs.proposals import prepare_proposals
from opendas_plugin.runs.semantic import evaluate_semantic
from opendas_plugin.vocabulary import Vocabulary

SETTINGS = {"opendas": "adamw0.003_c10_25", "ln_bias": "lr0.01_c3", "opendas_plus": "lr0.01_c5"}
"""Method -> what its tuned row chose."""
PLAIN = "plain CLIP"
PICTURES = {"miou": "mIoU", "b_miou": "base", "n_miou": "novel", "macc": "mAcc"}
CLOUDS = {"ap": "AP", "b_ap": "base", "n_ap": "novel", "ap50": "AP50", "ap25": "AP25"}
ORACLE = {"ap": "AP", "w_f1": "W-F1", "b_f1": "B-F1", "n_f1": "N-F1"}


@dataclass(frozen=True)
class Options:
    """Where to work."""

    data: Path
    """Folder that opendas-prepare office-bench-v2 wrote."""
    output: Path
    """Folder for all that is made."""
    rooms: int | None = None
    """How many of the test rooms; default: all."""
    jobs: int = 1
    """Trainings at once."""


def view(options: Options, fold: str) -> Path:
    """The folder of a fold with the scenes of its rooms, whose label maps and clouds have the fold's names."""
    source, test, folder = options.data / FOLDS / fold, options.data / "test", options.output / FOLDS / fold[-1]
    if (folder / "classes.txt").exists():
        return folder
    names = Vocabulary.load(source / "vocabulary.json").names
    every = Vocabulary.load(test / "vocabulary.json").names
    places = np.full(256, NO_CLASS, np.uint8)
    places[: len(every)] = [names.index(name) if name in names else NO_CLASS for name in every]
    shutil.copytree(source, folder, dirs_exist_ok=True)
    if not (options.output / "test").exists():
        (options.output / "test").symlink_to(test.resolve())  # where the fold's pictures are, seen from it
    rooms = sorted(path for path in (test / "scenes").iterdir() if path.name.startswith("office_test"))
    for room in rooms[: options.rooms]:
        (folder / "scenes" / room.name / "class").mkdir(parents=True, exist_ok=True)
        for path in room.iterdir():
            link = folder / "scenes" / room.name / path.name
            if path.name == "class":
                for labels in path.iterdir():
                    Image.fromarray(places[read_labels(labels)]).save(link / labels.name)
            elif not link.exists():
                link.symlink_to(path.resolve())
        truth = np.loadtxt(test / "ground_truth" / f"{room.name}.txt", dtype=int)
        place = places[np.clip(truth // 1000 - 1, 0, 255)].astype(int)
        found = np.where((truth > 0) & (place != NO_CLASS), (place + 1) * 1000 + truth % 1000, 0)
        write_text(folder / "ground_truth" / f"{room.name}.txt", "".join(f"{value}\n" for value in found))
    write_text(folder / "classes.txt", "".join(f"{number} {name}\n" for number, name in enumerate(names, 1)))
    return folder


def adapters(options: Options) -> dict[tuple[str, int], Path]:
    """The adapter of each method for each fold."""
    place = Place(options.data, options.output / "bench", "office-tiny")
    rows = {row.title: row for row in rows_of("tuned")}
    made = {
        (method, number): place.jobs(rows[method], [fold], number + 1, setting)[-1]
        for number, fold in enumerate(folds(("1",)))
        for method, setting in SETTINGS.items()
    }
    run_all([*made.values()], options.jobs, [])
    return {key: job.folder / "adapter" for key, job in made.items()}


def of_pictures(options: Options, data: Path, output: Path, adapter: Path | None) -> dict[str, Any]:
    """Names the masks of the pictures, and scores the class maps; what is there is read."""
    if not (output / "summary.json").exists():
        crops: dict[str, Any] = {"background": "mean", "expand": 0.3, "resize": "center", "backbone": "office-tiny"}
        evaluate_semantic(
            masks=options.output / "masks" / "proposals.json",
            images=data / "scenes",
            ground_truth=options.output / "masks" / "labels",
            vocabulary=data / "vocabulary.json",
            protocol="detectron2",
            report=False,
            output=output,
            **(crops if adapter is None else {"adapter": str(adapter)}),
        )
    return dict(read_json(output / "summary.json"))


def in_each_fold(folder: Path, data: Sequence[Path]) -> list[dict[str, Any]]:
    """The scores of class maps, with those of the base and novel names of each fold: plain CLIP's maps are the same."""
    with open(folder / "per_class.csv", encoding="utf-8", newline="") as file:
        iou = {row["name"]: float(row["iou"]) for row in csv.DictReader(file) if int(row["pixels"])}
    found = []
    for fold in data:
        vocabulary = Vocabulary.load(fold / "vocabulary.json")
        base, novel = (statistics.fmean(iou[n] for n in own if n in iou) for own in (vocabulary.base, vocabulary.novel))
        found.append({**read_json(folder / "summary.json"), "b_miou": base, "n_miou": novel})
    return found


def of_clouds(options: Options, data: Path, output: Path, adapter: Path) -> dict[str, Any]:
    """Names the masks of the clouds by plain CLIP and an adapter, and scores the instances; what is there is read."""
    if not (output / "summary.json").exists():
        Experiment(data=data, masks=options.output / "clouds", adapters=(str(adapter),), output=output)()
    return dict(read_json(output / "summary.json"))


def figures(found: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> list[Figure]:
    """The mean of each column, and its standard deviation where there are several."""
    return [Figure.of([float(one[key]) for one in found]) for key in columns]


def flat(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a summary by the names of the columns, those of base and novel names among them."""
    parts = {f"{part[0]}_ap": summary[part]["ap"] for part in ("base", "novel") if part in summary}
    return {**summary, **parts, **summary.get("oracle", {})}


def main(argv: Sequence[str] | None = None) -> None:
    """Makes what is not there yet, and prints both tables."""
    options = tyro.cli(Options, args=argv, description=__doc__)
    data = [view(options, fold.key) for fold in folds(("1",))]
    if not (options.output / "masks" / "quality.json").exists():
        prepare_proposals(data=data[0], output=options.output / "masks", of="pictures")
    if not (options.output / "clouds" / "quality.json").exists():
        prepare_proposals(data=data[0], output=options.output / "clouds", of="clouds")
    named, instances = options.output / "named", options.output / "instances"
    learnt = adapters(options)
    of_pictures(options, data[0], named / "plain", None)
    pictures, clouds = {PLAIN: in_each_fold(named / "plain", data)}, dict[str, list[Any]]()
    for (method, number), adapter in learnt.items():
        own = Path(method, str(number))
        pictures.setdefault(method, []).append(of_pictures(options, data[number], named / own, adapter))
        found = of_clouds(options, data[number], instances / own, adapter)
        if len(clouds.setdefault(PLAIN, [])) == number:
            clouds[PLAIN].append(found[PLAIN])
        clouds.setdefault(method, []).append(found["adapter 1"])
    print(table("Pictures (detectron2), proposals", pictures, {"": PICTURES}))
    print(table("Clouds (scannet)", clouds, {"proposals": CLOUDS, "oracle": ORACLE}))


def table(caption: str, found: Mapping[str, Sequence[Any]], parts: Mapping[str, Mapping[str, str]]) -> str:
    """A table with a row for each contestant, in Markdown."""
    titles = [f"{part} {title}".strip() for part, columns in parts.items() for title in columns.values()]
    rows: list[tuple[Cell, ...]] = []
    for name, own in found.items():
        cells = [figures([flat(one[part] if part else one) for one in own], columns) for part, columns in parts.items()]
        rows.append((name, *chain.from_iterable(cells)))
    return Table(caption, ("", *titles), tuple(rows)).markdown()


if __name__ == "__main__":
    main()
