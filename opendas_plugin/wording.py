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


def some_of(count: int, total: int, what: str, one: str, many: str) -> str:
    """A count of a total before what is said of it, such as ``1 of 20 photos has`` and ``2 of 20 photos have``.

    Args:
        count: how many.
        total: of how many.
        what: is counted, where there is one of it.
        one: what is said of one.
        many: what is said of several, or none.
    """
    return f"{count:,} of {counted(total, what)} {one if count == 1 else many}"
