"""``python -m integrations.ovseg convert``: label maps whose values have gaps, as OVSeg's evaluation counts them.

    python -m integrations.ovseg convert mine.json --output mine-for-ovseg

OVSeg takes a pixel's value for its class's place in the list of classes. Where ``classes`` of a dataset's file is an
object of names and label values, this writes the label maps anew, with places for values, and a file that names them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from integrations.ovseg import datasets
from integrations.ovseg.errors import OVSegError
from opendas_plugin.commands.common import run_command
from opendas_plugin.data.images import IMAGE_SUFFIXES, LABEL_SUFFIXES
from opendas_plugin.errors import ConfigError, DataError, OutputError
from opendas_plugin.eval.label_maps import Labelling
from opendas_plugin.files import atomic_folder, find_files, read_json, write_json
from opendas_plugin.label_values import NONE, LabelValues

DATASET = "dataset.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(convert, argv)


def convert(argv: Sequence[str]) -> None:
    """Writes ``dataset.json`` and ``labels/`` into the output folder.

    Raises:
        OpenDASError: the dataset's file is wrong, or a label map holds a value that it does not name.
    """
    options = _parse(argv)
    source, output = options.dataset.resolve(), options.output.resolve()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise OutputError(f"{options.output} is not empty; choose a new folder for the output")
    try:
        read_json(source)  # with care: a name that is there twice is an error
        described = datasets.read(source)
    except OVSegError as error:
        raise ConfigError(str(error)) from error
    labels = find_files(source.parent / described["labels"], LABEL_SUFFIXES)
    pictures = find_files(source.parent / described["images"], IMAGE_SUFFIXES)
    deep = next((stem for stem in labels if "/" in stem), None)
    if not labels or deep is not None:
        what = "no label map" if deep is None else f"label maps in sub-folders ({deep}), where OVSeg looks for none"
        raise ConfigError(f"{source.parent / described['labels']} holds {what}; lay PNGs or TIFFs into it")
    bare = [stem for stem in labels if stem not in pictures]
    if bare:
        raise ConfigError(
            f"{labels[bare[0]]} has no picture in {source.parent / described['images']} ({len(bare)} such label maps)"
        )
    names, values = label_values(described)
    kind, ignore = (np.uint8, 255) if len(names) <= 255 else (np.uint16, 65535)
    labelling = Labelling(values, values)
    with atomic_folder(output) as folder:
        (folder / "labels").mkdir()
        for stem, path in labels.items():
            places = _places(labelling, path)
            Image.fromarray(np.where(places == NONE, ignore, places).astype(kind)).save(folder / f"labels/{stem}.png")
        images = os.path.relpath(source.parent / described["images"], output)
        about = {"name": described["name"], "images": images, "labels": "labels", "classes": names, "ignore": ignore}
        write_json(folder / DATASET, about)
    print(f"{options.output / DATASET}: {len(labels)} label maps of {len(names)} classes, {ignore} is ignored")


def _places(labelling: Labelling, path: Path) -> NDArray[np.int64]:
    try:
        return labelling.read_labels(path)
    except DataError as error:
        raise DataError(str(error).partition(";")[0] + "; name it in classes, or in ignore") from error


def label_values(described: Mapping[str, Any]) -> tuple[list[str], LabelValues]:
    """The names of a dataset's file, in the order in which they stand there, and the numbers of each.

    Raises:
        DataError: a number has two meanings, or is none.
    """
    classes, ignore = described["classes"], described.get("ignore", datasets.IGNORE)
    names = list(classes)
    given = classes if isinstance(classes, dict) else {name: place for place, name in enumerate(names)}
    return names, LabelValues.from_json(names, given, ignore if isinstance(ignore, list) else [ignore])


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="opendas-ovseg convert",
        description="Writes label maps whose values have gaps as OVSeg counts them, for --opendas-dataset.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("dataset", metavar="FILE", type=Path, help="JSON file of the images; its classes are an object, name: value")
    add("--output", metavar="DIR", type=Path, required=True, help="a new folder for dataset.json and labels/")
    add("--debug", action="store_true", help="show the traceback of an error")
    return parser.parse_args(argv)
