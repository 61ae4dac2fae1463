"""Folders that an export may replace: those that one has written."""

from __future__ import annotations

from pathlib import Path

from opendas_plugin.errors import OutputError

_RECORD = "run.json"
_FIRST = ("onnx.json", "config.json", "open_clip_config.json")
"""One of them, beside the record, is what tells an export's folder."""


def require_replaceable(folder: Path) -> None:
    """Looks whether a folder is new, empty, or one that an export has written, before it is replaced.

    Raises:
        OutputError: it holds something else.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if names and not (_RECORD in names and names & set(_FIRST)):
        raise OutputError(
            f"{folder} holds other files ({', '.join(sorted(names)[:3])}); choose a new or an empty folder"
        )
