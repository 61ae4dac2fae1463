"""ScanNet++ as published: a scene's files, its annotation, and which scenes are offices.

Layout (common/scene_release.py of github.com/scannetpp/scannetpp): ``<root>/data/<scene>/scans`` with
``mesh_aligned_0.05.ply``, ``segments.json``, ``segments_anno.json``, ``mesh_aligned_0.05_mask.txt``; ``iphone`` with
``rgb/`` and ``colmap/``; ``dslr`` with ``resized_images/`` and ``colmap/``; lists of scenes in ``<root>/splits``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.files import read_json, read_list, require_unique
from opendas_plugin.names import NameTable, normal_form, spell_name

Source = Literal["iphone", "dslr"]
Split = Literal["train", "val"]
PICTURES = {"iphone": "rgb", "dslr": "resized_images"}

NO_CLASS = ("remove", "split", "unknown", "object")
"""Labels that are notes of the annotators."""
_NOTES = NameTable(NO_CLASS)
STRUCTURE = ("wall", "floor", "ceiling")
"""Classes of which there are no instances to find."""
OFFICE_THINGS = (
    "office chair",
    "office desk",
    "monitor",
    "keyboard",
    "mouse",
    "computer tower",
    "laptop",
    "telephone",
    "whiteboard",
    "printer",
    "projector",
    "office cabinet",
    "file cabinet",
    "paper tray",
    "conference table",
)
"""What makes a scene an office, by our reading: the paper does not name its scenes."""


@dataclass(frozen=True)
class ScanNetPPScene:
    """A scene's folder.

    Attributes:
        root: the dataset's.
        name: the scene's id.
    """

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        """All of the scene."""
        return self.root / "data" / self.name

    @property
    def mesh(self) -> Path:
        """The triangle mesh."""
        return self.folder / "scans" / "mesh_aligned_0.05.ply"

    @property
    def segments(self) -> Path:
        """Vertex -> segment."""
        return self.folder / "scans" / "segments.json"

    @property
    def annotation(self) -> Path:
        """Objects, each a label and segments."""
        return self.folder / "scans" / "segments_anno.json"

    def pictures(self, source: Source) -> Path:
        """The folder of a camera's pictures."""
        return self.folder / source / PICTURES[source]

    def poses(self, source: Source) -> Path:
        """The folder of a camera's COLMAP model."""
        return self.folder / source / "colmap"


@dataclass(frozen=True, eq=False)
class Thing:
    """An annotated object.

    Attributes:
        id: its objectId, above 0.
        label: as annotated.
        segments: numbers of its segments.
    """

    id: int
    label: str
    segments: NDArray[np.int64]


def read_things(scene: ScanNetPPScene) -> list[Thing]:
    """The annotated objects of a scene, in the file's order.

    Raises:
        MissingFileError, DataError: the annotation is missing or not of ScanNet++'s format.
    """
    content, path = read_json(scene.annotation), scene.annotation
    groups = content.get("segGroups") if isinstance(content, dict) else None
    if not isinstance(groups, list):
        raise DataError(f"{path}: expected ScanNet++'s segGroups; download it again")
    things = [_thing(group, f"{path}, object {place}") for place, group in enumerate(groups, 1)]
    require_unique((thing.id for thing in things), f"{path}: the objectId")
    return things


def _thing(group: Any, where: str) -> Thing:
    if not isinstance(group, dict):
        raise DataError(f"{where}: expected objectId, label and segments, got {group!r:.60}; download it again")
    number, label = group.get("objectId"), group.get("label")
    if type(number) is not int or not 0 < number < 2**16:
        raise DataError(f"{where}: expected ScanNet++'s objectId, a whole number of 1 to 65535, got {number!r:.60}")
    if not isinstance(label, str):
        raise DataError(f"{where}: expected its label as a text, got {label!r:.60}; name it, or remove the object")
    return Thing(number, normal_form(label.strip()), _numbers(group.get("segments"), f"{where}: its segments"))


def read_segments(scene: ScanNetPPScene) -> NDArray[np.int64]:
    """(V,) the segment of each vertex.

    Raises:
        MissingFileError, DataError: the file is missing or not of ScanNet++'s format.
    """
    content: Any = read_json(scene.segments)
    return _numbers(content.get("segIndices") if isinstance(content, dict) else None, f"{scene.segments}: segIndices")


def _numbers(values: Any, where: str) -> NDArray[np.int64]:
    if not isinstance(values, list) or not all(type(value) is int and 0 <= value < 2**62 for value in values):
        raise DataError(f"{where}: expected a list of whole numbers from 0, got {values!r:.60}; download it again")
    return np.array(values, np.int64)


def objects_of_vertices(things: Sequence[Thing], segments: NDArray[np.int64]) -> NDArray[np.int32]:
    """(V,) the objectId of each vertex, 0: none; of two objects the later one counts (common/utils/anno.py)."""
    known, of_vertex = np.unique(segments, return_inverse=True)  # not a table up to the highest number: it may be any
    of_segment = np.zeros(len(known), np.int32)
    for thing in things:
        of_segment[np.isin(known, thing.segments)] = thing.id
    return of_segment[of_vertex]


def is_class(label: str) -> bool:
    """Whether a label names a thing."""
    return bool(spell_name(label)) and label not in _NOTES


def class_names(labels: Iterable[str]) -> dict[str, str]:
    """Spelling key of each label -> the class name: its most frequent spelling (of equals the first in the alphabet).

    Only spellings are joined (:func:`~opendas_plugin.names.spell_name`): "glass" and "glasses" are two classes.
    """
    spellings: dict[str, Counter[str]] = {}
    for label in labels:
        if is_class(label):
            spellings.setdefault(spell_name(label), Counter())[label] += 1
    return {key: min(counts, key=lambda name: (-counts[name], name)) for key, counts in sorted(spellings.items())}


def read_scene_list(path: Path) -> list[str]:
    """The scene ids of a list, one a line.

    Raises:
        MissingFileError, DataError: there is no such file, no id in it, or one twice.
    """
    return read_list(path, "give a list of scenes, one id a line")


def choose_offices(root: Path, split: Split, count: int) -> list[str]:
    """The scenes of an official split that look most like offices: those with the most kinds of office things.

    At least three kinds are needed; of equals the first in the alphabet are taken. Scenes that are not downloaded are
    passed over.

    Raises:
        MissingFileError, DataError: the split's list is missing; or no scene is an office.
    """
    things = NameTable(OFFICE_THINGS)
    kinds = {}
    for name in read_scene_list(root / "splits" / f"nvs_sem_{split}.txt"):
        scene = ScanNetPPScene(root, name)
        if scene.annotation.is_file():
            kinds[name] = len({things.find(thing.label) for thing in read_things(scene)} - {None})
    offices = sorted((name for name in kinds if kinds[name] >= 3), key=lambda name: (-kinds[name], name))
    if not offices:
        raise DataError(f"none of the {len(kinds)} scenes of {split} at {root} is an office; give a list of scenes")
    return sorted(offices[:count])
