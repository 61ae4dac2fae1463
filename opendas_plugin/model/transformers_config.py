"""``config.json`` and the image processor of transformers' ``CLIPModel`` and ``SiglipModel``, as open_clip says them.

Files leave out what is a default of their class, so the defaults stand here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

from opendas_plugin.errors import BackboneError
from opendas_plugin.model.bounds import MAX_LAYERS, check_whole
from opendas_plugin.model.facts import BackboneFacts
from opendas_plugin.model.towers.transformers_names import Kind

CLASSES: Mapping[Kind, str] = {"clip": "CLIPModel", "siglip": "SiglipModel"}
ACTIVATIONS = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
"""transformers' names of activations, and ours (:func:`~.towers.layers.activations`)."""
_LAYERS = {"num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768, "intermediate_size": 3072}
_DEFAULTS: Mapping[Kind, tuple[Mapping[str, Any], Mapping[str, Any]]] = {  # of the visual and the text tower
    "clip": (
        {**_LAYERS, "image_size": 224, "patch_size": 32, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5},
        {
            "num_hidden_layers": 12,
            "num_attention_heads": 8,
            "hidden_size": 512,
            "intermediate_size": 2048,
            "vocab_size": 49408,
            "max_position_embeddings": 77,
            "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-5,
            "eos_token_id": 49407,
        },
    ),
    "siglip": (
        {**_LAYERS, "image_size": 224, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6},
        {
            **_LAYERS,
            "vocab_size": 32000,
            "max_position_embeddings": 64,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
        },
    ),
}
_OLD_END = 2
"""The ``eos_token_id`` of configurations that mean the largest id."""
_TIMM = {(768, 12, 12, 3072): "base", (1024, 24, 16, 4096): "large", (1152, 27, 16, 4304): "so400m"}
_TIMM |= {(1536, 40, 16, 6144): "giantopt"}
ANY_TRUNK = "vit_tiny_patch16_224"
"""What a configuration names where timm has no SigLIP of these sizes."""
_RESAMPLE = {2: "bilinear", 3: "bicubic"}


def kind_in(config: Mapping[str, Any], path: str) -> Kind:
    """Which class a ``config.json`` is of; ``path`` is the file's.

    Raises:
        BackboneError: another one than ``CLIPModel`` and ``SiglipModel``.
    """
    name, classes = config.get("model_type"), config.get("architectures") or []
    if name == "siglip2":
        raise BackboneError(
            f"{path} is a Siglip2Model (NaFlex), which takes patches of any aspect ratio; give a SigLIP 2 of fixed "
            "size, which is a SiglipModel"
        )
    for kind, known in CLASSES.items():
        if name == kind and set(classes) <= {known}:
            return kind
    found = ", ".join(map(str, classes)) or f"model_type {name!r}"
    raise BackboneError(
        f"{path} is of {found}, expected a CLIPModel or a SiglipModel, with both towers; give the folder of one"
    )


def open_clip_config(config: Mapping[str, Any], kind: Kind) -> tuple[dict[str, Any], tuple[str, str]]:
    """Returns open_clip's configuration of a ``config.json``, and the activations of the visual and the text tower.

    Raises:
        KeyError, TypeError, ValueError: fields that cannot be used.
    """
    visual, text = (
        {**default, **(config.get(name) or {})}
        for default, name in zip(_DEFAULTS[kind], ("vision_config", "text_config"), strict=True)
    )
    for sizes in (visual, text):  # of a million layers a model would be made before its weights tell that it has none
        check_whole("num_hidden_layers", sizes["num_hidden_layers"], 1, MAX_LAYERS)
    found = {
        "vision_cfg": _visual(visual, kind),
        "text_cfg": {
            "context_length": text["max_position_embeddings"],
            "vocab_size": text["vocab_size"],
            "width": text["hidden_size"],
            "heads": text["num_attention_heads"],
            "layers": text["num_hidden_layers"],
            "mlp_ratio": _ratio(text),
            "norm_kwargs": {"eps": float(text["layer_norm_eps"])},
        },
    }
    activations = ACTIVATIONS[visual["hidden_act"]], ACTIVATIONS[text["hidden_act"]]
    for activation, tower in zip(activations, ("vision_cfg", "text_cfg"), strict=True):
        if activation == "gelu_tanh" and "timm_model_name" not in found[tower]:
            found[tower]["act_kwargs"] = {"approximate": "tanh"}
    if kind == "siglip":
        if not visual.get("vision_use_head", True):
            raise ValueError("vision_use_head is false")
        if visual["hidden_size"] != (text.get("projection_size") or text["hidden_size"]):
            raise ValueError("its towers' features have different widths")
        found["text_cfg"] |= {"no_causal_mask": True, "proj_bias": True, "pool_type": "last"}
        return {"embed_dim": visual["hidden_size"], "init_logit_bias": -10, "custom_text": True, **found}, activations
    ends = text["eos_token_id"]
    end = ends[0] if isinstance(ends, list) and len(ends) == 1 else ends
    if end not in (_OLD_END, text["vocab_size"] - 1):  # elsewhere the largest id is the end's
        found["text_cfg"] |= {"pool_type": "eos", "eos_id": int(end)}
    quick = {"quick_gelu": activations == ("quick_gelu", "quick_gelu")}
    return {"embed_dim": config.get("projection_dim") or 512, **quick, **found}, activations


def trunk_sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes of a SigLIP's visual tower in a ``config.json``, as timm's VisionTransformer takes them."""
    visual = {**_DEFAULTS["siglip"][0], **(config.get("vision_config") or {})}
    return {
        "img_size": _side(visual["image_size"]),
        "patch_size": _side(visual["patch_size"]),
        "embed_dim": visual["hidden_size"],
        "depth": visual["num_hidden_layers"],
        "num_heads": visual["num_attention_heads"],
        "mlp_ratio": _ratio(visual),
    }


def preprocessing(processor: Mapping[str, Any] | None, kind: Kind, path: str) -> dict[str, Any]:
    """open_clip's pixel facts of an image processor's configuration; None: those of the class.

    Raises:
        BackboneError: one that open_clip cannot follow.
    """
    half = {"image_mean": (0.5,) * 3, "image_std": (0.5,) * 3, "size": {"height": 0, "width": 0}}
    openai = {"image_mean": OPENAI_DATASET_MEAN, "image_std": OPENAI_DATASET_STD, "size": {"shortest_edge": 0}}
    values = {"resample": 3, **(openai if kind == "clip" else half), **(processor or {})}
    size = values["size"]
    shortest = "shortest_edge" in size if isinstance(size, Mapping) else kind == "clip"
    if values["resample"] not in _RESAMPLE or not values.get("do_normalize", True) or not values.get("do_resize", True):
        raise BackboneError(f"{path} does not resize and normalise as open_clip does; correct it")
    return {
        "mean": tuple(values["image_mean"]),
        "std": tuple(values["image_std"]),
        "interpolation": _RESAMPLE[values["resample"]],
        "resize_mode": "shortest" if shortest else "squash",
    }


def transformers_config(
    tensors: Mapping[str, torch.Tensor], facts: BackboneFacts, kind: Kind, norms: tuple[float, float]
) -> dict[str, Any]:
    """Returns the ``config.json`` of a model.

    Args:
        tensors: under transformers' names; sizes are read from them.
        facts: of the model.
        kind: of what class.
        norms: what the LayerNorms of the visual and the text tower add to variances.
    """
    theirs = {"gelu_tanh": "gelu_pytorch_tanh"}
    visual, text = (
        {
            "hidden_size": tensors[
                f"{tower}.post_layernorm.weight" if visual else f"{tower}.final_layer_norm.weight"
            ].shape[0],
            "intermediate_size": tensors[f"{tower}.encoder.layers.0.mlp.fc1.bias"].shape[0],
            "num_hidden_layers": sum(key.startswith(f"{tower}.encoder.layers.") for key in tensors) // 16,
            "num_attention_heads": heads,
            "hidden_act": theirs.get(activation, activation),
            "layer_norm_eps": eps,
        }
        for tower, visual, heads, activation, eps in (
            ("vision_model", True, facts.visual_heads, facts.visual_activation, norms[0]),
            ("text_model", False, facts.text_heads, facts.text_activation, norms[1]),
        )
    )
    vocabulary = tensors["text_model.embeddings.token_embedding.weight"].shape[0]
    visual |= {
        "image_size": facts.image_size[0],
        "patch_size": tensors["vision_model.embeddings.patch_embedding.weight"].shape[-1],
    }
    text |= {"vocab_size": vocabulary, "max_position_embeddings": facts.context_length}
    found = {"model_type": kind, "architectures": [CLASSES[kind]], "torch_dtype": "float32"}
    if kind == "siglip":
        text |= {"projection_size": tensors["text_model.head.bias"].shape[0]}
        text |= {"bos_token_id": None, "eos_token_id": None}  # the defaults are CLIP's, which SigLIP does not read
        return found | {"vision_config": visual, "text_config": text}
    width = tensors["text_projection.weight"].shape[0]
    for one in (visual, text):
        one["projection_dim"] = width
    said = facts.text_end.removeprefix("at token ")
    end = int(said) if said.isdecimal() else vocabulary - 1  # the largest id, where each text has its own end once
    text |= {"eos_token_id": end, "bos_token_id": end - 1, "pad_token_id": end}
    return found | {"projection_dim": width, "vision_config": visual, "text_config": text}


def image_processor(facts: BackboneFacts, kind: Kind) -> dict[str, Any]:
    """Returns an image processor's configuration, without its type."""
    side = facts.image_size[0]
    square = {"height": side, "width": side}
    shortest = facts.resize_mode == "shortest"
    found = {
        "do_resize": True,
        "size": {"shortest_edge": side} if shortest else square,
        "resample": next(number for number, name in _RESAMPLE.items() if name == facts.interpolation),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(facts.mean),
        "image_std": list(facts.std),
        "do_convert_rgb": True,
    }
    return found | ({"do_center_crop": shortest, "crop_size": square} if kind == "clip" or shortest else {})


def _visual(visual: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    size, patch = _side(visual["image_size"]), _side(visual["patch_size"])
    width, layers, heads = (visual[name] for name in ("hidden_size", "num_hidden_layers", "num_attention_heads"))
    if kind == "clip":
        return {
            "image_size": size,
            "patch_size": patch,
            "width": width,
            "layers": layers,
            "head_width": width // heads,
            "mlp_ratio": _ratio(visual),
            "norm_kwargs": {"eps": float(visual["layer_norm_eps"])},
        }
    import timm  # open_clip's own, which brings it

    known = _TIMM.get((width, layers, heads, visual["intermediate_size"]))
    name = f"vit_{known}_patch{patch}_siglip_{size}"
    named = known and timm.is_model(name) and visual["layer_norm_eps"] == 1e-6
    return {
        "image_size": size,
        "timm_model_name": name if named else ANY_TRUNK,
        "timm_pool": "map",
        "timm_proj": "none",
    }


def _side(value: Any) -> int:
    """One number for both sides."""
    sides = set(value) if isinstance(value, list | tuple) else {value}
    if len(sides) != 1:
        raise ValueError(f"it is not square ({value})")
    return int(sides.pop())


def _ratio(config: Mapping[str, Any]) -> float:
    """Widths of an MLP and of its tower, so that the product, rounded down, is the MLP's."""
    ratio = config["intermediate_size"] / config["hidden_size"]
    return ratio if int(config["hidden_size"] * ratio) == config["intermediate_size"] else ratio + 1e-6
