"""The pictures of scenes whose pixels are labelled, as the office domain's are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from opendas_plugin.data.images import read_image, read_labels
from opendas_plugin.data.proposals import LabelledPicture


def scene_pictures(folder: Path, scenes: Sequence[str]) -> Iterator[LabelledPicture]:
    """Reads all pictures of some scenes: ``<scene>/color/<i>.jpg`` with ``depth/``, ``instance/`` and ``class/`` PNGs.

    Depth is in millimetres, instances count from 1, and classes are rows of the vocabulary or 255.

    Args:
        folder: holds the scenes; names of pictures are paths in it.
        scenes: names of folders in it.

    Raises:
        MissingFileError, DataError: a picture's files are not all there.
    """
    for scene in scenes:
        for path in sorted((folder / scene / "color").glob("*.jpg"), key=lambda path: int(path.stem)):
            depth, instances, classes = (
                read_labels(folder / scene / kind / f"{path.stem}.png") for kind in ("depth", "instance", "class")
            )
            name = f"{scene}/color/{path.name}"
            yield LabelledPicture(name, read_image(path), depth / 1000, instances, classes.astype(np.uint8))
