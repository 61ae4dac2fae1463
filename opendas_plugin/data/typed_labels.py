"""Class names of labels that people type, as in labelme: spellings of one name are one class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from opendas_plugin.errors import DataError
from opendas_plugin.names import normal_form, spell_name
from opendas_plugin.vocabulary import read_names

NO_CLASSES = ("__ignore__", "_background_")
"""Lines of labelme's ``labels.txt``, and labels of shapes, that are no classes."""


class TypedLabels:
    """The classes of labels that occur.

    Args:
        counts: label -> how often it occurs.
        classes: the names in their order, a,b,c or a file with one a line; other labels are none. None: all labels that
            occur, by the alphabet, in the spelling that occurs most.
        where: what the labels are of, in errors.

    Attributes:
        names: the class names.

    Raises:
        MissingFileError, DataError: the names cannot be read, or there is none.
    """

    def __init__(self, counts: Mapping[str, int], classes: str | None, where: str) -> None:
        if classes is not None:
            names = [name for name in read_names(classes) if name not in NO_CLASSES]
        else:
            spellings: defaultdict[str, list[str]] = defaultdict(list)
            for label in sorted(set(counts) - {*NO_CLASSES}, key=lambda label: (-counts[label], label)):
                spellings[spell_name(label)].append(label)
            names = sorted(normal_form(alike[0]) for key, alike in spellings.items() if key)
        if not names:
            raise DataError(f"{where} has no label that is a class; label some pictures, or correct `classes`")
        self.names = tuple(names)
        self._of = {spell_name(name): name for name in names}

    def find(self, label: str) -> str | None:
        """The class of a label; None: it is none."""
        return None if label in NO_CLASSES else self._of.get(spell_name(label))
