"""Which numbers of a label map mean which class: a table that is stated, never guessed from an order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.names import normal_form

NONE, UNKNOWN = -1, -2
"""Places of :meth:`LabelValues.places_of`: a number that is no class, and one that the table does not have."""


@dataclass(frozen=True)
class LabelValues:
    """The numbers of N classes in files.

    Args:
        of: the numbers of each class, in the order of the names; most classes have one, some none or several.
        ignored: numbers that are no class: pixels to ignore in a label map, without a prediction in a predicted one.

    Raises:
        DataError: a number is negative or no integer, or has two meanings.
    """

    of: tuple[tuple[int, ...], ...]
    ignored: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        numbers = [*(number for own in self.of for number in own), *self.ignored]
        odd = [number for number in numbers if type(number) is not int or not 0 <= number < 2**32]
        if odd:
            raise DataError(f"expected whole label values from 0 to 2^32, got {odd[0]!r:.40}")
        if len(set(numbers)) < len(numbers):
            twice = next(number for number in numbers if numbers.count(number) > 1)
            raise DataError(f"the label value {twice} has two meanings; every value is one class, or ignored")

    @classmethod
    def places(cls, count: int, first: int = 0, ignored: Iterable[int] = ()) -> LabelValues:
        """The numbers ``first``, ``first + 1``, ... for ``count`` classes."""
        return cls(tuple((first + place,) for place in range(count)), tuple(ignored))

    @classmethod
    def from_json(cls, names: Sequence[str], values: Any, ignored: Any = ()) -> LabelValues:
        """The table of a JSON object, name -> number or list of numbers, which has to have every one of ``names``.

        Raises:
            DataError: it is no such object, or a name is missing or unknown.
        """
        if not isinstance(values, Mapping) or not isinstance(ignored, list | tuple):
            raise DataError('expected "values" to be {"name": number or list of numbers, ...}, and "ignored" a list')
        names = list(map(normal_form, names))
        values = {normal_form(name): numbers for name, numbers in values.items()}
        missing, unknown = [name for name in names if name not in values], sorted(set(values) - set(names))
        if missing or unknown:
            name, what = (missing[0], "has no value") if missing else (unknown[0], "is not one of the names")
            raise DataError(f"the label values do not fit the {len(names)} names: {name!r} {what}; correct the values")
        listed = [values[name] if isinstance(values[name], list) else [values[name]] for name in names]
        return cls(tuple(map(tuple, listed)), tuple(ignored))

    def to_json(self, names: Sequence[str]) -> dict[str, Any]:
        """``values`` and ``ignored``, as :meth:`from_json` reads them."""
        numbers = {name: own[0] if len(own) == 1 else list(own) for name, own in zip(names, self.of, strict=True)}
        return {"values": numbers, "ignored": list(self.ignored)}

    @cached_property
    def place(self) -> dict[int, int]:
        """Number -> the place of its class."""
        return {number: place for place, own in enumerate(self.of) for number in own}

    def places_of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The place of each number's class, of the same shape; :data:`NONE` if it is ignored, else :data:`UNKNOWN`."""
        meanings = {**self.place, **dict.fromkeys(self.ignored, NONE)}
        known = np.array(sorted(meanings), dtype=np.int64)
        if not len(known):
            return np.full(numbers.shape, UNKNOWN)
        row = np.searchsorted(known, numbers).clip(max=len(known) - 1)
        return np.where(known[row] == numbers, np.array([meanings[int(one)] for one in known])[row], UNKNOWN)

    def describe(self) -> str:
        """The numbers of the classes for an error: the first and the last, and how many there are."""
        known = sorted(self.place)
        if known and known == list(range(known[0], known[-1] + 1)):
            return f"{known[0]} to {known[-1]}"
        return ", ".join(map(str, known if len(known) < 8 else [*known[:5], "...", known[-1]]))
