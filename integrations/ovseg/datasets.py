"""Your own labelled images as a dataset of OVSeg, without a change to its checkout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from integrations.ovseg.errors import OVSegError

FIELDS = ("name", "images", "labels", "classes")
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
IGNORE = 255
"""The label value that does not count, where the file names no other."""


def register(path: Path) -> None:
    """Registers the dataset that a JSON file describes, in this process.

    The file holds ``name``; ``images`` and ``labels``, folders that are relative to the file, with pictures and label
    PNGs of the same stems; ``classes``, the names in the order of the label values; and ``ignore``, the label value
    that does not count (255).

    Raises:
        OVSegError: the file or a folder is missing, or does not hold what it should.
    """
    from detectron2.data import DatasetCatalog, MetadataCatalog

    described = read(path)
    name, images, labels = described["name"], path.parent / described["images"], path.parent / described["labels"]
    records = _match(images, labels)
    if name in DatasetCatalog.list():
        raise OVSegError(f"{path}: OVSeg already has a dataset {name}; choose another name")
    DatasetCatalog.register(name, lambda: [dict(record) for record in records])
    MetadataCatalog.get(name).set(
        stuff_classes=list(described["classes"]),
        image_root=str(images),
        sem_seg_root=str(labels),
        evaluator_type="sem_seg",
        ignore_label=described.get("ignore", IGNORE),
    )


def read(path: Path) -> Mapping[str, Any]:
    """Returns what the JSON file of a dataset holds.

    Raises:
        OVSegError: it is missing, or does not hold what it should.
    """
    try:
        described = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise OVSegError(f"{path} could not be read ({error}); expected JSON that describes a dataset") from error
    if not isinstance(described, dict) or set(FIELDS) - set(described) or set(described) - {*FIELDS, "ignore"}:
        raise OVSegError(f"{path}: expected the fields {', '.join(FIELDS)} and, if it is not 255, ignore")
    classes = described["classes"]
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise OVSegError(f"{path}: expected classes to be a list of names, got {classes!r}")
    for field in FIELDS[:3]:
        if not isinstance(described[field], str) or not described[field]:
            raise OVSegError(f"{path}: expected {field} to be a text, got {described[field]!r}")
    if type(described.get("ignore", IGNORE)) is not int:
        raise OVSegError(f"{path}: expected ignore to be a whole number, got {described['ignore']!r}")
    return described


def _match(images: Path, labels: Path) -> list[dict[str, str]]:
    """Every label PNG with the picture of its stem."""
    pictures, maps = _by_stem(images, PICTURES), _by_stem(labels, (".png",))
    if not maps:
        raise OVSegError(f"{labels} is not a folder with label PNGs; check the dataset's labels")
    alone = [path for stem, path in maps.items() if stem not in pictures]
    if alone:
        raise OVSegError(f"{images} has no picture for {alone[0]} ({len(alone)} such label maps of {len(maps)})")
    return [{"file_name": str(pictures[stem]), "sem_seg_file_name": str(path)} for stem, path in maps.items()]


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.*")):
        if path.name.startswith(".") or path.suffix.lower() not in suffixes:
            continue
        if found.setdefault(path.stem, path) != path:
            raise OVSegError(f"{found[path.stem]} and {path} differ only in their suffix; keep one of them")
    return found
