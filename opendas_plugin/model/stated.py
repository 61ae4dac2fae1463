"""What weights say of themselves beside their tensors: by their tag, or by what lies around their file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
from open_clip.transform import PreprocessCfg

from opendas_plugin.errors import BackboneError, DataError
from opendas_plugin.files import read_json
from opendas_plugin.model.facts import BackboneFacts
from opendas_plugin.model.naming import BACKBONE_FILES

logger = logging.getLogger(__name__)

SIDECAR = BACKBONE_FILES[0]
"""What open_clip and its pages on the hub put beside weights."""
_PIXELS = ("mean", "std", "interpolation", "resize_mode")


@dataclass(frozen=True)
class Stated:
    """Pixel facts as open_clip's ``preprocess_cfg`` has them, and whether both towers have OpenAI's activation."""

    pixels: Mapping[str, Any]
    quick_gelu: bool | None = None
    """None: as the model's configuration says."""


def of_tag(tag: Mapping[str, Any]) -> Stated:
    """What open_clip's table says of a tag's weights."""
    return Stated({name: tag[name] for name in _PIXELS if name in tag}, True if tag.get("quick_gelu") else None)


def of_file(name: str, path: Path, known: BackboneFacts | None = None) -> Stated:
    """What is known of a file of weights of open_clip's model ``name``.

    In this order: a tag of the model whose download it is, by its name; the file :data:`SIDECAR` beside it; an
    adapter's facts; and else OpenAI's, of which the log warns where weights of this model differ in them.

    Raises:
        BackboneError: the file beside it cannot be read.
    """
    if (path.parent / SIDECAR).is_file():
        return _beside(path.parent / SIDECAR)
    tags = {tag: open_clip.get_pretrained_cfg(name, tag) for tag in open_clip.list_pretrained_tags_by_model(name)}
    places = {*path.parts, *path.resolve().parts}
    for tag, entry in tags.items():
        folder = "models--" + entry.get("hf_hub", "").strip("/").replace("/", "--")
        download = (
            tag != "openai" and Path(entry.get("url", "")).name
        )  # OpenAI's are named as anybody's, and known inside
        if folder in places or path.name == download:
            logger.info("%s is read as the weights %s of %s, by its name", path, tag, name)
            return of_tag(entry)
    if known is not None:
        return Stated(known.preprocessing, known.quick_gelu or None)
    kinds = {_summary(of_tag(entry)) for entry in tags.values()}
    if kinds - {_summary(Stated({}))}:
        logger.warning(
            "%s does not say what pixels it takes and which activation it has, in which weights of %s differ: those of "
            "%s without a tag are taken; put its %s beside it, or give a tag (%s)",
            path, name, name, SIDECAR, ", ".join(tags),
        )  # fmt: skip
    return Stated({})


def _beside(path: Path) -> Stated:
    try:
        content = read_json(path)
        pixels, model = content["preprocess_cfg"], content.get("model_cfg", {})
        stated = Stated({key: pixels[key] for key in _PIXELS if key in pixels}, model.get("quick_gelu", False))
        PreprocessCfg(**stated.pixels)
    except (DataError, KeyError, TypeError, AttributeError) as error:
        raise BackboneError(f"{path} does not describe weights of open_clip ({error}); correct or remove it") from error
    return stated


def _summary(stated: Stated) -> tuple[Any, ...]:
    default = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    default |= {"interpolation": "bicubic", "resize_mode": "shortest"}
    values = {**default, **stated.pixels}
    plain = (tuple(value) if isinstance(value, list) else value for value in values.values())
    return (*plain, bool(stated.quick_gelu))
