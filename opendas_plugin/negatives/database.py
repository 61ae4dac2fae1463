"""The related names of each class: read, checked, and compared with the names that evaluation asks for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opendas_plugin.errors import DataError
from opendas_plugin.files import read_json, write_json
from opendas_plugin.names import NameTable, check_names, fold_name
from opendas_plugin.vocabulary import Vocabulary

Mining = Literal["hardest", "semi_hard", "pool", "training", "random"]
"""Which of a class's related names a training step takes; see :mod:`~opendas_plugin.negatives.mining`."""

NAMES_PER_CLASS = 5
OFFLINE = "offline"
"""The source of names that no language model gave."""


@dataclass(frozen=True)
class Negative:
    """A related name and where it came from (``hand``, ``offline``, a language model's name)."""

    name: str
    source: str


@dataclass(frozen=True)
class NegativeDatabase:
    """Class name -> its related names; a file of it is ``{"class": [{"name": ..., "source": ...}, ...]}``."""

    entries: Mapping[str, tuple[Negative, ...]]

    @classmethod
    def load(cls, path: str | Path) -> NegativeDatabase:
        """Reads a database file.

        Raises:
            MissingFileError, DataError: there is no such file, or it does not hold a database.
        """
        content = read_json(path)
        if not isinstance(content, dict):
            raise DataError(
                f'{path}: expected {{"class": [{{"name": ..., "source": ...}}]}}, got a {type(content).__name__}'
            )
        check_names(content, f"{path}: classes")
        return cls(
            {name: tuple(_negative(path, name, item) for item in _items(path, name, content)) for name in content}
        )

    def save(self, path: str | Path) -> None:
        """Writes the database as JSON."""
        write_json(path, self._plain())

    def related(self, vocabulary: Vocabulary) -> list[tuple[str, ...]]:
        """The related names of each training class, in ``vocabulary.base`` order; none where the class is not here."""
        found = NameTable(self.entries).find_all(vocabulary.base).values()
        return [() if name is None else tuple(item.name for item in self.entries[name]) for name in found]

    def validate(self, vocabulary: Vocabulary) -> None:
        """Checks that every training class has five distinct names, none of which is the name of a training class.

        Spellings are compared after case, plural and article folding. Names equal to a *novel* name pass; :meth:`leaks`
        counts them.

        Raises:
            DataError: with the class, the name, and what is wrong.
        """
        classes = {fold_name(name): name for name in vocabulary.base}
        for name, related in zip(vocabulary.base, self.related(vocabulary), strict=True):
            keys = [fold_name(other) for other in related]
            if len(set(keys)) != NAMES_PER_CLASS or len(keys) != NAMES_PER_CLASS:
                raise DataError(
                    f"negatives of {name!r}: expected {NAMES_PER_CLASS} distinct names, "
                    f"got {', '.join(related) or 'none'}; complete the file or make one with opendas-negatives"
                )
            for other, key in zip(related, keys, strict=True):
                if key in classes:
                    what = "the class itself" if classes[key] == name else f"the training class {classes[key]!r}"
                    raise DataError(f"negatives of {name!r}: {other!r} is {what}; choose another name")

    def leaks(self, vocabulary: Vocabulary) -> dict[str, int]:
        """How often each novel name, which only evaluation knows, is among the related names; absent where never."""
        used = [fold_name(other) for related in self.related(vocabulary) for other in related]
        counts = {name: used.count(fold_name(name)) for name in vocabulary.novel}
        return {name: count for name, count in counts.items() if count}

    def without_novel(self, vocabulary: Vocabulary) -> NegativeDatabase:
        """The database less every name equal to a novel one; a class may then have fewer than five.

        Whoever trains with it has used evaluation names, and must say so.
        """
        novel = {fold_name(name) for name in vocabulary.novel}
        kept = {c: tuple(n for n in own if fold_name(n.name) not in novel) for c, own in self.entries.items()}
        return NegativeDatabase(kept)

    def digest(self) -> str:
        """SHA-256 of the content, by which a resumed run knows its database."""
        return hashlib.sha256(json.dumps(self._plain(), sort_keys=True).encode()).hexdigest()

    def _plain(self) -> dict[str, list[dict[str, str]]]:
        return {name: [vars(item) for item in negatives] for name, negatives in self.entries.items()}


def _items(path: str | Path, name: str, content: dict[str, Any]) -> list[Any]:
    if not isinstance(content[name], list):
        raise DataError(f"{path}: expected a list of related names for {name!r}, got {content[name]!r}")
    return content[name]


def _negative(path: str | Path, name: str, item: Any) -> Negative:
    if not isinstance(item, dict) or not all(
        isinstance(item.get(key), str) and item[key] for key in ("name", "source")
    ):
        raise DataError(f'{path}: expected {{"name": ..., "source": ...}} for {name!r}, got {item!r}')
    return Negative(item["name"], item["source"])


def describe_leaks(leaks: Mapping[str, int], dropped: bool = False) -> str:
    """The report of related names that equal novel names, by novel name and count."""
    names = ", ".join(f"{name} ({count})" for name, count in leaks.items())
    fate = "dropped: the result has used evaluation names" if dropped else "kept (`drop_novel` leaves them out)"
    return f"{sum(leaks.values())} related names equal novel names, {names}, and are {fate}"
