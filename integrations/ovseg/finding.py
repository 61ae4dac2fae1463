"""Where an OVSeg checkout and an adapter lie, of what a user has typed."""

from __future__ import annotations

import re
from pathlib import Path

from integrations.ovseg.errors import OVSegError


def find_root(script: Path) -> Path:
    """Returns the checkout that a script lies in, or the current folder if that is one.

    Raises:
        OVSegError: neither is.
    """
    for folder in (*script.parents, Path()):
        if (folder / "open_vocab_seg").is_dir():
            return folder.resolve()
    raise OVSegError(
        f"{Path().resolve()} is no checkout of OVSeg (it has no folder open_vocab_seg); start from the checkout, or "
        "name it with --ovseg-root"
    )


def find_adapter(path_or_id: str) -> Path:
    """Returns a local adapter folder, fetched from the Hugging Face Hub where no such folder is here.

    Raises:
        OVSegError: there is neither, or the adapter cannot be read.
    """
    from integrations.ovseg.adapter import read_adapter  # torch, which --help and the stock backend can do without

    folder = Path(path_or_id).expanduser().resolve()
    if not folder.exists() and re.fullmatch(r"[\w.-]+/[\w.-]+", path_or_id):
        folder = _download(path_or_id)
    if not folder.is_dir():
        raise OVSegError(f"{path_or_id} is neither a folder nor an adapter on the hub; check --opendas-adapter")
    return read_adapter(folder).folder


def _download(hub_id: str) -> Path:
    try:
        from huggingface_hub import snapshot_download

        from integrations.ovseg.adapter import FILES

        return Path(snapshot_download(hub_id, allow_patterns=list(FILES)))
    except Exception as error:  # the hub's client raises kinds of its own, and may not be installed
        reason = str(error).strip().splitlines()[0].rstrip(".:")
        raise OVSegError(
            f"{hub_id} is neither a folder nor an adapter on the hub ({reason}); check --opendas-adapter"
        ) from error
