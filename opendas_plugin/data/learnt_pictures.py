"""Which pictures an adapter has learnt from, in a few bytes each, so that nobody judges it by them unawares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from opendas_plugin.stamps import stamps

MOST = 4096
"""Digests that are kept, the smallest ones: of more pictures they are a random part."""
_DIGITS = 12


def picture_digests(pictures: Iterable[Path], before: Sequence[str] = ()) -> list[str]:
    """The starts of the SHA-256 of the files' contents, sorted, at most :data:`MOST`.

    Args:
        pictures: the files.
        before: digests to add to them, of what was learnt from earlier.
    """
    return sorted({*before, *_digests(pictures).values()})[:MOST]


def learnt_pictures(digests: Sequence[str], pictures: Iterable[Path]) -> tuple[list[Path], int]:
    """Which pictures are among those of the digests, and of how many that can be said: of all up to :data:`MOST`."""
    found, known = _digests(pictures), set(digests)
    if len(digests) >= MOST:
        found = {picture: digest for picture, digest in found.items() if digest <= max(digests)}
    return [picture for picture, digest in found.items() if digest in known], len(found)


def _digests(pictures: Iterable[Path]) -> dict[Path, str]:
    files = {str(picture): picture for picture in pictures}
    return {files[name]: found.rpartition(" ")[2][:_DIGITS] for name, found in stamps(files).items()}
