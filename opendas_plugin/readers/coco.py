"""Reader of COCO's two formats: instances (polygons or run-length codes in JSON) and panoptic (JSON and PNGs)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.readers.coco_instances import Instances
from opendas_plugin.readers.coco_looking import look
from opendas_plugin.readers.coco_panoptic import Panoptic
from opendas_plugin.readers.reader import Context, Dataset, Reader


@dataclass(frozen=True, kw_only=True)
class Coco:
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
    """Validation images, if they lie apart from those of training."""
    val_instances_json: Path | None = None
    """Validation instances JSON, if there is one."""
    val_panoptic_json: Path | None = None
    """Validation panoptic JSON, if there is one."""
    val_panoptic_dir: Path | None = None
    """Folder of the validation panoptic PNGs."""

    def __post_init__(self) -> None:
        _check_files(self.instances_json, self.panoptic_json, self.panoptic_dir, "")
        if has_validation(self):
            _check_files(self.val_instances_json, self.val_panoptic_json, self.val_panoptic_dir, "val_")
        elif self.val_images is not None or self.val_panoptic_dir is not None:
            raise ConfigError("validation data needs `val_instances_json` or `val_panoptic_json`")


def has_validation(options: Coco) -> bool:
    """Whether a JSON of validation data is given."""
    return options.val_instances_json is not None or options.val_panoptic_json is not None


def read(options: Coco, context: Context) -> Dataset:
    """The training part and, if it lies apart, the validation part."""
    train = _labels(options.instances_json, options.panoptic_json, options.panoptic_dir)
    split = train.split(options.images, context.min_area, context.exif)
    if not has_validation(options):
        return Dataset(train.names, split, raw_names=train.raw_names, values=train.values)
    val = _labels(options.val_instances_json, options.val_panoptic_json, options.val_panoptic_dir)
    odd = sorted(set(val.names) ^ set(train.names))
    if odd:
        raise DataError(f"training and validation data name different classes: {odd[0]!r} is only in one of them")
    if dict(zip(val.names, val.values.of, strict=True)) != dict(zip(train.names, train.values.of, strict=True)):
        raise DataError("training and validation data have other category ids for the same names; use one release")
    val_split = val.split(options.val_images or options.images, context.min_area, context.exif)
    return Dataset(train.names, split, val_split, train.raw_names, values=train.values)


READER = Reader(
    "coco",
    Coco,
    read,
    own_validation=has_validation,
    look=look,
    looks_for="COCO's JSON with images, annotations and categories",
)


def _check_files(instances: Path | None, panoptic: Path | None, folder: Path | None, prefix: str) -> None:
    if (instances is None) == (panoptic is None) or (panoptic is None) != (folder is None):
        raise ConfigError(
            f"give `{prefix}instances_json`, or `{prefix}panoptic_json` with `{prefix}panoptic_dir`, and not both "
            "formats"
        )


def _labels(instances: Path | None, panoptic: Path | None, folder: Path | None) -> Instances | Panoptic:
    if panoptic is not None and folder is not None:
        return Panoptic(panoptic, folder)
    if instances is not None:
        return Instances(instances)
    raise ConfigError("give `instances_json` or `panoptic_json`")
