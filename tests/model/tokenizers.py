"""Small Hugging Face tokenizers that frame texts as SigLIP's, SigLIP 2's and CLIPA's do, in folders."""

from __future__ import annotations

from pathlib import Path

WORDS = (
    "a", "an", "the", "photo", "picture", "of", "in", "on", "red", "green", "blue", "yellow", "violet", "door", "frame",
    "block", "desk", "room", "very", "long",
)  # fmt: skip
SIZE = 1000
"""Ids of each; the rest are words that no text has."""
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def make(kind: str, folder: Path, size: int = SIZE) -> Path:
    """Writes the tokenizer of ``siglip``, ``siglip2`` or ``clipa`` with ``size`` ids into a folder, and returns it."""
    from transformers import BertTokenizerFast, GemmaTokenizerFast, T5TokenizerFast

    folder.mkdir(parents=True)
    if kind == "clipa":
        special = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
        parts = [*WORDS, *LETTERS[1:], *(f"##{letter}" for letter in LETTERS)]
        rest = iter([*parts, *(f"filler{n}" for n in range(size))])
        words = [special[n] if n in special else next(rest) for n in range(size)]
        BertTokenizerFast(vocab={word: n for n, word in enumerate(words)}).save_pretrained(folder)
    elif kind == "siglip":
        words = ["<pad>", "</s>", "<unk>", *_pieces(size - 3)]
        scores = [(word, 0.0 if n < 3 else -2.0 if len(word) > 2 else -10.0) for n, word in enumerate(words)]
        T5TokenizerFast(vocab=scores, extra_ids=0, pad_token="</s>", eos_token="</s>").save_pretrained(folder)
    else:
        words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *_pieces(size - 5)]
        tokenizer = GemmaTokenizerFast(
            vocab={word: n for n, word in enumerate(words)},
            merges=_merges(),
            add_bos_token=False,
            add_eos_token=True,
            padding_side="right",
        )
        tokenizer.save_pretrained(folder)
    return folder


def _pieces(count: int) -> list[str]:
    pieces = [*(f"▁{word}" for word in WORDS), "▁", *LETTERS, ".", *_parts()]
    pieces = list(dict.fromkeys(pieces))
    return [*pieces, *(f"▁filler{n}" for n in range(count - len(pieces)))]


def _parts() -> list[str]:
    """The beginnings of words that merges go through."""
    return [f"▁{word[:n]}" for word in WORDS for n in range(1, len(word))]


def _merges() -> list[tuple[str, str]]:
    return list(dict.fromkeys((f"▁{word[:n]}", word[n]) for word in WORDS for n in range(len(word))))
