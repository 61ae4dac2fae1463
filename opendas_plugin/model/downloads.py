"""Weights that a tag of open_clip names: those that are kept on this machine, and whether others can be fetched."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from opendas_plugin.errors import BackboneError

WAIT = 3.0
"""Seconds in which a server has to answer; its clients try again for most of a minute."""
HUB_FILE = "open_clip_pytorch_model.bin"
SAFE = {HUB_FILE: "open_clip_model.safetensors"}


def fetch(tag: Mapping[str, Any], name: str, pretrained: str) -> Path:
    """Returns the weight file of an entry of open_clip's table, downloaded where it is not kept here.

    Args:
        tag: the entry.
        name: of the model, and
        pretrained: of its weights, for messages.

    Raises:
        BackboneError: it is not kept here and cannot be downloaded.
    """
    if (path := kept(tag)) is not None:
        return path
    import open_clip  # behind unreachable, which needs none of it

    address = constants.ENDPOINT if tag.get("hf_hub") else tag.get("url")
    try:
        if address and (reason := unreachable(address)):
            raise ConnectionError(reason)
        return Path(open_clip.download_pretrained(tag))
    except Exception as error:  # the hub's client raises kinds of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise BackboneError(
            f"the weights {pretrained} of {name} are not on this machine and could not be downloaded ({reason}); "
            "download them elsewhere and give the file as `pretrained`"
        ) from error


def kept(tag: Mapping[str, Any]) -> Path | None:
    """The weight file of an entry of open_clip's table in the Hugging Face hub's cache; None where it is not there."""
    repository, file = os.path.split(tag.get("hf_hub", ""))
    if not repository:
        return None
    file = file or HUB_FILE
    try:
        folder = Path(snapshot_download(repository, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None
    safe = SAFE.get(file, str(Path(file).with_suffix(".safetensors")))
    return next((folder / one for one in (safe, file) if (folder / one).is_file()), None)


def unreachable(address: str) -> str | None:
    """Why a server cannot be reached within :data:`WAIT` seconds; None: it can, or a proxy is to see to it."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme in getproxies() and not proxy_bypass(host):
        return None
    found = [f"{host} does not answer within {WAIT:g} s"]

    def connect() -> None:
        try:
            socket.create_connection((host, parts.port or 443), timeout=WAIT).close()
            found.clear()
        except OSError as error:
            found[0] = f"{host} cannot be reached: {error.strerror or error}"

    thread = threading.Thread(target=connect, daemon=True)  # a name's look-up has a patience of its own
    thread.start()
    thread.join(WAIT)
    return found[0] if found else None
