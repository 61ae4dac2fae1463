"""What makes token ids of texts for a backbone: open_clip's own tokenizer, a Hugging Face one, or one in a folder."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import open_clip
import torch
from huggingface_hub import constants, try_to_load_from_cache

from opendas_plugin.errors import BackboneError, ConfigError, MissingFileError
from opendas_plugin.model import downloads
from opendas_plugin.model.construct import first_line
from opendas_plugin.model.naming import is_model
from opendas_plugin.model.placing import Frame, frame_of
from opendas_plugin.model.tokenizer_files import MISSING_TOKENIZER, OWN_TOKENIZER, TokenizerFolder
from opendas_plugin.model.tower import TextTower
from opendas_plugin.model.towers.facts import known_frame, text_config, tokenizer_name
from opendas_plugin.wording import counted

Tokenizer: TypeAlias = Callable[..., torch.Tensor]
"""open_clip's: texts, and optionally the context length, to ids (N, L) int64; it cuts long texts off."""

_CACHED = ("tokenizer.json", "tokenizer_config.json", "spiece.model", "sentencepiece.bpe.model", "vocab.txt")
_SMALLEST = 0.9
"""Share of the ids that a text tower knows which its own tokenizer makes at least; BERT's makes 0.954 of CLIPA's."""
_NO_WORD = re.compile(r"[<\[].*[>\]]", re.DOTALL)  # a special or unused id, of which a tower may know fewer
_OPEN_CLIPS_IDS = 49408
_PROBES = ("", "A photo of a red door-frame, 2 m wide.", "un café près de la fenêtre")


def build_tokenizer(
    name: str, tower: TextTower, folder: str | None = None, brought: TokenizerFolder | None = None
) -> Tokenizer:
    """Returns the tokenizer of a backbone; CLIP's own for those that are no open_clip name.

    Args:
        name: of the backbone.
        tower: its text tower.
        folder: with the files of a Hugging Face tokenizer, to take in the place of the one that the name says.
        brought: the tokenizer that lies in the backbone's own folder, if it has one.

    Raises:
        BackboneError: its files are not here, or it is not that of the text tower.
        MissingFileError: there is no such folder.
        ConfigError: a folder for a backbone that has open_clip's own tokenizer.
    """
    wanted, length = tokenizer_name(name), tower.room
    if folder is not None:
        if wanted == OWN_TOKENIZER and tower.vocabulary_size == _OPEN_CLIPS_IDS:
            raise ConfigError(f"`tokenizer` has no effect on {name}, which has open_clip's own; leave it out")
        tokenizer = _in_folder(name, folder, length)
        _require_frame(name, folder, tokenizer, length)
        if brought is not None and brought.fact != MISSING_TOKENIZER:
            _require_same(name, folder, tokenizer, brought, length)
    elif brought is not None:
        wanted, tokenizer = str(brought.path), _brought(brought, length)
    elif wanted == OWN_TOKENIZER:
        tokenizer = _own(name.replace("/", "-") if is_model(name) else "", length)
    else:
        tokenizer = _of_hub(name, wanted, length)
    _require_ids(name, folder or wanted, tokenizer, tower, 0 if brought and folder is None else _SMALLEST)
    return tokenizer


def require_folder(folder: str | Path | None) -> str | None:
    """Returns the path of a tokenizer's folder as a text.

    Raises:
        MissingFileError: there is no such folder.
    """
    if folder is not None and not Path(folder).is_dir():
        raise MissingFileError(f"the tokenizer's folder {folder} does not exist; check the path")
    return None if folder is None else str(folder)


def tokenizer_sha256(tokenizer: Any) -> str:
    """Returns the SHA-256 over what a tokenizer knows, and what it makes of a few texts."""
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    known = sorted(inner.get_vocab().items()) if hasattr(inner, "get_vocab") else []
    made = tokenizer(list(_PROBES)).tolist()
    return hashlib.sha256(json.dumps([known, made]).encode()).hexdigest()


@functools.cache
def _own(name: str, context_length: int) -> Tokenizer:
    """Takes a third of a second to make, and holds no state."""
    return open_clip.get_tokenizer(name, context_length=context_length)


