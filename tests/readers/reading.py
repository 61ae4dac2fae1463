"""How the tests read a dataset: with a reader's own function, one image after the other."""

from __future__ import annotations

from pathlib import Path

from opendas_plugin.data.reading import Reading
from opendas_plugin.readers import Context, Reader


def read_parts(reader: Reader, min_area: int = 100, folder: Path = Path("unused"), **options):
    """The training part and the validation part, None where there is none, of a dataset."""
    dataset = reader.read(reader.options(**options), Context(folder, folder, min_area))
    parts = []
    for split in (dataset.train, dataset.val):
        images = None if split is None else [split.read(item) for item in split.items]
        parts.append(split and Reading(dataset.names, images, dict(dataset.raw_names), split.unlabelled))
    return parts
