"""Bounds of settings that may come from a stranger's file: kinds, ranges, and texts that a terminal can show."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

from opendas_plugin.errors import ConfigError

MAX_TOKENS = 4096
MAX_LAYERS = 1000
MAX_RANK = 4096
MAX_ENTRIES = 10_000_000
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSHOWN = ("Cc", "Cs", "Cn", "Co", "Zl", "Zp")  # controls such as ESC, halves of characters, no characters, line ends


def check_whole(name: str, value: Any, least: int, most: int) -> None:
    """Raises ConfigError unless ``value`` is a whole number from ``least`` to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"expected {name} to be {least} or more, got {shortened(value)}")
    if value > most:
        raise ConfigError(f"expected {name} to be at most {most}, got {shortened(value)}")


def check_number(name: str, value: Any, least: float = -math.inf, most: float = math.inf) -> None:
    """Raises ConfigError unless ``value`` is a finite number from ``least`` to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
        raise ConfigError(f"expected {name} to be a number, got {shortened(value)}")
    if not least <= value <= most:
        raise ConfigError(f"expected {name} to be from {least:g} to {most:g}, got {shortened(value)}")


def check_text(name: str, value: Any, longest: int = 1000) -> None:
    """Raises ConfigError unless ``value`` is a text of at most ``longest`` characters that a terminal shows as is."""
    if not isinstance(value, str):
        raise ConfigError(f"expected {name} to be a text, got {shortened(value)}")
    if len(value) > longest:
        raise ConfigError(f"expected {name} to have at most {longest} characters, got {len(value)}")
    for character in value:
        if character in _DIRECTIONS or unicodedata.category(character) in _UNSHOWN:
            raise ConfigError(f"expected {name} to be plain text, got the character U+{ord(character):04X} in it")


def check_plain(name: str, value: Any, depth: int = 10) -> None:
    """Raises ConfigError where the texts of nested JSON values are none for a terminal, or nested too deep."""
    if depth == 0:
        raise ConfigError(f"expected {name} to be nested at most 10 deep")
    if isinstance(value, str):
        check_text(name, value, 10_000)
    for inner in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
        check_plain(name, inner, depth - 1)


def shortened(value: Any) -> str:
    """``value`` for a message: ``repr``, cut, with nothing that a terminal obeys."""
    try:
        found = ascii(value)
    except ValueError:  # a whole number of more digits than Python writes
        found = "a number of thousands of digits"
    return found if len(found) <= 80 else f"{found[:77]}..."
