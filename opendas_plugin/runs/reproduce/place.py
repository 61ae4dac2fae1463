"""What the steps of a reproduction share: the data, the weights, the crops that were anchored, and the device."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import NEGATIVES, Domain, load_domain
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.files import read_json, write_text
from opendas_plugin.model.devices import pick_device
from opendas_plugin.negatives.database import NegativeDatabase
from opendas_plugin.readers import registry
from opendas_plugin.runs.preparation import PrepareImages, run_of
from opendas_plugin.runs.record import plain
from opendas_plugin.runs.reproduce import store
from opendas_plugin.runs.reproduce.sources import SOURCES
from opendas_plugin.runs.reproduce.tiers import Tier, Weights
from opendas_plugin.runs.reproduce.weights import given
from opendas_plugin.stamps import Inputs, changes
from opendas_plugin.train.recipe import merge

logger = logging.getLogger(__name__)

ANCHOR = "anchor"
_WAYS = ("output", "overwrite", "resume", "workers")  # settings of preparing that do not change what is prepared


@dataclass(frozen=True)
class Anchored:
    """The crops that all training takes.

    Args:
        crops: the policy.
        weights: what it was found on.
        whence: in words, for the page.
    """

    crops: CropPolicy
    weights: Weights
    whence: str


@dataclass(frozen=True)
class Place:
    """What the steps share.

    Args:
        root: of the data.
        output: of all steps.
        tier: how much is done.
        device_name: auto, cpu, cuda or cuda:N.
        workers: threads that decode.
        batch_size: segments a step; None: each method's own.
        jobs: trainings at once.
        hosts: see :class:`~.hosts.Hosts`.
    """

    root: Path
    output: Path
    tier: Tier
    device_name: str = "auto"
    workers: int = 2
    batch_size: int | None = None
    jobs: int = 1
    hosts: Any = field(default=None)

    @cached_property
    def device(self) -> torch.device:
        """Where it works."""
        return pick_device(self.device_name)

    def folder(self, step: str) -> Path:
        """The folder of a step."""
        return self.output / step

    def prepared(self, reader: str) -> Path:
        """The domain of a dataset, prepared where it is not yet.

        Raises:
            MissingFileError: the dataset is not there; the message says how to get it.
            ConfigError: it was prepared otherwise.
        """
        source, output = SOURCES[reader], self.output / "data" / reader
        options = self.tier.options(reader)
        root = source.fetch(self.root)
        if reader == "scannetpp":
            options |= office_lists(root)
        kind: Any = run_of(registry.get(reader))
        run = kind(output=output, root=root, workers=self.workers, **options)
        if (output / "domain.json").exists():
            self._require_same(output, run)
        else:
            logger.info("preparing %s", source.title)
            if isinstance(run, PrepareImages):
                run = kind(output=output, root=root, workers=self.workers, resume=True, **options)
            run()
            shutil.rmtree(output.with_name(f"{output.name}.cache"), ignore_errors=True)
        self._take_negatives(reader, output)
        return output

    def domain(self, reader: str) -> Domain:
        """The prepared domain of a dataset; raises as :meth:`prepared`."""
        return load_domain(self.prepared(reader))

    def has(self, reader: str) -> bool:
        """Whether a dataset lies under the root, whole; raises DataError for another layout."""
        return SOURCES[reader].find(self.root) is not None

    def weights(self, weights: Weights) -> Weights:
        """A backbone as the package takes it: its name, and its tag or file."""
        return given(weights, self.root)

    @property
    def anchored(self) -> Anchored:
        """The crops that the step anchor has chosen by now, or the defaults where it has not been done.

        Raises:
            ConfigError: it was done for another tier.
        """
        path = self.folder(ANCHOR) / store.FILE
        if not path.exists():  # a plan asks before it is done, so the answer is not kept
            return Anchored(CropPolicy(), self.tier.anchors[0], "the default, since the step anchor was not done")
        content = read_json(path)
        try:
            facts, tier = content["done"]["facts"], content["inputs"]["values"]["tier"]
            crops, number, whence = CropPolicy.from_dict(facts["crops"]), int(facts["anchor"]), str(facts["whence"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} is damaged; remove it, and the step is done again") from error
        if tier != self.tier.name:
            raise ConfigError(f"{path} is of the tier {tier}, now {self.tier.name}; give another `output`")
        weights = self.tier.anchors[number]
        return Anchored(CropPolicy(crops.background, crops.expand, crops.resize), weights, whence)

    @property
    def trained(self) -> Weights:
        """What the rows of the paper's tables are trained on."""
        return self.tier.trained or self.anchored.weights

    def write_recipe(
        self,
        path: Path,
        weights: Weights,
        fields: Mapping[str, Any],
        methods: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Path:
        """Writes the recipe of a step's trainings: the paper's literal reading, and what goes before it.

        Args:
            path: the file.
            weights: the backbone.
            fields: of all methods.
            methods: method -> fields of it alone.
        """
        name, pretrained = self.weights(weights)
        own = {"batch_size": self.batch_size} if self.batch_size else {}
        common = merge(merge({"backbone": name, "pretrained": pretrained, **own}, fields), self.tier.changes)
        alone = {method: merge(changed, self.tier.changes) for method, changed in (methods or {}).items()}
        content = {"base": "paper", **{key: value for key, value in common.items() if value is not None}, **alone}
        write_text(path, yaml.safe_dump(content, sort_keys=False))
        return path

    def inputs(self, readers: Sequence[str], weights: Sequence[Weights] = (), **values: Any) -> Inputs:
        """What a step is made from: prepared datasets, weight files, and the settings that decide."""
        files = {
            f"{reader}/{file}": self.output / "data" / reader / file
            for reader in readers
            for file in ("train.jsonl", "val.jsonl", "vocabulary.json", NEGATIVES)
            if (self.output / "data" / reader / file).exists()
        }
        found = [self.weights(one) for one in weights]
        files |= {Path(name).name: Path(name) for pair in found for name in pair if name and Path(name).is_file()}
        named = {"tier": self.tier.name, "weights": [list(one) for one in weights if not Path(one[0]).is_file()]}
        own = {} if self.batch_size is None else {"batch_size": self.batch_size}
        return Inputs(files, json.loads(json.dumps({**named, **own, **values})))

    def _require_same(self, output: Path, run: Any) -> None:
        def decisive(config: Mapping[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in config.items() if name not in _WAYS}

        known = read_json(output / "run.json")
        before = known.get("config") if isinstance(known, dict) else None
        if not isinstance(before, dict):
            raise DataError(f"{output / 'run.json'} is damaged; remove {output}, and it is prepared again")
        if difference := next(changes(decisive(before), decisive(plain(run))), None):
            raise ConfigError(
                f"{output} was prepared otherwise: {difference}; give another `output`, or remove it to prepare it anew"
            )

    def _take_negatives(self, reader: str, output: Path) -> None:
        """Takes the related names of a language model, where the user has put them under the data root."""
        given_names = self.root / "negatives" / f"{reader}.json"
        if given_names.is_file() and not (output / NEGATIVES).exists():
            NegativeDatabase.load(given_names)  # what it lacks is said now
            shutil.copyfile(given_names, output / NEGATIVES)


def office_lists(root: Path) -> dict[str, Any]:
    """The options of ScanNet++'s reader that take the user's own lists of scenes, where they lie in its folder."""
    lists = {f"{part}_scenes": root / f"offices_{part}.txt" for part in ("train", "val")}
    return {name: path for name, path in lists.items() if path.is_file()}


def title_of(weights: Weights) -> str:
    """A backbone in a table."""
    name, pretrained = weights
    return Path(name).stem if pretrained is None else f"{name}/{pretrained}"


def slug(text: str) -> str:
    """A text as a folder's name."""
    return "".join(letter if letter.isalnum() or letter in "-.@" else "-" for letter in text)
