"""The rows of office-bench-v2: what a row is, its trainings on the folds, and the file that keeps what came out.

A row's file holds the names that each of its adapters gives the test segments, so that tables and intervals can be made
again, and rows of several machines and days add up.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import yaml
from numpy.typing import NDArray

from opendas_plugin import methods
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.eval.pooling import FoldPredictions
from opendas_plugin.files import read_json, write_json, write_text
from opendas_plugin.office.bench_folds import FOLDS, OfficeFold, folds, scored_names
from opendas_plugin.runs.adaptation import Adapt
from opendas_plugin.train.recipe import merge, read_recipe
from opendas_plugin.version import __version__

if TYPE_CHECKING:
    from opendas_plugin.runs.comparison_runs import Job


Block: TypeAlias = Literal["published", "tuned", "quick"]
QUICK = ("zero_shot", "opendas, own names", "vpt", "maple", "wise_ft_image")
RELATED = {"with novel": "negatives.json", "without novel": "negatives_without_novel.json"}
NOT_FIELDS = ("method", "of", "related", "unlabelled", "settings")
ALL_TRAINING = Path("test", "train.jsonl")
"""All 3,712 training segments, of which a fold has names for 1,200."""


@dataclass(frozen=True)
class Row:
    """A row of a block.

    Args:
        title: of the row.
        method: how it learns.
        fields: of its recipe, nested as in a recipe file.
        related: which related names of a fold it learns against: ``with novel`` or ``without novel``; None: none.
        unlabelled: whether it learns from all training segments, whose names it does not look at, too.
        settings: name -> further fields, of which the choosing folds choose one; empty: the fields are all. Where the
            adapters of another row are read again: those of :class:`~opendas_plugin.runs.bench_again.Reading`.
        of: the row whose adapters are read again, so that nothing is trained; None: it has its own.
    """

    title: str
    method: str
    fields: Mapping[str, Any]
    related: str | None = None
    unlabelled: bool = False
    settings: Mapping[str, Mapping[str, Any]] | None = None
    of: str | None = None

    def file(self, folder: Path) -> Path:
        """Where a block's folder keeps it."""
        from opendas_plugin.runs.comparison_runs import folder_name

        return folder / f"{folder_name(self.title)}.json"

    @property
    def learns(self) -> bool:
        """Whether anything is learnt."""
        return bool(methods.get(self.method).stages)


@dataclass(frozen=True)
class Place:
    """Where a block is worked on.

    Args:
        data: folder of office-bench-v2.
        output: folder of the runs.
        backbone: which tower.
        device: auto, cpu, cuda or cuda:N.
    """

    data: Path
    output: Path
    backbone: str
    device: str = "auto"

    def jobs(self, row: Row, folds: Sequence[OfficeFold], seeds: int, setting: str | None = None) -> list[Job]:
        """A row's trainings: on each fold with each seed; one seed where nothing is learnt."""
        more = {} if setting is None else (row.settings or {})[setting]
        title = row.title if setting is None else f"{row.title}, {setting}"
        return [self._job(row, title, fold, seed, more) for fold in folds for seed in range(seeds if row.learns else 1)]

    def _job(self, row: Row, title: str, fold: OfficeFold, seed: int, more: Mapping[str, Any]) -> Job:
        from opendas_plugin.runs.comparison_runs import Job, folder_name

        recipe = self.output / "recipes" / f"{folder_name(title)}.yaml"
        write_text(recipe, yaml.safe_dump({"base": None, **merge(row.fields, more)}, sort_keys=False))
        config = read_recipe(recipe, row.method, {"seed": seed, "backbone": self.backbone})
        data = self.data / FOLDS / fold.key
        folder = self.output / "runs" / folder_name(title) / fold.key / f"seed{seed}"
        run = Adapt(
            data,
            folder,
            recipe=str(recipe),
            negatives=None if row.related is None else data / RELATED[row.related],
            unlabelled=self.data / ALL_TRAINING if row.unlabelled else None,
            crop_cache=self.output / "crops",
            device=self.device,
            config=config,
        )
        return Job(title, folder, run)


def rows_of(block: Block) -> list[Row]:
    """The rows of a block, in the order of its file."""
    file = "bench_published.yaml" if block == "quick" else f"bench_{block}.yaml"
    content = yaml.safe_load((files("opendas_plugin.office") / file).read_text("utf-8"))
    rows = []
    for title, own in content["rows"].items():
        if block == "quick" and title not in QUICK:
            continue
        base = content["rows"][own["of"]] if "of" in own else own
        fields = merge(content["common"], {name: value for name, value in base.items() if name not in NOT_FIELDS})
        related, unlabelled = base.get("related"), base.get("unlabelled", False)
        rows.append(Row(title, base["method"], fields, related, unlabelled, own.get("settings"), own.get("of")))
    return rows


