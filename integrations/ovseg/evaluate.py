"""``python -m integrations.ovseg evaluate``: OVSeg with and without an adapter on one dataset, and the difference.

    python -m integrations.ovseg evaluate --opendas-adapter A --output OUT --config-file C MODEL.WEIGHTS W

Each run is OVSeg's own evaluation under the launcher, in a process of its own. One whose predictions are there already
is not repeated as long as all it was made from is the same: arguments, weights, configuration, pictures, adapter, code.
"""

from __future__ import annotations

import argparse
import csv
import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from integrations.ovseg import datasets, hook
from integrations.ovseg.errors import OVSegError
from integrations.ovseg.finding import find_adapter, find_root
from integrations.ovseg.flags import add_adapter_flags
from integrations.ovseg.install import Installation, install
from opendas_plugin.commands.common import command_line, run_command
from opendas_plugin.errors import ConfigError, DataError, MissingDependencyError
from opendas_plugin.eval.label_maps import Labelling, check_label_maps
from opendas_plugin.eval.learnt import check_learnt
from opendas_plugin.eval.semantic import Protocol
from opendas_plugin.files import atomic_file, read_json, require_writable, write_json, write_text
from opendas_plugin.label_values import LabelValues
from opendas_plugin.names import NameTable
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.stamps import Inputs
from opendas_plugin.wording import counted

PROGRAM = "opendas-ovseg evaluate"
ROWS = {"stock": "OVSeg", "adapted": "OVSeg with the adapter"}
ADE20K = "ade20k_sem_seg_val"
PREDICTIONS = "inference/sem_seg_predictions.json"

logger = logging.getLogger("opendas_plugin.ovseg")


