"""When two spellings are one class name, and how a name is found in another list.

Within one list only spellings are folded (Unicode form, case, underscores, hyphens, white space), so that ``glass`` and
``glasses`` stay two classes. Between two lists a leading article and a plain plural are passed over as well, where that
leaves one name to choose.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from opendas_plugin.errors import DataError

_OWN_S = {
    *("arms", "binoculars", "briefs", "canvas", "clothes", "customs", "glasses", "goggles", "goods", "greens", "jeans"),
    *("lens", "mathematics", "means", "news", "pants", "pliers", "scissors", "series", "shorts", "slacks", "species"),
    *("spectacles", "sunglasses", "tights", "tongs", "trousers", "tweezers", "waters", "woods", "works"),
}
"""Words that end in s and are no plural, or whose plural is another thing: a glass is no glasses."""


def normal_form(name: str) -> str:
    """The name in Unicode's composed form (NFC), in which lists are kept: ``é`` is one character."""
    return unicodedata.normalize("NFC", name)


def spell_name(name: str) -> str:
    """A key that the spellings of one name share, for comparing within a list; not for showing.

    Unicode form, case, underscores, hyphens and white space are folded: CLIP reads such texts alike.
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().replace("_", " ").replace("-", " ").split())


def fold_name(name: str) -> str:
    """A looser key than :func:`spell_name`, for finding a name in *another* list; see :class:`NameTable`.

    A leading article and the plain English plural of the last word are folded too: ``"The Door_Frames"`` and ``"door
    frame"`` have one key. Irregular plurals ("knives") are not known; words such as "glasses" and "lens" keep their s.
    """
    words = spell_name(name).split()
    if len(words) > 1 and words[0] in ("a", "an", "the"):
        words = words[1:]
    if words:
        words[-1] = _singular_key(words[-1])
    return " ".join(words)


class NameTable:
    """A list of names in which other spellings are found."""

    def __init__(self, names: Iterable[str]) -> None:
        """Takes the names; of two with one spelling the first is found."""
        self._by_spelling: dict[str, str] = {}
        self._by_key: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            if self._by_spelling.setdefault(spell_name(name), name) is name:
                self._by_key[fold_name(name)].append(name)

    def find(self, name: str) -> str | None:
        """The list's name that is spelled so, else the only one that differs by an article or a plural, else None."""
        found = self._by_spelling.get(spell_name(name))
        alike = self._by_key.get(fold_name(name), ())
        return found if found is not None else alike[0] if len(alike) == 1 else None

    def find_all(self, names: Iterable[str]) -> dict[str, str | None]:
        """What each name of another list is here: as :meth:`find`, but that of two that would be one, such as ``cup``
        and ``cups`` where this list has ``cup`` alone, only that which is spelled so is found; neither where none is.
        """
        found = {name: self.find(name) for name in names}
        spellings: defaultdict[str | None, set[str]] = defaultdict(set)
        for name, own in found.items():
            spellings[own].add(spell_name(name))
        return {
            name: own if own is None or len(spellings[own]) == 1 or spell_name(own) == spell_name(name) else None
            for name, own in found.items()
        }

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None


def check_names(names: Iterable[str], what: str) -> None:
    """Raises DataError if a name is empty, or two are one by :func:`spell_name`; ``what`` names the list."""
    seen: dict[str, str] = {}
    for place, name in enumerate(names):
        key = spell_name(name)
        if not key:
            raise DataError(f"{what}: number {place + 1} is empty; give it a name or remove it")
        if key in seen:
            first, second = told_apart(seen[key], name)
            raise DataError(f"{what}: {first} and {second} are the same name; remove or rename one")
        seen[key] = name


def told_apart(*names: str) -> tuple[str, ...]:
    """Names in quotes; with escapes where they look alike and are not equal, as ``é`` of one and of two characters."""
    alike = len({unicodedata.normalize("NFKC", name) for name in names}) < len(set(names))
    return tuple(ascii(name) if alike else repr(name) for name in names)


def _singular_key(word: str) -> str:
    if word in _OWN_S:
        return word
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if word.endswith("ie"):
        return word[:-2] + "y"  # cookies, cookie and cherries, cherry alike
    if len(word) > 3 and word.endswith(("se", "xe", "ze", "che", "she")):
        return word[:-1]  # boxes, box and vases, vase alike
    return word
