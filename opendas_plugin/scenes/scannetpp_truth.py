"""3D ground truth of ScanNet++ scenes, in the formats that ScanNet's and ScanNet++'s evaluations read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.files import write_text
from opendas_plugin.names import NameTable, spell_name
from opendas_plugin.scenes.scannetpp import STRUCTURE, ScanNetPPScene, Thing, read_segments, read_things
from opendas_plugin.wording import counted

FIRST_ID = {"scannet": 1, "scannetpp": 0}
_MOST = 3  # labels of a vertex that are looked at
_STRUCTURE = NameTable(STRUCTURE)


def class_list(names: Sequence[str]) -> tuple[str, ...]:
    """The classes of the evaluation, structure first: walls, of which there are no instances, are class 0."""
    return (*STRUCTURE, *(name for name in names if name not in _STRUCTURE))


def label_vertices(
    things: Sequence[Thing], segments: NDArray[np.int64], class_of: Mapping[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The class and the object of each vertex, both (V,): places in the class list and in ``things``, -1: none.

    Where objects overlap, the smallest of a vertex's first three counts (semantic/transforms/mesh.py, single label).

    Args:
        things: the annotated objects.
        segments: (V,) segment of each vertex.
        class_of: spelling key of a label -> class; objects of other labels are left out.
    """
    owner = np.full((len(segments), _MOST), -1, np.int64)
    size = np.full((len(segments), _MOST), np.inf)
    used = np.zeros(len(segments), np.int64)
    for row, thing in enumerate(things):
        if spell_name(thing.label) not in class_of:
            continue
        inside = np.flatnonzero(np.isin(segments, thing.segments) & (used < _MOST))
        owner[inside, used[inside]] = row
        size[inside, used[inside]] = len(inside)
        used[inside] += 1
    smallest = owner[np.arange(len(segments)), size.argmin(axis=1)]
    classes = np.array([class_of.get(spell_name(thing.label), -1) for thing in things] + [-1])
    return classes[smallest], smallest


def write_truth(folder: Path, scenes: Sequence[ScanNetPPScene], names: Sequence[str]) -> None:
    """Writes ``scannet/`` and ``scannetpp/`` with a ``<scene>.txt`` each, and the class lists.

    A line a vertex: class id * 1000 + object, 0 where no instance is. The objects of a scene are numbered from 1, so
    that none is lost; the toolbox numbers from 0 and drops the first. ``classes_scannet.txt`` has lines ``id name``
    with ids from 1, ``classes_scannetpp.txt`` a name a line, numbered from 0, and ``instance_classes.txt`` what is
    scored.

    Raises:
        MissingFileError, DataError: a scene's annotation is missing or not as it should be.
    """
    classes = class_list(names)
    place = {name: row for row, name in enumerate(classes)}
    class_of = {spell_name(name): place[_STRUCTURE.find(name) or name] for name in (*STRUCTURE, *names)}
    write_text(folder / "classes_scannetpp.txt", "".join(f"{name}\n" for name in classes))
    write_text(folder / "classes_scannet.txt", "".join(f"{row} {name}\n" for row, name in enumerate(classes, 1)))
    write_text(folder / "instance_classes.txt", "".join(f"{name}\n" for name in classes[len(STRUCTURE) :]))
    for scene in scenes:
        things = read_things(scene)
        if len(things) > 999:
            raise DataError(
                f"{scene.annotation} has {counted(len(things), 'object')}, but the format numbers 999 at most"
            )
        labels, objects = label_vertices(things, read_segments(scene), class_of)
        for format_, first in FIRST_ID.items():
            truth = np.where(labels >= len(STRUCTURE), (labels + first) * 1000 + objects + 1, 0)
            write_text(folder / format_ / f"{scene.name}.txt", "\n".join(map(str, truth.tolist())) + "\n")
