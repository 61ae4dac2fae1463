"""State of a pass through a model that other threads must not see."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any


class PerThread(threading.local):
    """Values by name that each thread has for itself, at first the given ones; copies begin anew."""

    def __init__(self, **values: Any) -> None:
        """Called once by each thread that uses it."""
        self.__dict__.update(values, _first=values)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.__dict__["_first"],)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    @contextlib.contextmanager
    def set(self, **values: Any) -> Iterator[None]:
        """Gives this thread other values inside the ``with`` block."""
        before = {name: getattr(self, name) for name in values}
        self.__dict__.update(values)
        try:
            yield
        finally:
            self.__dict__.update(before)


def _again(values: dict[str, Any]) -> PerThread:
    return PerThread(**values)
