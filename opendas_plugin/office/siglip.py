"""A tiny SigLIP: no class token but a pooling by attention, texts read from both sides with their padding, a bias.

Its sizes are office-tiny's, its words the first ones of CLIP's own tokenizer, framed as SigLIP's are. The patches and
the blocks of the visual tower start from a finished tiny CLIP's, so that minutes of training are enough.
"""

from __future__ import annotations

import copy
import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from opendas_plugin.crops import CLIP_MEAN, CLIP_STD
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import BackboneConfig
from opendas_plugin.model.construct import plain_name
from opendas_plugin.model.tokenizer_files import find_tokenizer, write_siglips_kind
from opendas_plugin.model.towers.parts import OpenCLIP
from opendas_plugin.model.towers.transformers_names import to_open_clip, to_transformers
from opendas_plugin.model.transformers_config import preprocessing
from opendas_plugin.model.transformers_export import save_transformers
from opendas_plugin.model.transformers_format import build

CONTEXT = 24
CONFIG: dict[str, Any] = {
    "model_type": "siglip",
    "architectures": ["SiglipModel"],
    "vision_config": {
        "hidden_size": 192,
        "intermediate_size": 768,
        "num_hidden_layers": 4,
        "num_attention_heads": 3,
        "image_size": 224,
        "patch_size": 32,
    },
    "text_config": {
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "vocab_size": 8192,
        "max_position_embeddings": CONTEXT,
        "projection_size": 192,
    },
}
"""transformers' ``config.json`` of it."""
SIZE = 112
"""Side of the pictures under training, by patches of half the size."""
_SPREAD = 4.0
"""Standard deviation of a patch's state in the tiny CLIP before its first LayerNorm, about, which has weights of 1."""


def start(clip: OpenCLIP, seed: int) -> OpenCLIP:
    """Makes the model that is trained, for pictures of 112 px.

    Args:
        clip: a finished tiny CLIP.
        seed: of what starts anew.
    """
    torch.manual_seed(seed)
    model = _build(SIZE, 16)
    theirs = to_transformers({plain_name(key): value for key, value in clip.state_dict().items()}, "clip")
    own = to_transformers({plain_name(key): value for key, value in model.state_dict().items()}, "siglip")
    patches, places = "vision_model.embeddings.patch_embedding", "vision_model.embeddings.position_embedding.weight"
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (CLIP_MEAN, CLIP_STD))
    kernel = 4 * theirs[f"{patches}.weight"][:, :, ::2, ::2] / std  # of pixels from 0 to 1
    own[f"{patches}.weight"] = kernel / 2 / _SPREAD  # from -1 to 1
    own[f"{patches}.bias"] = (kernel * (0.5 - mean)).sum(dim=(1, 2, 3)) / _SPREAD
    own[places] = theirs[places][1:] / _SPREAD
    own |= {key: value for key, value in theirs.items() if key.startswith("vision_model.encoder.")}
    model.load_state_dict(_named(model, own))
    nn.init.constant_(model.logit_scale, math.log(10))  # as SigLIP starts, and with a bias of -10
    return model.train().requires_grad_(True)


def finished(model: OpenCLIP) -> OpenCLIP:
    """The same model for pictures of 224 px, its values rounded to half precision."""
    made = _build(CONFIG["vision_config"]["image_size"], CONFIG["vision_config"]["patch_size"])
    state = {key: value.detach().half().float() for key, value in model.state_dict().items()}
    kernel = state["visual.trunk.patch_embed.proj.weight"]
    state["visual.trunk.patch_embed.proj.weight"] = kernel.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) / 4
    made.load_state_dict(state)
    return made.eval().requires_grad_(False)


def tokenize(texts: list[str]) -> Tensor:
    """Ids (N, CONTEXT) of texts."""
    with tempfile.TemporaryDirectory() as folder:
        return _clip(_build(32, 32), Path(folder)).tokenize(texts)


def save(model: OpenCLIP, folder: Path) -> None:
    """Writes a finished model as a folder of transformers' ``SiglipModel``."""
    with tempfile.TemporaryDirectory() as words:
        save_transformers(_clip(model, Path(words)), folder)


def _clip(model: OpenCLIP, words: Path) -> OpenDASCLIP:
    write_siglips_kind(words, CONFIG["text_config"]["vocab_size"], CONTEXT)
    model.tokenizer_folder = find_tokenizer(words)
    return OpenDASCLIP(model, BackboneConfig("office-siglip", None, None))


def _build(size: int, patch: int) -> OpenCLIP:
    config = copy.deepcopy(CONFIG)
    config["vision_config"] |= {"image_size": size, "patch_size": patch}
    return build(config, "siglip", preprocessing(None, "siglip", "office-siglip"), "office-siglip")


def _named(model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of transformers' names under those of a model."""
    names = {plain_name(key): key for key in model.state_dict()}
    return {names[key]: value for key, value in to_open_clip(tensors, "siglip").items()}
