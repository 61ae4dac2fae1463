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
    PNGs of the same stems; ``classes``, the names in the order of the label values 0, 1, ...; and ``ignore``, the label
    value that does not count (255). For :mod:`integrations.ovseg.convert`, ``classes`` may be an object of names and
    label values, one or a list for each, and ``ignore`` a list.

    Raises:
        OVSegError: the file or a folder is missing, or does not hold what it should.
    """
    from detectron2.data import DatasetCatalog, MetadataCatalog

    described = read(path)
    if not is_counted(described):
        raise OVSegError(
            f"{path} gives its classes label values of their own, but OVSeg counts classes from 0: python -m "
            f"integrations.ovseg convert {path} --output FOLDER writes the label maps so, and a file for this flag"
        )
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


def require_used(path: Path, cfg: Any) -> None:
    """Looks whether OVSeg's configuration names the dataset that was registered.

    Raises:
        OVSegError: it does not.
    """
    name, used = read(path)["name"], [*cfg.DATASETS.TEST, *cfg.DATASETS.TRAIN]
    if name not in used:
        raise OVSegError(
            f"--opendas-dataset has no effect: DATASETS.TEST is {', '.join(cfg.DATASETS.TEST) or 'empty'}; add "
            f"DATASETS.TEST '(\"{name}\",)' to the arguments"
        )


def is_counted(described: Mapping[str, Any]) -> bool:
    """Whether the label values are the classes' places, as OVSeg takes them, and one of them is ignored."""
    return isinstance(described["classes"], list) and isinstance(described.get("ignore", IGNORE), int)


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
    named = isinstance(classes, (list, dict)) and classes and all(isinstance(name, str) for name in classes)
    if not named:
        raise OVSegError(f"{path}: expected classes to be a list of names, or an object of names and label values, got "
                         f"{classes!r:.200}")  # fmt: skip
    odd = next((name for name in classes if not name.strip(" ,") or name.strip().endswith(",")), None)
    if odd is not None:
        raise OVSegError(f"{path}: {odd!r} is no name of a class; take the comma away that ends it, or the empty name")
    for field in FIELDS[:3]:
        if not isinstance(described[field], str) or not described[field]:
            raise OVSegError(f"{path}: expected {field} to be a text, got {described[field]!r}")
    ignore = described.get("ignore", IGNORE)
    if any(type(number) is not int for number in (ignore if isinstance(ignore, list) else [ignore])):
        raise OVSegError(f"{path}: expected ignore to be a whole number, or a list of them, got {ignore!r:.200}")
    return described


def _match(images: Path, labels: Path) -> list[dict[str, str]]:
    """Every label PNG with the picture of its stem."""
    pictures, maps = by_stem(images, PICTURES), by_stem(labels, (".png",))
    if not maps:
        raise OVSegError(f"{labels} is not a folder with label PNGs; check the dataset's labels")
    alone = [path for stem, path in maps.items() if stem not in pictures]
    if alone:
        raise OVSegError(f"{images} has no picture for {alone[0]} ({len(alone)} such label maps of {len(maps)})")
    return [{"file_name": str(pictures[stem]), "sem_seg_file_name": str(path)} for stem, path in maps.items()]


def by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """The files of a folder with one of ``suffixes``, by stem.

    Raises:
        OVSegError: two have one stem.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.*")):
        if path.name.startswith(".") or path.suffix.lower() not in suffixes:
            continue
        if found.setdefault(path.stem, path) != path:
            raise OVSegError(f"{found[path.stem]} and {path} differ only in their suffix; keep one of them")
    return found
