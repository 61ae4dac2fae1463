"""``prepare_data.py`` for labelled images in files: ``folders``, ``coco``, ``ade20k`` and ``kitti360``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opendas_plugin.commands.common import Options, RunRecord, UsageError, plain
from opendas_plugin.data.domain import build_domain, describe, domain_folder, write_domain
from opendas_plugin.data.reading import Reading
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import read_json, write_json
from opendas_plugin.readers.ade20k import read_ade20k
from opendas_plugin.readers.coco import read_instances, read_panoptic
from opendas_plugin.readers.folders import Grouping, Regions, read_folders
from opendas_plugin.readers.kitti360 import read_kitti360
from opendas_plugin.vocabulary import DEFAULT_TEMPLATE, check_names

VAL_FRACTION = 0.2
DEFAULT_WORKERS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, kw_only=True)
class Prepare(Options):
    """The flags of every dataset that is read from files."""

    output: Path
    """Folder for train.jsonl, val.jsonl, vocabulary.json, domain.json and run.json."""
    novel: Path | None = None
    """File with one novel name a line; their segments leave training."""
    novel_fraction: float | None = None
    """Part of all names to draw as novel, out of those with a validation segment."""
    val_fraction: float | None = None
    """Part of the images to validate on, by whole groups; default 0.2. Not with validation data of its own."""
    seed: int = 0
    """Seed of both draws."""
    min_area: int = 100
    """Smaller segments are dropped, in pixels."""
    template: str = DEFAULT_TEMPLATE
    """Text with one {} for the name."""
    workers: int = DEFAULT_WORKERS
    """Threads that decode and encode."""
    resume: bool = False
    """Go on where an interrupted run with the same flags stopped, and keep what was read if this one stops too."""


@dataclass(frozen=True, kw_only=True)
class Folders(Prepare):
    """A folder of images and a folder of label PNGs with the same file stems; a pixel's value is its class's place."""

    images: Path
    """Folder of images; sub-folders count."""
    labels: Path
    """Folder of label PNGs: one channel, 8 or 16 bits."""
    classes: str
    """All names in the order of the label values: a,b,c or a file with one name a line."""
    ignore: tuple[int, ...] = ()
    """Label values that are no class."""
    regions: Regions = "class"
    """One segment for all pixels of a class in an image, or one for each connected component."""
    group_by: Grouping | None = None
    """What a split keeps together: each image, the images of a sub-folder, or blocks of neighbouring frames of a video
    (files that differ in their last number). Default: sub-folders if there are several, else images."""
    val_images: Path | None = None
    """Validation images, if they lie apart."""
    val_labels: Path | None = None
    """Validation label PNGs, if they lie apart."""


@dataclass(frozen=True, kw_only=True)
class Coco(Prepare):
    """COCO's formats: an instances JSON, or a panoptic JSON with its folder of PNGs."""

    images: Path
    """Folder of images."""
    instances_json: Path | None = None
    """Instances JSON: polygons or run-length codes."""
    panoptic_json: Path | None = None
    """Panoptic JSON."""
    panoptic_dir: Path | None = None
    """Folder of the panoptic PNGs."""
    val_images: Path | None = None
    """Validation images, if they lie apart from --images."""
    val_instances_json: Path | None = None
    """Validation instances JSON, if there is one."""
    val_panoptic_json: Path | None = None
    """Validation panoptic JSON, if there is one."""
    val_panoptic_dir: Path | None = None
    """Folder of the validation panoptic PNGs."""


@dataclass(frozen=True, kw_only=True)
class Ade20k(Prepare):
    """ADE20K's scene-parsing benchmark, ADEChallengeData2016: 150 classes, its training and validation images."""

    root: Path
    """ADEChallengeData2016, or a folder of images and annotations without splits."""
    regions: Regions = "class"
    """One segment for all pixels of a class in an image, or one for each connected component."""


@dataclass(frozen=True, kw_only=True)
class Kitti360(Prepare):
    """KITTI-360: the frames of its official training and validation lists, a segment for each instance or class."""

    root: Path
    """Folder that holds data_2d_raw and data_2d_semantics."""
    classes: Literal[37, 19] = 37
    """All annotated classes, or those that its benchmark evaluates."""
    every: int = 1
    """Reads every n-th frame of the lists; neighbouring frames of a drive look alike."""
    min_confidence: float = 0.5
    """Segments of a lower mean confidence are dropped."""


Files = Folders | Coco | Ade20k | Kitti360


def prepare_files(options: Files, record: RunRecord) -> str:
    """Reads a dataset from files and writes the domain, all of it or nothing."""
    check_flags(options)
    novel = None if options.novel is None else read_names(options.novel)
    with domain_folder(options.output) as folder, partial_folder(options) as journal:
        train, val = read_files(options, journal)
        domain = build_domain(
            options.output.name,
            train,
            val,
            val_fraction=VAL_FRACTION if options.val_fraction is None else options.val_fraction,
            novel=novel,
            novel_fraction=options.novel_fraction,
            seed=options.seed,
            template=options.template,
        )
        write_domain(folder, domain)
        record.write(folder)
    return describe(domain)


@contextmanager
def partial_folder(options: Files) -> Iterator[Path]:
    """Yields the folder that keeps what was read so far: a kill leaves it, and with --resume an error does too."""
    folder = options.output.with_name(f".{options.output.name}.partial")
    what = {key: value for key, value in plain(options).items() if key not in ("resume", "workers", "debug")}
    same = folder.is_dir() and read_json(folder / "flags.json") == what
    if options.resume and folder.is_dir() and not same:
        raise UsageError(f"{folder} is of a run with other flags; give the same ones, or leave --resume out")
    if not options.resume:
        shutil.rmtree(folder, ignore_errors=True)
    done = False
    try:
        write_json(folder / "flags.json", what)
        yield folder
        done = True
    finally:
        if done or not options.resume:
            shutil.rmtree(folder, ignore_errors=True)


