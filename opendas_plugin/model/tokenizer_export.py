"""The tokenizer of a CLIP, written into the folder of a model that is exported."""

from __future__ import annotations

from pathlib import Path

from open_clip.tokenizer import get_clean_fn

from opendas_plugin.files import read_json, write_json
from opendas_plugin.model.frozen_parts import FrozenParts
from opendas_plugin.model.tokenizer_files import ANY_TOKENIZER, OWN_TOKENIZER, cleaned_first, write_clips_own


def save_tokenizer(clip: FrozenParts, folder: Path, fact: str, *, cleans: bool) -> None:
    """Writes what makes the token ids, as transformers reads it.

    Args:
        clip: whose tokenizer it is.
        folder: to write into.
        fact: of the backbone's facts, which says whether it is CLIP's own.
        cleans: whether the files have to clean texts as open_clip does before its tokenizer sees them.

    Raises:
        BackboneError: a tokenizer of the hub that is not here.
    """
    if fact == OWN_TOKENIZER:
        write_clips_own(folder, clip.context_length)
        return
    tokenizer = clip.tokenizer
    tokenizer.save_pretrained(str(folder))
    path = folder / "tokenizer_config.json"
    # the towers read padding as it stands, and a mask of it would hide it
    said = {"model_input_names": ["input_ids"], "model_max_length": clip.context_length}
    if cleans and tokenizer.clean_fn is get_clean_fn("canonicalize") and (folder / "tokenizer.json").is_file():
        cleaned_first(folder / "tokenizer.json")
        said["tokenizer_class"] = ANY_TOKENIZER  # T5's and Gemma's own would build their normalizer anew
    write_json(path, {**read_json(path), **said})