def _in_folder(name: str, folder: str, length: int) -> Tokenizer:
    require_folder(folder)
    config = text_config(name)
    options = {"tokenizer_mode": config.get("tokenizer_mode"), **config.get("tokenizer_kwargs", {})}
    try:
        return open_clip.tokenizer.HFTokenizer(folder, length, local_files_only=True, **options)
    except Exception as error:  # transformers raises kinds of its own for what is wrong in a file
        raise BackboneError(
            f"{folder} holds no tokenizer that can be read ({first_line(error)}); give a folder with a Hugging Face "
            "tokenizer's files (tokenizer.json, tokenizer_config.json), and install transformers"
        ) from error


@functools.lru_cache(maxsize=8)
def _brought(folder: TokenizerFolder, length: int) -> Tokenizer:
    """By transformers, from files alone, which say themselves how a text is cleaned."""
    if folder.fact == MISSING_TOKENIZER:
        raise BackboneError(
            f"{folder.path} holds no tokenizer, without which such a model takes token ids only; put the files of its "
            "tokenizer there, or give their folder as `tokenizer`"
        )
    if folder.fact == OWN_TOKENIZER:
        return _own("", length)
    try:
        if folder.schema:
            return open_clip.get_tokenizer(f"{folder.schema}{folder.path}", context_length=length)
        return open_clip.tokenizer.HFTokenizer(str(folder.path), context_length=length, local_files_only=True)
    except Exception as error:  # transformers raises kinds of its own for what is wrong in a file
        raise BackboneError(
            f"the tokenizer in {folder.path} cannot be made ({first_line(error)}); install transformers, or save it "
            "again"
        ) from error


def _of_hub(name: str, wanted: str, length: int) -> Tokenizer:
    is_here = Path(wanted).is_dir() or any(isinstance(try_to_load_from_cache(wanted, f), str) for f in _CACHED)
    reason = None if is_here else downloads.unreachable(constants.ENDPOINT)
    try:
        if reason is not None:
            raise ConnectionError(reason)
        return open_clip.get_tokenizer(name.replace("/", "-"), context_length=length)
    except Exception as error:  # the hub's client and transformers raise kinds of their own
        raise BackboneError(
            f"the tokenizer {wanted} of {name} is not on this machine and could not be made ({first_line(error)}); "
            f"fetch its files where there is a network, by hf download {wanted} --local-dir DIR, install transformers, "
            "and give the folder as `tokenizer`"
        ) from error


def _require_ids(name: str, source: str, tokenizer: Any, tower: TextTower, smallest: float) -> None:
    """Compares how many ids there are for a tokenizer and for a text tower, of which it makes a share at least."""
    known, inner = tower.vocabulary_size, getattr(tokenizer, "tokenizer", None)
    if inner is None:
        if (made := getattr(tokenizer, "vocab_size", 0)) > known:
            raise BackboneError(
                f"{name} knows {known} tokens, but CLIP's tokenizer makes {made}; without its own tokenizer (a folder, "
                "given as `tokenizer`) such a model takes token ids only, and no learnt text tokens"
            )
        return
    ids = {number: word for word, number in inner.get_vocab().items()}
    beyond = sum(number >= known and not _NO_WORD.fullmatch(ids[number]) for number in ids)
    if beyond or len(ids) < smallest * known:
        raise BackboneError(
            f"the tokenizer {source} makes {counted(len(ids), 'id')}, but {name} knows {known:,}: it is another "
            "model's; give the "
            "folder of the model's own as `tokenizer`"
        )


def _require_frame(name: str, folder: str, tokenizer: Tokenizer, length: int) -> None:
    """Compares the ids around texts with those that the model has been trained with, where that is known."""
    expected = known_frame(tokenizer_name(name))
    found = frame_of(lambda text: tokenizer([text], context_length=length))
    if expected is not None and found != expected:
        raise BackboneError(
            f"the tokenizer {folder} frames texts by {_said(found)}, but {name} was trained with {_said(expected)}: it "
            "is another model's; give the folder of the model's own as `tokenizer`"
        )


def _require_same(name: str, folder: str, tokenizer: Tokenizer, brought: TokenizerFolder, length: int) -> None:
    """Compares a tokenizer with the one that lies in the backbone's own folder."""
    if tokenizer_sha256(tokenizer) != tokenizer_sha256(_brought(brought, length)):
        raise BackboneError(
            f"the tokenizer {folder} makes other ids than the one that {name} has in its own folder, {brought.path}: "
            "it is another model's; leave `tokenizer` out"
        )


def _said(frame: Frame) -> str:
    start = "no start" if frame.start is None else f"the start {frame.start}"
    return f"{start}, the end {frame.end} and the padding {frame.pad}"