def read_files(options: Files, journal: Path) -> tuple[Reading, Reading | None]:
    """The training part and, if it lies apart, the validation part."""
    if isinstance(options, Folders):
        return read_folder_labels(options, journal)
    if isinstance(options, Coco):
        return read_coco(options, journal)
    limits: dict[str, Any] = {"min_area": options.min_area, "workers": options.workers, "journal": journal}
    if isinstance(options, Ade20k):
        return read_ade20k(options.root, regions=options.regions, **limits)
    return read_kitti360(
        options.root,
        classes=options.classes,
        every=options.every,
        min_confidence=options.min_confidence,
        **limits,
    )


def check_flags(options: Files) -> None:
    """Raises UsageError for flags that contradict each other or lie out of range."""
    check_ranges(options)
    if isinstance(options, Folders):
        if (options.val_images is None) != (options.val_labels is None):
            raise UsageError("--val-images and --val-labels go together; give both or neither")
        apart = options.val_images is not None
    elif isinstance(options, Ade20k | Kitti360):
        apart = not isinstance(options, Ade20k) or (options.root / "images" / "training").is_dir()
        if isinstance(options, Kitti360) and (options.every < 1 or not 0 <= options.min_confidence <= 1):
            raise UsageError("--every must be 1 or more, and --min-confidence between 0 and 1")
    else:
        check_coco_files(options.instances_json, options.panoptic_json, options.panoptic_dir, prefix="--")
        apart = options.val_instances_json is not None or options.val_panoptic_json is not None
        if apart:
            val_files = (options.val_instances_json, options.val_panoptic_json, options.val_panoptic_dir)
            check_coco_files(*val_files, prefix="--val-")
        elif options.val_images is not None or options.val_panoptic_dir is not None:
            raise UsageError("validation data needs --val-instances-json or --val-panoptic-json")
    if apart and options.val_fraction is not None:
        raise UsageError("--val-fraction splits the images, but validation data of its own is given; leave one out")


def check_ranges(options: Any) -> None:
    """Raises UsageError for values of the common flags out of range, and for two ways of choosing novel names."""
    if options.novel is not None and options.novel_fraction is not None:
        raise UsageError("give --novel or --novel-fraction, not both")
    for flag in ("novel_fraction", "val_fraction"):
        value = getattr(options, flag)
        if value is not None and not 0 < value < 1:
            raise UsageError(f"--{flag.replace('_', '-')} must lie between 0 and 1, got {value}")
    for flag in ("min_area", "workers"):
        value = getattr(options, flag)
        if value is not None and value < 1:
            raise UsageError(f"--{flag.replace('_', '-')} must be 1 or more, got {value}")


def check_coco_files(instances: Path | None, panoptic: Path | None, folder: Path | None, prefix: str) -> None:
    """Raises UsageError unless there is an instances JSON alone, or a panoptic JSON and its folder."""
    if (instances is None) == (panoptic is None) or (panoptic is None) != (folder is None):
        raise UsageError(
            f"give {prefix}instances-json, or {prefix}panoptic-json with {prefix}panoptic-dir, and not both formats"
        )


def read_folder_labels(options: Folders, journal: Path) -> tuple[Reading, Reading | None]:
    """The training part and, if it lies apart, the validation part."""
    names = read_names(options.classes)

    def read(part: str, images: Path, labels: Path) -> Reading:
        return read_folders(
            images,
            labels,
            names,
            ignore=options.ignore,
            regions=options.regions,
            min_area=options.min_area,
            group_by=options.group_by,
            workers=options.workers,
            journal=journal / f"{part}.jsonl",
        )

    train = read("train", options.images, options.labels)
    if options.val_images is None or options.val_labels is None:
        return train, None
    return train, read("val", options.val_images, options.val_labels)


def read_coco(options: Coco, journal: Path) -> tuple[Reading, Reading | None]:
    """The training part and, if it lies apart, the validation part."""

    def read(
        part: str, images: Path, instances: Path | None, panoptic: Path | None, folder: Path | None
    ) -> Reading | None:
        limits: dict[str, Any] = {"min_area": options.min_area, "workers": options.workers}
        limits["journal"] = journal / f"{part}.jsonl"
        if instances is not None:
            return read_instances(instances, images, **limits)
        if panoptic is not None and folder is not None:
            return read_panoptic(panoptic, folder, images, **limits)
        return None

    train = read("train", options.images, options.instances_json, options.panoptic_json, options.panoptic_dir)
    if train is None:
        raise UsageError("give --instances-json or --panoptic-json")
    val_images = options.val_images or options.images
    val_files = (options.val_instances_json, options.val_panoptic_json, options.val_panoptic_dir)
    return train, read("val", val_images, *val_files)


def read_names(source: str | Path) -> list[str]:
    """Names separated by commas, or the lines of a file.

    Raises:
        MissingFileError, DataError: there is no such file, or a name is empty or repeated.
    """
    if isinstance(source, str) and "," in source and not Path(source).is_file():
        names, where = [name.strip() for name in source.split(",")], "--classes"
    else:
        try:
            names, where = Path(source).read_text(encoding="utf-8").rstrip().splitlines(), str(source)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise MissingFileError(
                f"{source} is not a file of names; check the path, or give names as a,b,c"
            ) from error
        except UnicodeDecodeError as error:
            raise DataError(f"{source}: expected UTF-8 text, found other bytes at {error.start}") from error
        names = [name.strip() for name in names]
    if not names:
        raise DataError(f"{where} holds no name; write one a line")
    check_names(names, where)
    return names
