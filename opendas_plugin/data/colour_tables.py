"""Tables of class names and colours, for label maps that are drawn in colour, such as CVAT's ``labelmap.txt``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opendas_plugin.errors import DataError
from opendas_plugin.files import read_lines, require_unique
from opendas_plugin.names import normal_form, spell_name

BACKGROUND = "background"
"""What CVAT calls pixels that nobody labelled, in black."""
UNLABELLED = "__ignore__"
"""What labelme calls pixels to ignore: first in its lists of names, where it counts as number -1."""

_NUMBERS = r"(?P<r>\d{1,3})[\s,;]+(?P<g>\d{1,3})[\s,;]+(?P<b>\d{1,3})"
_HAS_NUMBER = re.compile(r"^\d+([\s,;]|$)|[\s,;]\d+$")
_WHOLE = re.compile(rf"(?P<name>.*\S)\s*:\s*{_NUMBERS}\s*:[^:]*:[^:]*")  # where the colour is, nothing else can be
_CVAT = re.compile(rf"(?P<name>.*\S)\s*:\s*{_NUMBERS}")
_NAME_FIRST = re.compile(rf"(?P<name>.*\S)[\s,;]+{_NUMBERS}")
_NAME_LAST = re.compile(rf"{_NUMBERS}[\s,;]+(?P<name>.*\S)")


@dataclass(frozen=True)
class ColourTable:
    """N names and their colours, as numbers: 65536 R + 256 G + B."""

    names: tuple[str, ...]
    numbers: tuple[int, ...]


def read_colour_table(path: str | Path) -> ColourTable | None:
    """Reads lines such as ``door:120,60,20::`` (CVAT's), ``door 120 60 20``, ``door,120,60,20`` or ``120 60 20 door``.

    Empty lines, and those that begin with ``#``, are passed over.

    Returns:
        The table; None: no line has a colour, so that it is another kind of file.

    Raises:
        MissingFileError, DataError: the file cannot be read; a line has no colour where others have one, a number over
            255, or a name or colour that another has.
    """
    rows = [(number, line) for number, line in enumerate(read_lines(path), 1) if line and not line.startswith("#")]
    found = [(number, line, _match(line)) for number, line in rows]
    if 2 * sum(match is not None for _, _, match in found) <= len(found):
        return None  # names, of which some may end in numbers
    names, numbers = [], []
    for number, line, match in found:
        colour = [int(match[one]) for one in "rgb"] if match else []
        doubtful = match is not None and match.re is not _WHOLE and _HAS_NUMBER.search(match["name"])
        if match is None or max(colour) > 255 or doubtful:
            raise DataError(
                f"{path}, line {number}: expected a name and its colour, three numbers up to 255, got {line!r:.80}; "
                "no further number may stand before or behind them"
            )
        names.append(normal_form(match["name"]))
        numbers.append(colour[0] << 16 | colour[1] << 8 | colour[2])
    require_unique(names, f"{path}: the name")
    require_unique(map(describe_colour, numbers), f"{path}: the colour")
    return ColourTable(tuple(names), tuple(numbers))


def is_background(name: str) -> bool:
    """Whether a name is that of pixels that nobody labelled, such as ``Background`` or labelme's ``_background_``."""
    return spell_name(name) == BACKGROUND


def without_unlabelled(names: Sequence[str]) -> list[str]:
    """The names of a list that have numbers from 0 on: less a first ``__ignore__``, as labelme counts."""
    return list(names[1:] if names[:1] == [UNLABELLED] else names)


def describe_colour(number: int) -> str:
    """``R,G,B`` of a colour's number."""
    return f"{number >> 16},{number >> 8 & 255},{number & 255}"


def _match(line: str) -> re.Match[str] | None:
    return next((found for kind in (_WHOLE, _CVAT, _NAME_FIRST, _NAME_LAST) if (found := kind.fullmatch(line))), None)
