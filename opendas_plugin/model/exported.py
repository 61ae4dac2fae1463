"""Folders that an export may replace: those that hold nothing but what one has written."""

from __future__ import annotations

from pathlib import Path

from opendas_plugin.errors import OutputError

_RECORD = "run.json"
_FIRST = ("onnx.json", "config.json", "open_clip_config.json")
"""One of them, beside the record, is what tells an export's folder."""
_GRAPHS = ("image.onnx", "text.onnx", "names.onnx")
_TOKENIZERS = ("special_tokens_map.json", "added_tokens.json", "merges.txt", "vocab.txt", "chat_template.jinja")
_MODELS = ("model.safetensors", "open_clip_model.safetensors", "preprocessor_config.json", "tokenizer_config.json")
_DATA = tuple(f"{name}.data" for name in _GRAPHS)
_FILES = frozenset((_RECORD, *_FIRST, *_GRAPHS, *_DATA, *_MODELS, *_TOKENIZERS))
"""Names of all that an export writes, but for those of tokenizers that hold the words."""


def require_replaceable(folder: Path) -> None:
    """Looks whether a folder is new, empty, or holds what an export has written alone, before it is replaced.

    Raises:
        OutputError: it holds something else.
    """
    from opendas_plugin.model.tokenizer_files import TOKENIZER_FILES

    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    is_exports = _RECORD in names and names & set(_FIRST)
    if others := sorted(names - _FILES - {*TOKENIZER_FILES} if is_exports else names):
        raise OutputError(
            f"{folder} holds other files ({', '.join(others[:3])}), which would be lost; choose a new or an empty "
            "folder"
        )
