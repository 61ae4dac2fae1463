"""Open_clip's models (3.x) made of a configuration, and tensors under their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import open_clip
import torch
from huggingface_hub import constants, try_to_load_from_cache
from open_clip.convert import convert_state_dict
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH
from open_clip.transform import PreprocessCfg, merge_preprocess_dict
from torch import nn
from torch.overrides import TorchFunctionMode

from opendas_plugin.errors import BackboneError
from opendas_plugin.model import downloads
from opendas_plugin.model.towers.parts import OpenCLIP

_RANDOM = {
    *(nn.init.normal_, nn.init.uniform_, nn.init.trunc_normal_),
    *(nn.init.kaiming_normal_, nn.init.kaiming_uniform_, nn.init.xavier_normal_, nn.init.xavier_uniform_),
    *(torch.Tensor.normal_, torch.Tensor.uniform_),
}


class Unfilled(TorchFunctionMode):
    """Within it tensors are left as memory has them where a model draws them at random: for weights that are read next.

    Drawing takes longer than reading (docs/performance.md).
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in _RANDOM:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def construct(
    config: dict[str, Any], preprocessing: Mapping[str, Any] | None = None, name: str = "this model"
) -> OpenCLIP:
    """Makes an open_clip model of a configuration, with random weights.

    Raises:
        BackboneError: its text tower is one of the Hugging Face hub, whose configuration cannot be had.
    """
    said, config = deepcopy(config), deepcopy(config)
    text = config["text_cfg"]
    of_hub = text.get("hf_model_name")
    custom_text = config.pop("custom_text", False) or of_hub
    kind = open_clip.CoCa if "multimodal_cfg" in config else open_clip.CustomTextCLIP if custom_text else open_clip.CLIP
    if of_hub:
        text["hf_model_pretrained"] = False  # weights are ours to read
        if (reason := missing_text(config)) and (silent := downloads.unreachable(constants.ENDPOINT)):
            raise BackboneError(f"{name} cannot be built: {reason} ({silent})")
    try:
        model = kind(**config)
    except (OSError, RuntimeError) as error:
        if not of_hub:
            raise
        raise BackboneError(
            f"{name} cannot be built: its text tower {of_hub} of the Hugging Face hub could not be made "
            f"({first_line(error)}); install transformers and fetch its config.json"
        ) from error
    if hasattr(model, "text_decoder"):  # a CoCa's, in which open_clip leaves memory as it finds it
        nn.init.zeros_(model.text_decoder.text_projection)
    if of_hub:  # a tokenizer of open_clip's makes so many ids, whatever the tower could hold
        model.context_length = text.get("context_length", DEFAULT_CONTEXT_LENGTH)
    open_clip.set_model_preprocess_cfg(model, merge_preprocess_dict(PreprocessCfg(), preprocessing or {}))
    model.visual.preprocess_cfg["size"] = model.visual.image_size
    model.configuration = said  # for whoever writes it down
    return model


def missing_text(config: Mapping[str, Any]) -> str | None:
    """Why a configuration cannot be built without the network, in words that follow a colon; None: it can be."""
    of_hub = config["text_cfg"].get("hf_model_name")
    if not of_hub or Path(of_hub).is_dir() or isinstance(try_to_load_from_cache(of_hub, "config.json"), str):
        return None
    return (
        f"its text tower is {of_hub} of the Hugging Face hub, whose configuration is not on this machine; fetch it "
        f"where there is a network, by hf download {of_hub} config.json"
    )


def openai_configuration(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """open_clip's configuration of a CLIP in OpenAI's format, whose sizes are those of its tensors."""

    def depth(pattern: str) -> int:
        return len({match[1] for key in tensors if (match := re.match(pattern, key))})

    width, positions = tensors["ln_final.weight"].shape[0], tensors["positional_embedding"].shape[0]
    text = {
        "context_length": positions,
        "vocab_size": tensors["token_embedding.weight"].shape[0],
        "width": width,
        "heads": width // 64,
        "layers": depth(r"transformer\.\w+\.(\d+)\."),
    }
    embed_dim = tensors["text_projection"].shape[1]
    if "visual.proj" in tensors:
        places, patches = tensors["visual.positional_embedding"], tensors["visual.conv1.weight"]
        visual: dict[str, Any] = {
            "width": patches.shape[0],
            "patch_size": patches.shape[-1],
            "image_size": patches.shape[-1] * round((places.shape[0] - 1) ** 0.5),
            "layers": depth(r"visual\.transformer\.\w+\.(\d+)\."),
        }
    else:
        places = tensors["visual.attnpool.positional_embedding"]
        visual = {
            "width": tensors["visual.layer1.0.conv1.weight"].shape[0],
            "image_size": 32 * round((places.shape[0] - 1) ** 0.5),
            "layers": [depth(rf"visual\.layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4)],
        }
    return {"embed_dim": embed_dim, "quick_gelu": True, "vision_cfg": visual, "text_cfg": text}


def as_open_clips(model: OpenCLIP, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors under the names of ``model``: with ``text.`` before a text tower's or without, and Apple's own."""
    names = {plain_name(key): key for key in model.state_dict()}
    state = {names.get(plain_name(k), k): value for k, value in convert_state_dict(model, dict(tensors)).items()}
    state.pop("text.transformer.embeddings.position_ids", None)  # of old transformers; they are 0, 1, 2, ...
    if getattr(model, "logit_bias", None) is not None and "logit_scale" in state:
        state.setdefault("logit_bias", torch.zeros_like(state["logit_scale"]))  # as open_clip's own loading does
    return state


def plain_name(key: str) -> str:
    """A tensor's name as open_clip's ``CLIP`` has it, where the others have ``text.`` before it."""
    return key.removeprefix("text.")


def first_line(error: Exception) -> str:
    """The first informative line of an error; torch puts a heading before the mismatches."""
    lines = [line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.endswith(":")), type(error).__name__)
