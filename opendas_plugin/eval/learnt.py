"""Says where an adapter is judged by pictures that it has learnt from."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from opendas_plugin.data.learnt_pictures import learnt_pictures

PICTURES = "pictures"
"""In an adapter's training summary: digests of the pictures that it has learnt from."""

logger = logging.getLogger(__name__)


def digests_of(training: Mapping[str, Any]) -> list[str] | None:
    """The digests of a training's summary; None where it does not say what was learnt from."""
    digests = training.get(PICTURES)
    is_list = isinstance(digests, list) and all(isinstance(digest, str) for digest in digests)
    return digests if is_list else None


def check_learnt(training: Mapping[str, Any], pictures: Iterable[Path]) -> dict[str, Any]:
    """Looks which pictures an adapter has learnt from, and warns of them.

    Args:
        training: the summary of its training, which its configuration holds.
        pictures: what it is judged by.

    Returns:
        ``learnt_pictures``, their number, for a summary; nothing where the adapter does not say what it learnt from.
    """
    digests = digests_of(training)
    if digests is None:
        return {}
    learnt, known = learnt_pictures(digests, pictures)
    if learnt:
        logger.warning(
            "the adapter has learnt from %d of %d pictures that it is judged by, %s first: the scores flatter it",
            len(learnt),
            known,
            learnt[0],
        )
    return {"learnt_pictures": len(learnt)}
