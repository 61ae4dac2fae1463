"""Counts in sentences that people read."""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count before what is counted, such as ``1 photo is`` and ``2,000 photos are``.

    Args:
        count: how many.
        one: what is counted where there is one of it, with the verb if there is one.
        many: the same where there are several, or none; None: ``one`` with an ``s``.
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
