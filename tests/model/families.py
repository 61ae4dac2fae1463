"""One small model of each family that open_clip knows: its own configuration, cut in depth, width and picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import timm
import torch
from timm.models import register_model
from timm.models.fastvit import RepConditionalPosEnc
from timm.models.vitamin import VitCfg, VitConvCfg

from tests.model.tokenizers import SIZE

_EVA = {"depth": 2, "embed_dim": 32, "num_heads": 2, "img_size": 32}
_VIT = {**_EVA, "mlp_ratio": 2.0}
_STAGES = {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}
_VITAMIN = VitCfg(
    embed_dim=(16, 24, 32),
    depths=(1, 1, 1),
    stem_width=8,
    conv_cfg=VitConvCfg(norm_layer="layernorm2d", norm_eps=1e-6),
    head_type="1d",
)
_FASTVIT = {
    "layers": (1, 1, 1, 1),
    "embed_dims": (32, 64, 128, 256),
    "pos_embs": (None, None, None, lambda *sizes, **rest: RepConditionalPosEnc(*sizes, spatial_shape=(7, 7), **rest)),
}
_CUTS: dict[str, dict[str, Any]] = {  # of timm's models
    "vit_base_patch16_siglip_224": _VIT,
    "vit_so400m_patch16_siglip_256": _VIT,
    "vit_large_patch14_clip_224": _VIT,
    "vit_medium_patch16_gap_256": _VIT,
    "vit_base_mci_224": {"depth": 1, "img_size": 32},  # its stem has this width alone
    "vit_relpos_medium_patch16_cls_224": _VIT,
    "eva_giant_patch14_224": _EVA,
    "eva02_base_patch16_clip_224": _EVA,
    "eva02_enormous_patch14_clip_224": _EVA,
    "vit_pe_core_base_patch16_224": _EVA,
    "vit_pe_core_gigantic_patch14_448": _EVA,
    "convnext_base": _STAGES,
    "swin_base_patch4_window7_224": {"depths": (1, 1, 1, 1), "embed_dim": 16, "num_heads": (1, 2, 2, 4)},
    "fastvit_mci0": _FASTVIT,
    "vitamin_small_224": {"depth": 2, "embed_dim": 32, "num_heads": 2, "embed_cfg": _VITAMIN, "img_size": 32},
    "vitamin_xlarge_256": {"depth": 2, "embed_dim": 32, "num_heads": 2, "embed_cfg": _VITAMIN, "img_size": 32},
}
_SIZES = {"convnext_base": 32, "swin_base_patch4_window7_224": 224, "fastvit_mci0": 64}
FAMILIES = {  # a name for each, and the model of open_clip that it is cut from
    "openai": "ViT-B-32-quickgelu",
    "siglip": "ViT-B-16-SigLIP",
    "siglip2": "ViT-B-16-SigLIP2",
    "siglip-i18n": "ViT-SO400M-16-SigLIP-i18n-256",
    "pe": "PE-Core-B-16",
    "pe-bigG": "PE-Core-bigG-14-448",
    "eva01": "EVA01-g-14",
    "eva02": "EVA02-B-16",
    "eva02-E": "EVA02-E-14",
    "vit-timm": "MobileCLIP2-L-14",
    "vit-gap": "vit_medium_patch16_gap_256",
    "mobileclip-B": "MobileCLIP2-B",
    "mobileclip": "MobileCLIP2-S0",
    "vitamin": "ViTamin-S",
    "vitamin-XL": "ViTamin-XL-256",
    "clipa": "ViT-L-14-CLIPA",
    "worldwide": "ViT-L-14-worldwide",
    "convnext": "convnext_base",
    "convnext-d": "convnext_large_d",
    "swin": "swin_base_patch4_window7_224",
    "relpos": "vit_relpos_medium_patch16_cls_224",
    "resnet": "RN50",
    "coca": "coca_ViT-B-32",
    "roberta": "roberta-ViT-B-32",
}


TOKENIZERS = {  # the kind of :mod:`tests.model.tokenizers` that a family's texts are framed by; else open_clip's own
    "siglip": "siglip",
    "siglip-i18n": "siglip",
    "siglip2": "siglip2",
    "worldwide": "siglip2",  # mT5's, which frames texts alike
    "clipa": "clipa",
}


def config_of(family: str, roberta: Path) -> dict[str, Any]:
    """open_clip's configuration of a family's model, cut; ``roberta`` is a folder with a Hugging Face text's."""
    config = open_clip.get_model_config(FAMILIES[family])
    vision, text = config["vision_cfg"], config["text_cfg"]
    has_proj = vision.get("timm_proj") in ("linear", "mlp")
    config["embed_dim"] = 32 if not has_proj else 24
    if (name := vision.get("timm_model_name")) is not None:
        name = "convnext_base" if name.startswith("convnext") else name
        vision |= {"timm_model_name": _cut(name), "image_size": _SIZES.get(name, 32)}
    elif family == "resnet":
        vision |= {"layers": [1, 1, 1, 1], "width": 8, "image_size": 64}
    else:
        vision |= {"layers": 2, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 32}
    if family == "coca":
        vision |= {"attn_pooler_heads": 2}
        config["multimodal_cfg"] |= {"width": 32, "heads": 2, "layers": 1, "attn_pooler_heads": 2}
    if "hf_model_name" in text:
        text |= {"hf_model_name": str(roberta), "hf_proj_type": "mlp"}
        text.pop("hf_tokenizer_name")
        return config
    text |= {"width": 32 if text.get("proj_type") == "none" else 40, "heads": 2, "layers": 2}
    text["width"] = config["embed_dim"] if text.get("proj_type") == "none" else text["width"]
    text["vocab_size"] = SIZE if "hf_tokenizer_name" in text else 49408
    return config


