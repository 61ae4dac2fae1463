"""Tokenizers in a folder, as transformers keeps them: which they are, and CLIP's own written so."""

from __future__ import annotations

import functools
import hashlib
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from open_clip.tokenizer import SimpleTokenizer

from opendas_plugin.errors import BackboneError, DataError
from opendas_plugin.files import read_json, write_json, write_text

OWN_TOKENIZER = "open_clip"
"""What the facts of a backbone call CLIP's own tokenizer."""
ANY_TOKENIZER = "PreTrainedTokenizerFast"
"""The class of transformers whose tokenizers are what their ``tokenizer.json`` says, and nothing else."""
MISSING_TOKENIZER = "missing"
"""Likewise one that should lie in the model's folder, and does not."""
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model")
"""Each of them holds a whole tokenizer's vocabulary."""
_SPECIAL = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
"""open_clip's names of CLIP's two special tokens, and transformers'."""
_LETTERS = 512
"""Ids of CLIP's tokenizer before its merges: each byte within a word and at its end."""
_WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"  # CLIPTokenizer's
)


@dataclass(frozen=True)
class TokenizerFolder:
    """A folder with a tokenizer's files.

    Attributes:
        path: the folder.
        fact: what names the tokenizer wherever it lies: open_clip's own, a file of it by its hash, or none.
        schema: what open_clip wants before the folder's name where its own configuration there says how texts are
            cleaned; empty where the tokenizer's files say it.
    """

    path: Path
    fact: str
    schema: str = ""


def find_tokenizer(folder: Path, schema: str = "") -> TokenizerFolder | None:
    """Looks for a tokenizer's files in a folder; None: there are none.

    Raises:
        BackboneError: a file that cannot be read.
    """
    names = [name for name in TOKENIZER_FILES if (folder / name).is_file()]
    if not names:
        return None
    if _is_clips_own(folder):
        return TokenizerFolder(folder, OWN_TOKENIZER)
    digest = hashlib.sha256((folder / names[0]).read_bytes()).hexdigest()
    return TokenizerFolder(folder, f"{names[0]} {digest[:12]}", schema)


def missing_tokenizer(folder: Path) -> TokenizerFolder:
    """What stands for a tokenizer of its own that a folder should hold, and does not."""
    return TokenizerFolder(folder, MISSING_TOKENIZER)


def write_clips_own(folder: Path, context_length: int) -> None:
    """Writes CLIP's own tokenizer as transformers' ``CLIPTokenizer`` reads it, of any version."""
    vocabulary, merges = _own_vocabulary(), [" ".join(pair) for pair in _own().bpe_ranks]
    start, end = _SPECIAL.values()
    write_json(folder / "tokenizer.json", _tokenizer(vocabulary, merges, start, end))
    write_json(folder / "vocab.json", vocabulary)
    write_text(folder / "merges.txt", "\n".join(["#version: 0.2", *merges]) + "\n")
    names = {"bos_token": start, "eos_token": end, "pad_token": end, "unk_token": end}
    kind = {"tokenizer_class": "CLIPTokenizer", "model_max_length": context_length}
    write_json(folder / "tokenizer_config.json", names | kind)


def write_siglips_kind(folder: Path, size: int, context_length: int) -> None:
    """Writes a tokenizer of ``size`` ids that frames and cleans texts as SigLIP's does: no start, end 1, padding 1.

    Its words are the first ones of CLIP's own, so that nothing is trained and every text has ids.
    """
    names = {"pad_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}
    special = ("<pad>", "</s>", "<unk>")
    words = sorted(_own_vocabulary().items(), key=lambda item: item[1])[: size - len(special)]
    vocabulary = {word: number for number, word in enumerate([*special, *(word for word, _ in words)])}
    merges = [" ".join(pair) for pair in _own().bpe_ranks][: size - len(special) - _LETTERS]
    values = _tokenizer(vocabulary, merges, "<pad>", "</s>")
    template = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    values["post_processor"] = {
        "type": "TemplateProcessing",
        "single": template,
        "pair": template,
        "special_tokens": {"</s>": {"id": "</s>", "ids": [vocabulary["</s>"]], "tokens": ["</s>"]}},
    }
    values["model"]["unk_token"] = "<unk>"
    write_json(folder / "tokenizer.json", values)
    cleaned_first(folder / "tokenizer.json")
    kind = {"tokenizer_class": ANY_TOKENIZER, "model_max_length": context_length}
    write_json(folder / "tokenizer_config.json", {**names, **kind, "model_input_names": ["input_ids"]})


def cleaned_first(path: Path) -> None:
    """Has a ``tokenizer.json`` do to a text what open_clip's ``canonicalize`` does before it comes to the tokenizer."""
    values = read_json(path)
    others = [one for one in (values.get("normalizer"),) if one is not None]
    marks = "".join(f"\\x{ord(mark):02x}" for mark in string.punctuation)
    cleaning = [
        _replace("_", " "),
        {"type": "Replace", "pattern": {"Regex": f"[{marks}]"}, "content": ""},
        {"type": "Lowercase"},
        {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
        {"type": "Strip", "strip_left": True, "strip_right": True},
    ]
    write_json(path, {**values, "normalizer": {"type": "Sequence", "normalizers": [*cleaning, *others]}})


def _replace(text: str, other: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": text}, "content": other}


def _is_clips_own(folder: Path) -> bool:
    """Whether a folder's tokenizer has CLIP's own vocabulary, so that open_clip's makes the same ids."""
    try:
        if (folder / "tokenizer.json").is_file():
            model = read_json(folder / "tokenizer.json")["model"]
            return model.get("type") == "BPE" and model["vocab"] == _own_vocabulary()
        return (folder / "vocab.json").is_file() and read_json(folder / "vocab.json") == _own_vocabulary()
    except (DataError, KeyError, TypeError, AttributeError) as error:
        raise BackboneError(f"the tokenizer of {folder} cannot be read ({error}); save it again") from error


@functools.cache
def _own() -> SimpleTokenizer:
    return SimpleTokenizer()


def _own_vocabulary() -> dict[str, int]:
    return {_SPECIAL.get(word, word): number for word, number in _own().encoder.items()}


def _tokenizer(vocabulary: Mapping[str, int], merges: list[str], start: str, end: str) -> dict[str, Any]:
    """The ``tokenizer.json`` of transformers' ``CLIPTokenizer``."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    spaces = {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}
    split = {"type": "Split", "pattern": {"Regex": _WORDS}, "behavior": "Removed", "invert": True}
    bytes_ = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": vocabulary[word], "content": word, **flags} for word in (start, end)],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, spaces, {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, {**bytes_, "add_prefix_space": False}]},
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": [end, vocabulary[end]],
            "cls": [start, vocabulary[start]],
            "trim_offsets": False,
            "add_prefix_space": False,
        },
        "decoder": {**bytes_, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": end,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>",
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": dict(vocabulary),
            "merges": merges,
        },
    }
