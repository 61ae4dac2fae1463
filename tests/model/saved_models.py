"""Small models of transformers, saved as their authors save them, and tokenizers for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
CLIP = {
    "vision_config": {**SIZES, "image_size": 32, "patch_size": 16},
    "text_config": {**SIZES, "hidden_size": 24},
    "projection_dim": 20,
}
SIGLIP = {
    "vision_config": {**SIZES, "image_size": 32, "patch_size": 8},
    "text_config": {**SIZES, "vocab_size": 300, "max_position_embeddings": 16},
}


def save(kind: str, folder: Path, visual: str | None = None, text: str | None = None, **options: Any) -> Any:
    """A random ``CLIPModel`` or ``SiglipModel`` in a folder; ``visual`` and ``text`` are activations."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = json.loads(json.dumps(CLIP if kind == "clip" else SIGLIP))
    for tower, activation in (("vision_config", visual), ("text_config", text)):
        config[tower] |= {} if activation is None else {"hidden_act": activation}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "clip":
            model = transformers.CLIPModel(transformers.CLIPConfig(**config))
        else:
            model = transformers.SiglipModel(transformers.SiglipConfig(**config))
        for parameter in model.parameters():  # biases and norms start at 0 and 1, which hides a wrong name
            parameter.data += 0.1 * torch.randn(parameter.shape)
    model.eval().save_pretrained(folder, **options)
    return model


def features(model: Any, pixels: torch.Tensor, ids: torch.Tensor) -> list[torch.Tensor]:
    """Unit features by transformers' own forward."""
    with torch.no_grad():
        found = model.get_image_features(pixel_values=pixels), model.get_text_features(input_ids=ids)
    return [torch.nn.functional.normalize(one.pooler_output, dim=-1) for one in found]


def inputs(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels and token ids, as the model's processor and tokenizer frame them."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(2, 3, 32, 32, generator=generator)
    if kind == "siglip":
        ids = torch.randint(2, 300, (3, 16), generator=generator)
        ids[0, 5:], ids[1, 9:] = 1, 1
        return pixels, ids
    ids = torch.full((3, 77), 49407)
    for row, length in zip(ids, (4, 7, 20), strict=True):
        row[0], row[1:length] = 49406, torch.randint(200, 49000, (length - 1,), generator=generator)
    return pixels, ids


def siglip_tokenizer(folder: Path) -> None:
    """A Unigram tokenizer of 300 pieces in a folder, framed as SigLIP's: the end is the padding."""
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    words = ["desk", "door", "frame", "globe", "photo", "of", "a", "the", "office", "chair", "red", "old", "lamp"]
    pieces = [("<unk>", 0.0), ("</s>", 0.0), ("▁", -3.0), *((f"▁{word}", -4.0) for word in words)]
    letters = [chr(code) for code in range(33, 127)]
    pieces += [(letter, -6.0) for letter in letters] + [(f"▁{letter}", -6.5) for letter in letters]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces[:300], unk_id=0))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.add_special_tokens(["</s>", "<unk>"])
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>", "model_max_length": 16}
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(names | kind))
