"""The weights of a reproduction: found or downloaded, and their checksums held against the published ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
from huggingface_hub import get_hf_file_metadata, hf_hub_url

from opendas_plugin.errors import BackboneError
from opendas_plugin.model import downloads
from opendas_plugin.runs.reproduce.tiers import Weights

_SHA256 = re.compile("[0-9a-f]{64}")
PUBLISHED, FIRST_USE = "as published", "recorded at first use"


@dataclass(frozen=True)
class WeightFile:
    """The file of a backbone's weights.

    Args:
        path: the file.
        sha256: of its bytes.
        verdict: ``as published`` where somebody states this checksum, else ``recorded at first use``.
        stated_by: who states it; empty: nobody.
        revision: the commit of the hub's repository; None: it does not come from there.
    """

    path: Path
    sha256: str
    verdict: str
    stated_by: str = ""
    revision: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Without the path, which says where somebody keeps things."""
        return {
            "file": self.path.name,
            "sha256": self.sha256,
            "verdict": self.verdict,
            "stated_by": self.stated_by,
            "revision": self.revision,
        }


def given(weights: Weights, root: Path) -> Weights:
    """The backbone with OpenAI's own file in its tag's place, where it lies in ``weights/`` of the data root."""
    name, tag = weights
    file = root / "weights" / Path(_entry(weights).get("url", "")).name
    return (name, str(file)) if tag and file.is_file() else weights


def look_up(weights: Weights, root: Path) -> WeightFile:
    """Finds the file of a backbone's weights, downloading it where need be, and checks its checksum.

    Raises:
        BackboneError: it cannot be had, or its checksum is not the published one.
    """
    name, pretrained = weights
    if pretrained is None:
        return WeightFile(Path(name), sha256_of(Path(name)), FIRST_USE)
    tag, file = _entry(weights), Path(given(weights, root)[1] or "")
    path = file if file.is_file() else downloads.fetch(tag, name, pretrained)
    found = sha256_of(path)
    stated, by, revision = _stated(path, tag)
    if stated and stated != found:
        raise BackboneError(
            f"{path} has the SHA-256 {found[:12]}, but {by} states {stated[:12]}: a half or altered download; delete "
            "it and run this again"
        )
    return WeightFile(path, found, PUBLISHED if stated else FIRST_USE, by, revision)


def download_size(weights: Weights, root: Path) -> int | None:
    """Bytes that are still to be downloaded; 0 where the file is here, None where the server does not say."""
    if weights[1] is None or Path(given(weights, root)[1] or "").is_file():
        return 0
    tag = _entry(weights)
    if downloads.kept(tag) is not None:
        return 0
    repository = tag.get("hf_hub", "").rpartition("/")[0]
    if not repository or downloads.unreachable(downloads.constants.ENDPOINT):
        return None
    for file in (downloads.SAFE[downloads.HUB_FILE], downloads.HUB_FILE):
        try:
            return get_hf_file_metadata(hf_hub_url(repository, file)).size
        except Exception:  # noqa: BLE001  (no such file, or the hub's own kinds: then the size is not known)
            continue
    return None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _entry(weights: Weights) -> Mapping[str, Any]:
    name, tag = weights
    return (open_clip.get_pretrained_cfg(name, tag) or {}) if tag else {}


def _stated(path: Path, tag: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """The checksum that somebody states for a file, who, and the revision: OpenAI in its URLs, the hub in its cache.

    The hub names a large file in its cache by the SHA-256 that it states for it, and a link leads there.
    """
    parts = tag.get("url", "").split("/")
    if len(parts) > 1 and parts[-1] == path.name and _SHA256.fullmatch(parts[-2]):
        return parts[-2], "OpenAI's URL", None
    blob = path.resolve().name
    if path.is_symlink() and _SHA256.fullmatch(blob):
        return blob, "the Hugging Face hub", path.parent.name
    return "", "", None