@cache
def novel_of(key: str) -> frozenset[str]:
    """The novel names of a fold.

    Raises:
        KeyError: there is no such fold.
    """
    return {fold.key: frozenset(fold.novel) for fold in folds()}[key]


@dataclass(frozen=True)
class Scored:
    """What a row's file holds.

    Args:
        facts: how the row was made, and what it cost.
        found: stage -> fold -> what its segments were taken for, in the order of the fold's ``val.jsonl``. The last
            stage is the row; earlier ones are rows of their own.
    """

    facts: Mapping[str, Any]
    found: Mapping[str, Mapping[str, FoldPredictions]]

    @classmethod
    def of_runs(
        cls, row: Row, jobs: Sequence[Job], facts: Mapping[str, Any], reports: Sequence[Path] | None = None
    ) -> Scored:
        """What finished runs of a row gave.

        Args:
            row: the row.
            jobs: the runs, of this row or of the one whose adapters it reads again.
            facts: of the row's file.
            reports: the folder of the report for each job, where the adapters were read again; None: the jobs' own.
        """
        from opendas_plugin.runs.comparison_runs import COST, learnt_by
        from opendas_plugin.runs.training import BEFORE, score_folders

        stages = [folder for folder in score_folders(row.method).values() if folder != BEFORE or not row.learns]
        counts = [learnt_by(jobs[0], number) for number in range(len(stages))] if row.learns else [0]
        scored = {stage: [job.folder / stage for job in jobs] for stage in stages}
        if reports is not None:
            stages, counts = stages[-1:], counts[-1:]
            scored = {stages[0]: list(reports)}
        keys = [job.folder.parent.name for job in jobs]
        found = {
            stage: {
                key: _read([folder for folder, own in zip(folders, keys, strict=True) if own == key], novel_of(key))
                for key in dict.fromkeys(keys)
            }
            for stage, folders in scored.items()
        }
        costs = [read_json(job.folder / COST) for job in jobs]
        about = {
            "row": row.title,
            "method": row.method,
            "related": row.related,
            "parameters": costs[0]["parameters"],
            "learnt": dict(zip(stages, counts, strict=True)),
            "seconds": [round(cost["seconds"], 1) for cost in costs],
            "version": __version__,
            "scored_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            **facts,
        }
        return cls(about, found)

    @classmethod
    def load(cls, path: Path) -> Scored:
        """Reads a row's file.

        Raises:
            DataError: it is none.
        """
        from opendas_plugin.runs.training import score_folders

        content = read_json(path)
        try:
            stages = content.pop("found")
            found = {
                stage: {key: _unpacked(packed, novel_of(key)) for key, packed in stages[stage].items()}
                for stage in score_folders(content["method"]).values()
                if stage in stages
            }
            return cls(content, found)
        except (AttributeError, ConfigError, KeyError, TypeError, ValueError, zlib.error) as error:
            raise DataError(f"{path} is no row of a benchmark; remove it, to have it made again") from error

    def save(self, path: Path) -> None:
        """Writes the row's file."""
        found = {stage: {key: _packed(one) for key, one in of_fold.items()} for stage, of_fold in self.found.items()}
        write_json(path, {**self.facts, "found": found})


def _read(folders: Sequence[Path], novel: frozenset[str]) -> FoldPredictions:
    """What the runs of a fold, one a seed, say of its segments."""
    from opendas_plugin.eval.prediction_file import read_predictions

    places = {name: place for place, name in enumerate(scored_names())}
    found = [read_predictions(folder / "predictions.jsonl") for folder in folders]
    predictions = np.array([[places[name] for name in one.predictions] for one in found])
    own_kind = np.array([[places[name] for name in one.own_kind or ()] for one in found])
    return FoldPredictions(
        predictions, _novel(novel), own_kind, _ranks(np.array([one.base_scores or () for one in found]))
    )


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The place of each score in its row, in 255ths, which is all that a file keeps."""
    order = scores.argsort(axis=-1, kind="stable").argsort(axis=-1, kind="stable")
    return np.floor(order * 255.0 / scores.shape[-1])


def _novel(names: frozenset[str]) -> NDArray[np.bool_]:
    return np.array([name in names for name in scored_names()])


def _packed(one: FoldPredictions) -> dict[str, Any]:
    """Bytes as text, two or three a segment and seed, compressed, in base 64."""
    kept = [values for values in (one.predictions, one.own_kind, one.base_scores) if values is not None]
    values = np.array(kept, dtype=np.uint8)
    return {"shape": list(values.shape), "bytes": base64.b64encode(zlib.compress(values.tobytes(), 9)).decode()}


def _unpacked(packed: Mapping[str, Any], novel: frozenset[str]) -> FoldPredictions:
    values = np.frombuffer(zlib.decompress(base64.b64decode(packed["bytes"])), np.uint8).reshape(packed["shape"])
    predictions, own_kind, *scores = values.astype(np.int64)
    return FoldPredictions(predictions, _novel(novel), own_kind, scores[0].astype(np.float64) if scores else None)
