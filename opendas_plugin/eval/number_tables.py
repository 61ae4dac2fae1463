"""Tables of classes' numbers that a user states, by a file or a dataset's name, and doubts where nobody stated one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import comb
from pathlib import Path
from typing import Any

from opendas_plugin.errors import DataError
from opendas_plugin.files import read_json
from opendas_plugin.label_values import LabelValues
from opendas_plugin.names import normal_form
from opendas_plugin.wording import counted


def _without(last: int, *gaps: int) -> tuple[int, ...]:
    return tuple(number for number in range(1, last + 1) if number not in gaps)


_THING_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
_PANOPTIC_GAPS = (
    91, 94, 96, 97, 98, 99, 101, 102, 103, 104, 105, 106, 108, 110, 111, 113, 114, 115, 116, 117, 120, 121, 123, 124,
    126, 127, 129, 131, 132, 134, 135, 136, 137, 139, 140, 142, 143, 146, 150, 152, 153, 157, 158, 160, 162, 163, 164,
    165, 167, 169, 170, 172, 173, 174, 179, 182, 183,
)  # fmt: skip
KNOWN: Mapping[str, tuple[int, ...]] = {
    "coco-stuff": _without(182, *_THING_GAPS, 91),
    "coco-panoptic": _without(200, *_THING_GAPS, *_PANOPTIC_GAPS),
    "coco-things": _without(90, *_THING_GAPS),
    "cityscapes": (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33),
}
"""Datasets whose own ids have gaps: the id of each class in the order of detectron2's contiguous ids."""
PLACES = "places"
_CHANCE = 0.01

_KEYS = ("dataset_id_to_contiguous_id", "stuff_dataset_id_to_contiguous_id")


def read_table(source: str, names: Sequence[str]) -> LabelValues:
    """The numbers of ``names`` by what the user states.

    Args:
        source: "places" (0, 1, ...), one of :data:`KNOWN`, or a file: JSON of ``{"name": number or numbers}``, or of a
            list of the numbers in the order of the names; ``vocabulary.json`` with its values; COCO's categories;
            detectron2's ``{"stuff_dataset_id_to_contiguous_id": {...}}``; or a text of lines "number name".
        names: N class names.

    Raises:
        MissingFileError: there is no such file.
        DataError: the table does not give the N names their numbers.
    """
    if source == PLACES:
        return LabelValues.places(len(names))
    if source in KNOWN:
        ids = KNOWN[source]
        if len(ids) != len(names):
            raise DataError(
                f"{source} has {counted(len(ids), 'class', 'classes')}, but there are {len(names)} names; give a file"
            )
        return LabelValues(tuple((number,) for number in ids))
    path = Path(source)
    try:
        return _parse(_content(path), names)
    except DataError as error:
        raise error if str(error).startswith(str(path)) else DataError(f"{path}: {error}") from error


def doubt(numbers: Collection[int], others: Collection[int], count: int) -> str | None:
    """The dataset whose own ids, with their gaps, explain the numbers of one side alone; None: no reason to doubt.

    Args:
        numbers: those that occur on a side, where nobody has stated what they mean.
        others: those of the other side.
        count: the number of classes.
    """
    for name, ids in KNOWN.items():
        if count in (len(ids), max(ids)) and _leaves_gaps(numbers, ids) and not _leaves_gaps(others, ids):
            return name
    return None


def _leaves_gaps(numbers: Collection[int], ids: Sequence[int]) -> bool:
    """Whether the numbers are ids, or ids less one, and so many that leaving all gaps free by chance is unlikely."""
    for known in (set(ids), {number - 1 for number in ids}):
        if set(numbers) <= known and numbers:
            span = max(numbers) + 1
            others = len([number for number in known if number < span])
            if comb(others, len(numbers)) < _CHANCE * comb(span, len(numbers)):
                return True
    return False


def _content(path: Path) -> Any:
    try:
        return read_json(path)
    except DataError:
        return _lines(path)


def _lines(path: Path) -> list[dict[str, Any]]:
    """Lines "number name", as ScanNet's class lists are, in COCO's form."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        first, _, name = line.strip().partition(" ")
        if line.strip() and not (first.isdecimal() and name.strip()):
            raise DataError(f'{path}, line {number}: expected JSON, or lines "number name", got {line!r:.60}')
        if line.strip():
            found.append({"id": int(first), "name": name.strip()})
    return found


def _parse(content: Any, names: Sequence[str]) -> LabelValues:
    forms: Sequence[Callable[[Any, Sequence[str]], LabelValues | None]] = (_numbers, _categories, _contiguous, _by_name)
    for form in forms:
        table = form(content, names)
        if table is not None:
            return table
    raise DataError('expected {"name": number, ...}, a list of numbers, or categories with "id" and "name"')


def _numbers(content: Any, names: Sequence[str]) -> LabelValues | None:
    if not isinstance(content, list) or not content or not all(type(number) is int for number in content):
        return None
    if len(content) != len(names):
        raise DataError(f"expected the numbers of {len(names)} names, got {len(content)}")
    return LabelValues(tuple((number,) for number in content))


def _categories(content: Any, names: Sequence[str]) -> LabelValues | None:
    listed = content.get("categories") if isinstance(content, dict) else content
    if not isinstance(listed, list) or not all(isinstance(one, dict) and {"id", "name"} <= set(one) for one in listed):
        return None
    by_name: dict[str, Any] = {}
    for one in listed:
        by_name.setdefault(normal_form(str(one["name"])), []).append(one["id"])
    return LabelValues.from_json(names, by_name)


def _contiguous(content: Any, names: Sequence[str]) -> LabelValues | None:
    table = next((content[key] for key in _KEYS if key in content), None) if isinstance(content, dict) else None
    if not isinstance(table, dict):
        return None
    rows: list[list[int]] = [[] for _ in names]
    for number, place in table.items():
        if not number.isdecimal() or type(place) is not int or not 0 <= place < len(names):
            raise DataError(f"expected dataset ids with places 0 to {len(names) - 1}, got {number!r:.9}: {place!r:.9}")
        rows[place].append(int(number))
    empty = [name for name, own in zip(names, rows, strict=True) if not own]
    if empty:
        raise DataError(f"no dataset id has the place of {empty[0]!r}; the {len(names)} names need one each")
    return LabelValues(tuple(map(tuple, rows)))


def _by_name(content: Any, names: Sequence[str]) -> LabelValues | None:
    if not isinstance(content, dict):
        return None
    if "names" in content or "values" in content:
        if content.get("values") is None:
            raise DataError('it has no "values"; prepare the data again, or give a file of name -> number')
        return LabelValues.from_json(names, content["values"], content.get("ignored", ()))
    return LabelValues.from_json(names, content)
