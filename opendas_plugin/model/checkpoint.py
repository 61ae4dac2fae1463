"""Backbones: how CLIP weights are found and read, and the hash that names them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.model import build_model_from_openai_state_dict
from open_clip.transform import PreprocessCfg, merge_preprocess_dict

from opendas_plugin.errors import BackboneError, ConfigError, MissingFileError
from opendas_plugin.files import read_json
from opendas_plugin.model import downloads, folders, naming, stated, tiny_clips
from opendas_plugin.model.config import BackboneConfig
from opendas_plugin.model.construct import (
    Unfilled,
    as_open_clips,
    construct,
    first_line,
    openai_configuration,
    plain_name,
)
from opendas_plugin.model.facts import BackboneFacts
from opendas_plugin.model.naming import RANDOM
from opendas_plugin.model.tiny_clips import OFFICE_TINY, TINY_CLIPS
from opendas_plugin.model.towers.parts import OpenCLIP
from opendas_plugin.model.weight_file import read_weights


def build_backbone(
    name: str,
    pretrained: str | Path | None = None,
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    facts: BackboneFacts | None = None,
) -> tuple[OpenCLIP, BackboneConfig]:
    """Builds a frozen open_clip model in float32 and evaluation mode.

    Args:
        name: open_clip's name of a model, the path of an OpenAI-format file (a JIT archive, a state dict of any sizes,
            or a checkpoint of OVSeg, whose CLIP it is), a folder that transformers (``CLIPModel``, ``SiglipModel``) or
            open_clip has saved, or a tiny CLIP's name (:mod:`.tiny_clips`), as ``office-tiny``.
        pretrained: open_clip's tag (downloaded where it is not cached), a weight file (a checkpoint of OVSeg, too),
            such a folder, or None or ``random``: random weights.
        seed: seed of random weights; torch's own generator is left as it is.
        device: ``meta`` builds the shapes alone.
        facts: of an adapter on this backbone, for a weight file that does not say its own.

    Raises:
        BackboneError: unknown name or tag, weights that do not fit, or a text tower of the hub that is not here.
        MissingFileError: a weight file does not exist, or a tiny CLIP that does not ship has not been made.
    """
    pretrained = None if pretrained is None else str(pretrained)
    brings_weights = name in TINY_CLIPS or naming.brings_weights(name)
    if brings_weights and pretrained is not None:
        raise ConfigError(f"{name} brings its own weights; leave pretrained out (got {pretrained})")
    pretrained = None if pretrained == RANDOM else pretrained
    filling = Unfilled() if brings_weights or pretrained else contextlib.nullcontext()  # what is read fills all of it
    with torch.random.fork_rng(devices=[]), filling:
        if name in TINY_CLIPS:
            model = _tiny_clip(name)
        elif Path(name).is_file():
            model = _openai_model(Path(name))
        elif brings_weights:
            model, state = folders.build(Path(name))
            _load_state(model, as_open_clips(model, state), Path(name), name)
        else:
            model = _named_model(name, pretrained, seed, torch.device(device).type == "meta", facts)
    source = BackboneConfig(name, pretrained, None if brings_weights or pretrained else seed)
    return model.to(device).float().eval().requires_grad_(False), source


def backbone_sha256(model: OpenCLIP) -> str:
    """Returns the SHA-256 over sorted names, shapes and float32 bytes of all tensors of an open_clip model.

    The names are those of ``open_clip.CLIP``: a CustomTextCLIP with the same weights has the same hash. An
    OpenDASCLIP is taken without what was learnt.
    """
    digest = hashlib.sha256()
    model = getattr(model, "model", model)
    tensors = {plain_name(key): value for key, value in model.state_dict().items()}
    for key, tensor in sorted(tensors.items()):
        digest.update(f"{key} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().reshape(-1).view(np.uint8))
    return digest.hexdigest()


def rebuild_token_table(
    ids: torch.Tensor, values: torch.Tensor, vocab_size: int, width: int, seed: int = 0
) -> torch.Tensor:
    """Returns a full token table from the few rows that were stored; the other rows come from ``seed``.

    The rows that are not in ``ids`` are uniform with standard deviation 0.02, made from integers by exact
    arithmetic and rounded to half precision, so every machine rebuilds the same bits. A training that starts from
    this table (with no ``ids`` yet) changes the rows of the tokens it meets alone, so these are all there is to store.

    Args:
        ids: (R,) int, the stored rows' token ids.
        values: (R, width) float, the stored rows.
        vocab_size: rows of the table.
        width: columns of the table.
        seed: seed of the PCG64 bit generator.

    Returns:
        (vocab_size, width) float32.
    """
    table = torch.from_numpy(_start_of_table(vocab_size * width, seed)).reshape(vocab_size, width).float()
    table[ids.long()] = values.float()
    return table


@functools.lru_cache(maxsize=1)  # 13 MB for a tiny CLIP, and most of what building one again takes
def _start_of_table(size: int, seed: int) -> np.ndarray:
    """Values (size,) float16 of :func:`rebuild_token_table`."""
    raw = np.random.PCG64(seed).random_raw(size)
    unit = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0
    return (unit * (0.02 * np.sqrt(3.0))).astype(np.float16)


def _named_model(
    name: str, pretrained: str | None, seed: int, shapes_only: bool, facts: BackboneFacts | None
) -> OpenCLIP:
    key = name.replace("/", "-")
    if key not in open_clip.list_models():
        if Path(name).suffix in naming.WEIGHT_SUFFIXES or Path(name).is_absolute() or name.count("/") > 1:
            if (reason := naming.no_backbone(name)) is not None:
                raise BackboneError(reason)
            raise MissingFileError(f"{name} does not exist; check the path")
        raise BackboneError(
            naming.no_backbone(name)
            or f"unknown backbone {name!r}{naming.similar(name)}; expected open_clip's name of a model such as "
            f"ViT-B-16, the path of an OpenAI-format file, or {OFFICE_TINY}"
        )
    config = open_clip.get_model_config(key)
    if shapes_only:
        with torch.device("meta"):
            return construct(config, name=name)
    if pretrained is None:
        torch.default_generator.manual_seed(seed)
        return construct(config, name=name)
    if naming.is_backbone_folder(pretrained):
        model, state = folders.build_as(Path(pretrained), config, name)
        _load_state(model, as_open_clips(model, state), Path(pretrained), name)
        return model
    tag = open_clip.get_pretrained_cfg(key, pretrained) or {}
    path = downloads.fetch(tag, name, pretrained) if tag else _weight_file(key, pretrained)
    file = read_weights(path)
    if file.is_openais:
        said = stated.Stated({}, True)
    else:
        said = stated.of_tag(tag) if tag else stated.of_file(key, path, facts)
    if said.quick_gelu is not None:
        config["quick_gelu"] = said.quick_gelu
    model = construct(config, said.pixels, name)
    _load_state(model, as_open_clips(model, file.tensors), path, name)
    return model


def _tiny_clip(name: str) -> OpenCLIP:
    """Puts a tiny CLIP together; one from outside the package has to be what its name means."""
    files = tiny_clips.files_of(name)
    folder, path = files[0].parent, files[-1]
    if TINY_CLIPS[name].is_folder:
        model, state = folders.build(folder)
        _load_state(model, as_open_clips(model, state), path, name)
    else:
        model = construct(read_json(folder / "config.json"))
        _load_state(model, whole_state(model, files), path, name)
    wanted = TINY_CLIPS[name].sha256
    if not TINY_CLIPS[name].files and (found := backbone_sha256(model)) != wanted:
        raise BackboneError(
            f"{path} is not {name}: its weights are {found[:12]}, expected {wanted[:12]}; make it again by: "
            f"{tiny_clips.making(name)}"
        )
    return model


def whole_state(model: OpenCLIP, files: Sequence[Path]) -> dict[str, torch.Tensor]:
    """The tensors of a tiny CLIP's files, the later over the earlier, with all rows of the tokens' table.

    Args:
        model: one of its architecture.
        files: which hold the rows of those tokens alone that the tower has met.
    """
    tensors = {key: value for file in files for key, value in read_weights(file).tensors.items()}
    state = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
    vocab_size, width = model.token_embedding.weight.shape
    table = rebuild_token_table(state.pop("token_rows"), state.pop("token_values"), vocab_size, width)
    return state | {"token_embedding.weight": table}


def _openai_model(path: Path) -> OpenCLIP:
    """Reads OpenAI's format as ``clip.load`` does: sizes from the tensors, QuickGELU, matrices rounded to half.

    OVSeg loads the CLIP of its checkpoints as it is, so that is not rounded.
    """
    file = read_weights(path)
    _require_numbers(file.tensors, path)
    try:
        model = build_model_from_openai_state_dict(dict(file.tensors), cast_dtype=None)
        if file.is_ovsegs:
            model.float().load_state_dict(file.tensors)
    except (KeyError, IndexError, RuntimeError, ValueError, AssertionError, ZeroDivisionError) as error:
        raise BackboneError(
            f"{path} does not hold a CLIP in OpenAI's format ({first_line(error)}); for open_clip's weights give the "
            "model's name as backbone and the file as pretrained"
        ) from error
    preprocessing = merge_preprocess_dict(PreprocessCfg(), {"size": model.visual.image_size})
    open_clip.set_model_preprocess_cfg(model, preprocessing)
    model.configuration = openai_configuration(file.tensors)
    return model


def _weight_file(name: str, pretrained: str) -> Path:
    if Path(pretrained).is_file():
        return Path(pretrained)
    raise MissingFileError(
        f"{pretrained} is neither a file nor a tag of {name} (tags: {naming.tags(name)}); check the path"
    )


def _require_numbers(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Looks whether weights are finite floating-point numbers; only vectors of positions and scalars are integers."""
    for key, tensor in state.items():
        dense = tensor.layout == torch.strided and not tensor.is_meta and not tensor.is_quantized
        if not tensor.is_floating_point():
            if tensor.ndim and dense and not key.endswith(("position_ids", "token_rows")):
                raise BackboneError(f"{path}: {key} holds {tensor.dtype}, which no weights are; export them again")
        elif dense and bool((tensor.isnan() | tensor.isposinf()).any()):  # masks of attention hold -inf
            raise BackboneError(f"{path}: {key} holds values that are no numbers; the weights are damaged")


def _load_state(model: OpenCLIP, state: Mapping[str, torch.Tensor], path: Path, name: str) -> None:
    _require_numbers(state, path)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise BackboneError(f"{path} does not fit {name} ({first_line(error)}); check the model's name") from error