def register(folder: Path) -> dict[str, str]:
    """Makes open_clip know all families; returns the model's name of each. They end with ``-tiny``, as tests' do."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    roberta = {"model_type": "xlm-roberta", "vocab_size": 1000, "max_position_embeddings": 80, **sizes}
    (folder / "roberta").mkdir()
    (folder / "roberta" / "config.json").write_text(json.dumps(roberta | {"pad_token_id": 1, "eos_token_id": 2}))
    for family in FAMILIES:
        (folder / f"{family}-tiny.json").write_text(json.dumps(config_of(family, folder / "roberta")))
    open_clip.add_model_config(folder)
    return {family: f"{family}-tiny" for family in FAMILIES}


def token_ids(model: Any, count: int = 3) -> torch.Tensor:
    """Token ids (N, context) of texts of several lengths, as the model's tokenizer frames them."""
    config = open_clip.get_model_config(f"{model}-tiny")["text_cfg"]
    length, known = config.get("context_length", 77), config.get("vocab_size", 1000)
    generator = torch.Generator().manual_seed(3)
    frames = {"siglip": (None, 1, 1), "siglip2": (None, 1, 0), "siglip-i18n": (None, 1, 1), "clipa": (101, 0, 0)}
    frames |= {"roberta": (0, 2, 1), "worldwide": (None, 1, 0)}
    start, end, pad = frames.get(model, (49406, 49407, 0))
    ids = torch.full((count, length), pad)
    for number, row in enumerate(ids):
        words = torch.randint(200, min(known, 49000), (3 + 2 * number,), generator=generator)
        text = [*([] if start is None else [start]), *words.tolist(), end]
        row[: len(text)] = torch.tensor(text)
    return ids


def _cut(name: str) -> str:
    """Registers timm's model ``name``, cut, and returns the name that it has."""
    cut = f"cut_{name}"
    if not timm.is_model(cut):

        def make(pretrained: bool = False, **options: Any) -> Any:
            for extra in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
                options.pop(extra, None)
            return timm.create_model(name, **(_CUTS[name] | options))

        make.__name__, make.__module__ = cut, __name__
        register_model(make)
    return cut
