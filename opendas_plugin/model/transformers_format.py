"""Folders of transformers' ``CLIPModel`` and ``SiglipModel``, read without transformers.

A folder holds ``config.json``, the weights in one file or in several with an index, and often the image processor's and
the tokenizer's files. The model is open_clip's of the same sizes, activations and pixels, with the same features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from opendas_plugin.errors import BackboneError, DataError, MissingFileError
from opendas_plugin.files import read_json
from opendas_plugin.model.construct import construct
from opendas_plugin.model.naming import BACKBONE_FILES
from opendas_plugin.model.towers.layers import set_activation
from opendas_plugin.model.towers.parts import OpenCLIP, text_module
from opendas_plugin.model.towers.transformers_names import Kind, to_open_clip
from opendas_plugin.model.transformers_config import (
    ANY_TRUNK,
    CLASSES,
    kind_in,
    open_clip_config,
    preprocessing,
    trunk_sizes,
)
from opendas_plugin.model.weight_file import read_weights

CONFIG = BACKBONE_FILES[1]
PROCESSOR, IMAGE_PROCESSOR = "processor_config.json", "preprocessor_config.json"
SAFE = "model.safetensors"
VOCABULARY = 49408
"""Token ids of CLIP's own tokenizer."""
_WEIGHTS = (SAFE, "pytorch_model.bin")


@dataclass(frozen=True)
class TransformersFolder:
    """What a folder says of its model.

    Attributes:
        path: the folder.
        kind: ``clip`` or ``siglip``.
        config: its ``config.json``.
        pixels: pixel facts, as open_clip's ``preprocess_cfg`` has them.
    """

    path: Path
    kind: Kind
    config: Mapping[str, Any]
    pixels: Mapping[str, Any]

    def build(self) -> OpenCLIP:
        """Makes open_clip's model of these sizes, activations and pixels, with random weights.

        Raises:
            BackboneError: a configuration that cannot be followed.
        """
        return build(self.config, self.kind, self.pixels, str(self.path / CONFIG))

    def activate(self, model: OpenCLIP) -> None:
        """Gives a model of open_clip, built by its own name, the activations that the folder says."""
        _activate(model, open_clip_config(self.config, self.kind)[1])

    @property
    def has_clips_vocabulary(self) -> bool:
        """Whether its texts may be of CLIP's own tokenizer, as a ``CLIPModel``'s are."""
        words = open_clip_config(self.config, self.kind)[0]["text_cfg"]["vocab_size"]
        return self.kind == "clip" and words == VOCABULARY

    def tensors(self) -> dict[str, torch.Tensor]:
        """Reads the weights, under the names of open_clip's ``CLIP``.

        Raises:
            MissingFileError: they are not there.
            BackboneError: they cannot be read, or are not those of both towers.
        """
        found = _read_tensors(self.path)
        try:
            return to_open_clip(found, self.kind)
        except KeyError as error:
            raise BackboneError(
                f"{self.path} lacks {error.args[0]} of a {CLASSES[self.kind]}; save the whole model again"
            ) from error
        except (ValueError, RuntimeError) as error:
            raise BackboneError(
                f"{self.path} holds {error}, which a {CLASSES[self.kind]} has no place for; save the model again"
            ) from error


def read_folder(path: str | Path) -> TransformersFolder:
    """Reads what a folder says of its model; its weights are not read.

    Raises:
        BackboneError: a configuration that cannot be read, or of another class of transformers.
    """
    folder = Path(path)
    config = _read_object(folder / CONFIG)
    kind = kind_in(config, str(folder / CONFIG))
    processor = next(
        (found for name in (PROCESSOR, IMAGE_PROCESSOR) if (found := _image_processor(folder / name))), None
    )
    try:
        pixels = preprocessing(processor, kind, str(folder / IMAGE_PROCESSOR))
        open_clip_config(config, kind)
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        if isinstance(error, BackboneError):
            raise
        raise _unusable(str(folder / CONFIG), error) from error
    return TransformersFolder(folder, kind, config, pixels)


def build(config: Mapping[str, Any], kind: Kind, pixels: Mapping[str, Any], name: str) -> OpenCLIP:
    """Makes open_clip's model of a ``config.json``, as :meth:`TransformersFolder.build` does; ``name`` is for messages.

    Raises:
        BackboneError: a configuration that cannot be followed.
    """
    try:
        ours, activations = open_clip_config(config, kind)
        model = construct(ours, pixels, name)
        if ours["vision_cfg"].get("timm_model_name") == ANY_TRUNK:
            model.visual.trunk = _trunk(trunk_sizes(config), (config.get("vision_config") or {}).get("layer_norm_eps"))
        _activate(model, activations)
    except (KeyError, TypeError, ValueError, RuntimeError, AssertionError, AttributeError, ZeroDivisionError) as error:
        if isinstance(error, BackboneError):
            raise
        raise _unusable(name, error) from error
    return model


def _activate(model: OpenCLIP, activations: tuple[str, str]) -> None:
    set_activation(model.visual, activations[0])
    set_activation(text_module(model).transformer, activations[1])


def _trunk(sizes: Mapping[str, Any], eps: float | None) -> torch.nn.Module:
    """Timm's ViT as its SigLIPs are, of any sizes."""
    import timm  # open_clip's own, which brings it

    norm = None if eps is None else lambda width, **options: torch.nn.LayerNorm(width, eps=eps, **options)
    kind = timm.models.vision_transformer.VisionTransformer
    return kind(**sizes, num_classes=0, global_pool="map", class_token=False, norm_layer=norm)


def _read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return read_weights(folder / name).tensors
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = sorted(set(_read_object(index).get("weight_map", {}).values()))
            return {key: value for one in shards for key, value in read_weights(_inside(folder, one)).tensors.items()}
    raise MissingFileError(f"{folder} holds no weights (expected {SAFE}); save the model there again")


def _inside(folder: Path, name: Any) -> Path:
    """A file that an index names, which lies beside it."""
    if not isinstance(name, str) or Path(name).name != name:
        raise BackboneError(f"{folder}: its index names {name!r}, which is no file beside it; save the model again")
    return folder / name


def _image_processor(path: Path) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    values = _read_object(path)
    return values.get("image_processor") if path.name == PROCESSOR else values


def _read_object(path: Path) -> Mapping[str, Any]:
    try:
        values = read_json(path)
    except DataError as error:
        raise BackboneError(f"{error}; save the model again") from error
    if not isinstance(values, Mapping):
        raise BackboneError(f"{path}: expected a JSON object; save the model again")
    return values


def _unusable(path: str, error: Exception) -> BackboneError:
    reason = f"{error.args[0]!r} is not known" if isinstance(error, KeyError) else str(error) or type(error).__name__
    return BackboneError(f"{path} cannot be followed ({reason.splitlines()[0]}); correct it")
