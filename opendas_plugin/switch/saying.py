"""What the switch says of the models that a program loads: heard, whatever the program makes of its loggers."""

from __future__ import annotations

import logging
import sys

_logger = logging.getLogger("opendas_plugin.switch")
_aloud = False


def say_aloud() -> None:
    """Writes what is said to the standard error stream from now on, where ``opendas-run`` was asked for it."""
    global _aloud
    _aloud = True


def say(message: str, *values: object, level: int = logging.WARNING) -> None:
    """Says a sentence; ``values`` are put into it as :mod:`logging` does."""
    if _aloud:
        sys.stderr.write(f"{message % values}\n")
        sys.stderr.flush()
        return
    _logger.disabled = False  # logging.config.dictConfig silences loggers that it does not name
    _logger.log(level, message, *values)
