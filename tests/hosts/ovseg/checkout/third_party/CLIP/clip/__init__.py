"""Stands in for OVSeg's CLIP package: `load` with `mask_prompt_depth`, and `tokenize`."""

import zlib

import torch

from . import model

try:
    from open_clip.tokenizer import SimpleTokenizer

    _words = SimpleTokenizer().encode
except ImportError:  # an old environment: any ids will do

    def _words(text):
        return [zlib.crc32(word.encode()) % 49000 for word in text.lower().replace(".", " .").split()]


def load(name, mask_prompt_depth=0, device="cpu", jit=False):
    return model.build_model(torch.load(name, map_location="cpu"), mask_prompt_depth).to(device).float(), None


def tokenize(texts, context_length=77, truncate=False, return_length=False):
    texts = [texts] if isinstance(texts, str) else texts
    result = torch.zeros(len(texts), context_length, dtype=torch.long)
    for row, text in enumerate(texts):
        ids = [49406, *_words(text), 49407]
        if len(ids) > context_length:
            raise RuntimeError(f"Input {text} is too long for context length {context_length}")
        result[row, : len(ids)] = torch.tensor(ids)
    return result