@dataclass(frozen=True)
class Dataset:
    """A dataset that OVSeg knows."""

    name: str
    labels: Path
    """Folder of the label maps."""
    names: tuple[str, ...]
    labelling: Labelling
    """Label maps hold places, and predictions the dataset's ids where it has some."""
    pictures: tuple[Path, ...] = ()
    """What OVSeg predicts for."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(evaluate, argv)


def evaluate(argv: Sequence[str]) -> None:
    """Runs OVSeg twice, scores both, and writes ``summary.json``, ``table.txt`` and ``per_class.csv``.

    Raises:
        OpenDASError: there is no checkout, dataset or adapter, or a run of OVSeg failed.
    """
    options, adapter_flags, rest = _parse(argv)
    from integrations.ovseg.adapter import FILES  # behind --help, which needs no torch
    from integrations.ovseg.inputs import run_inputs

    record = RunRecord(vars(options), command=command_line(PROGRAM, argv))
    output = options.output.resolve()
    try:
        adapter = find_adapter(options.opendas_adapter)
        root = find_root(options.ovseg_root.resolve() / "train_net.py")
        require_writable(output)
        own = None if options.opendas_dataset is None else options.opendas_dataset.resolve()
        os.chdir(root)  # OVSeg's own paths are relative to its checkout
        install(Installation(root=root, dataset=own))
        dataset = read_dataset(options.dataset or ADE20K if own is None else datasets.read(own)["name"])
    except OVSegError as error:
        raise ConfigError(str(error)) from error
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"OVSeg needs {error.name}, which {sys.executable} lacks; install it") from error

    if own is not None:
        check_label_maps(dataset.labels, dataset.labelling)
    given = [*rest, "DATASETS.TEST", f'("{dataset.name}",)']
    given += [] if own is None else ["--opendas-dataset", str(own)]
    flags = ["--clip-backend", "opendas", "--opendas-adapter", str(adapter), *adapter_flags]
    stock_flags = ["--opendas-base", "weights"] if "--opendas-base" in adapter_flags else []  # CLIP_MODEL_NAME is meant
    files = [] if own is None else [own]
    for name, more in (("stock", stock_flags), ("adapted", flags)):
        arguments = [*more, *given, "OUTPUT_DIR", str(output / name)]
        files += [adapter / file for file in FILES] if name == "adapted" else []
        run(output / name, arguments, run_inputs(root, arguments, dataset.pictures, files))

    summaries = score(output, dataset, adapter, options.protocol)
    table = format_comparison(summaries)
    _write_per_class(output)
    write_text(output / "table.txt", table + "\n")
    write_json(output / "summary.json", summaries)
    record.write(output)
    print(table)


def run(output: Path, arguments: Sequence[str], inputs: Inputs) -> None:
    """Runs OVSeg's evaluation under the launcher, unless its predictions are there and were made from ``inputs``.

    Raises:
        ConfigError: it failed.
    """
    done = output / "done.json"
    if done.exists():
        reason = _difference(read_json(done), inputs, output)
        if reason is None:
            logger.info("%s: the predictions are there; delete %s to make them anew", ROWS[output.name], done)
            return
        logger.warning("%s: the predictions are made anew: %s", ROWS[output.name], reason)
    done.unlink(missing_ok=True)
    recorded = inputs.record()
    output.mkdir(parents=True, exist_ok=True)
    paths = [path for path in (os.environ.get("PYTHONPATH"), str(hook.home())) if path]
    command = [sys.executable, "-m", "integrations.ovseg", "train_net.py", "--eval-only", *arguments]
    finished = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)})
    if finished.returncode:
        raise ConfigError(
            f"the run of {ROWS[output.name]} ended with exit code {finished.returncode}; see its output above and "
            f"{output / 'log.txt'}, and run this again: what is finished is kept"
        )
    if not (output / PREDICTIONS).exists():
        raise DataError(f"the run of {ROWS[output.name]} left no {output / PREDICTIONS}; see {output / 'log.txt'}")
    write_json(done, {"inputs": recorded, "outputs": _outputs(output).record()})


def _difference(known: Any, inputs: Inputs, output: Path) -> str | None:
    """Why predictions that are there cannot be used, in words; None: they can."""
    if not isinstance(known, dict) or not known.keys() >= {"inputs", "outputs"}:
        return "an earlier version did not write down what they were made from"
    return inputs.difference(known["inputs"]) or _outputs(output).difference(known["outputs"])


def _outputs(output: Path) -> Inputs:
    return Inputs({PREDICTIONS: output / PREDICTIONS})


def score(output: Path, dataset: Dataset, adapter: Path, protocol: Protocol) -> dict[str, Mapping[str, Any]]:
    """Scores the predictions of both runs and writes the report of each into its folder; returns the summaries."""
    from integrations.ovseg.adapter import read_adapter
    from opendas_plugin.eval.semantic_report import evaluate_semantic

    about = {"dataset": dataset.name, "adapter": str(adapter)}
    learnt = check_learnt(read_adapter(adapter).config["training"], dataset.pictures)
    more = {"stock": {}, "adapted": learnt}
    novel = untrained(dataset.names, adapter)
    return {
        name: evaluate_semantic(
            output / name / PREDICTIONS,
            dataset.labels,
            dataset.names,
            protocol,
            output / name,
            labelling=dataset.labelling,
            novel=novel,
            about={**about, **more[name], "backend": name},
        )
        for name in ROWS
    }


def read_dataset(name: str) -> Dataset:
    """Asks OVSeg for a dataset that is registered.

    Raises:
        ConfigError: OVSeg has no such dataset, or it does not say where its label maps lie.
    """
    import open_vocab_seg  # noqa: F401  (OVSeg registers its datasets)
    from detectron2.data import DatasetCatalog, MetadataCatalog

    known = [other for other in DatasetCatalog.list() if hasattr(MetadataCatalog.get(other), "sem_seg_root")]
    if name not in known:
        raise ConfigError(f"OVSeg has no semantic dataset {name!r}; it has {', '.join(sorted(known))}")
    metadata = MetadataCatalog.get(name)
    names = tuple(text.strip() for text in metadata.stuff_classes)
    pictures = tuple(Path(record["file_name"]).absolute() for record in DatasetCatalog.get(name))
    labelling = _labelling(name, metadata, len(names))
    return Dataset(name, Path(metadata.sem_seg_root).resolve(), names, labelling, pictures)


def _labelling(name: str, metadata: Any, count: int) -> Labelling:
    """What detectron2's evaluator takes numbers for: it writes dataset ids, and reads label maps of places."""
    ignore = metadata.ignore_label
    if ignore < count:
        logger.warning(
            "%s ignores the label value %d, which is one of its %s", name, ignore, counted(count, "class", "classes")
        )
    labels = LabelValues(tuple((place,) if place != ignore else () for place in range(count)), (ignore,))
    contiguous = getattr(metadata, "stuff_dataset_id_to_contiguous_id", None)
    if contiguous is None:
        return Labelling(labels, LabelValues.places(count))
    ids: list[list[int]] = [[] for _ in range(count)]
    for number, place in contiguous.items():
        if not 0 <= place < count:
            raise ConfigError(f"OVSeg's dataset {name} gives the id {number} the place {place} of {count} classes")
        ids[place].append(int(number))
    return Labelling(labels, LabelValues(tuple(map(tuple, ids))))


def untrained(names: Sequence[str], adapter: Path) -> tuple[str, ...]:
    """Those of ``names`` that the adapter was not trained on; none where it was trained on none of them."""
    from integrations.ovseg.adapter import read_adapter

    known = NameTable(read_adapter(adapter).config["base_names"]).find_all(names)
    novel = tuple(name for name in names if known[name] is None)
    return () if len(novel) == len(names) else novel


def format_comparison(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """Lays the scores of both runs out as a text table, with a row of differences (adapted minus stock)."""
    from opendas_plugin.eval.report import align
    from opendas_plugin.eval.semantic_report import COLUMNS

    stock, adapted = summaries["stock"], summaries["adapted"]
    columns = [key for key in COLUMNS if stock[key] is not None and adapted[key] is not None]
    rows = [[ROWS[name], *(f"{summaries[name][key]:.2f}" for key in columns)] for name in ROWS]
    rows.append(["difference", *(f"{adapted[key] - stock[key]:+.2f}" for key in columns)])
    return align([["", *(COLUMNS[key] for key in columns)], *rows])


def _write_per_class(output: Path) -> None:
    """Joins the classes' figures of both runs."""
    stock, adapted = (_read_rows(output / name / "per_class.csv") for name in ROWS)
    lines = [["name", "kind", "pixels"], *([row["name"], row["kind"], row["pixels"]] for row in stock)]
    for key in ("iou", "acc"):
        lines[0] += [f"{key}_stock", f"{key}_adapted", f"{key}_difference"]
        for line, before, after in zip(lines[1:], stock, adapted, strict=True):
            both = before[key] and after[key]
            difference = f"{float(after[key]) - float(before[key]):.4f}" if both else ""
            line += [before[key], after[key], difference]
    with atomic_file(output / "per_class.csv") as path, open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)


def _read_rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str], list[str]]:
    """Returns the settings, the flags for the run with the adapter, and the arguments for both runs."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage="%(prog)s --opendas-adapter A --output OUT [OUR FLAGS] [ARGUMENTS OF train_net.py]",
        description="Evaluates OVSeg with and without an adapter on one dataset, and writes one table with the "
        "difference. All other arguments go to both runs, such as --config-file, --num-gpus N, and OVSeg's opts "
        "(MODEL.WEIGHTS FILE).",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--opendas-adapter", metavar="PATH_OR_HUB_ID", required=True, help="the adapter")
    add("--output", metavar="DIR", type=Path, required=True, help="for the table and both runs")
    add("--dataset", metavar="NAME", help=f"as OVSeg has registered it (default: {ADE20K})")
    add("--opendas-dataset", metavar="FILE", type=Path, help="JSON file of labelled images of yours, in its place")
    add("--protocol", choices=get_args(Protocol), default="ovseg", help="the rule of the mean")
    add("--ovseg-root", metavar="DIR", type=Path, default=Path(), help="the OVSeg checkout")
    add("--debug", action="store_true", help="show the traceback of an error")
    add_adapter_flags(parser)
    options, rest = parser.parse_known_args(argv)
    if options.dataset is not None and options.opendas_dataset is not None:
        parser.error("--dataset has no effect beside --opendas-dataset; leave one of them out")
    owned = [text for text in rest if text.split("=")[0] in ("--clip-backend", "OUTPUT_DIR", "DATASETS.TEST")]
    if owned:
        parser.error(f"{owned[0]} is set by this command; use --output and --dataset")
    flags: list[str] = []
    for name in ("base", "text", "chunk", "cache"):
        if (value := getattr(options, f"opendas_{name}")) is not None:
            flags += [f"--opendas-{name}", str(value)]
    return options, flags, rest
