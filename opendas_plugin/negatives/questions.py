"""What a language model is asked about a vocabulary, which of its answers count, and where they are kept."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opendas_plugin.errors import ConfigError, DataError, MissingFileError, OutputError
from opendas_plugin.names import fold_name
from opendas_plugin.negatives.database import NAMES_PER_CLASS, Negative
from opendas_plugin.vocabulary import Vocabulary
from opendas_plugin.wording import counted

LONGEST = 60  # characters of a name; anything longer is a sentence
_CHARACTERS_PER_TOKEN = 4  # OpenAI's rule of thumb for English

Messages = list[dict[str, str]]


def messages(
    names: Sequence[str], vocabulary: Vocabulary, domain: str, complaints: Mapping[str, str] | None = None
) -> Messages:
    """The chat that asks for the related names of ``names``. Novel names are never shown.

    Args:
        names: training classes to ask about.
        vocabulary: its base names are listed as names not to use.
        domain: what is annotated, such as "office scenes".
        complaints: class -> what was wrong with its last answer.
    """
    task = (
        f"You help to annotate {domain}. For each class name that you are given, list exactly {NAMES_PER_CLASS} "
        f"different names that an annotator of {domain} could confuse with it: other things that look alike, are made "
        "alike or are found at the same place. Each is a common noun phrase of one to three words in the singular. "
        "Never give the class itself, nor any of these names, their synonyms, plurals or spellings: "
        f'{", ".join(vocabulary.base)}. Answer in JSON: {{"classes": [{{"name": the class name as given, "related": '
        f"[{NAMES_PER_CLASS} names]}}, ...]}}."
    )
    question = "Classes: " + json.dumps(list(names), ensure_ascii=False)
    for name in names:
        if complaints and name in complaints:
            question += f"\nYour last answer for {json.dumps(name, ensure_ascii=False)} cannot be used: "
            question += complaints[name]
    return [{"role": "system", "content": task}, {"role": "user", "content": question}]


def batches(names: Sequence[str], size: int) -> list[Sequence[str]]:
    """``names`` in groups of ``size``, the last one shorter."""
    return [names[start : start + size] for start in range(0, len(names), size)]


def estimate_tokens(chat: Messages, classes: int) -> tuple[int, int]:
    """About how many tokens a request and its answer take, by their number of characters."""
    answer = classes * (20 + NAMES_PER_CLASS * 16)
    return sum(len(part["content"]) for part in chat) // _CHARACTERS_PER_TOKEN, answer // _CHARACTERS_PER_TOKEN


def check(name: str, related: Sequence[str], vocabulary: Vocabulary) -> tuple[tuple[str, ...], str | None]:
    """The names of an answer that can be used, at most five, and what is wrong with the answer, if anything is."""
    taken = {fold_name(other): other for other in vocabulary.base}
    good: dict[str, str] = {}
    wrong = []
    for other in (" ".join(other.split()) for other in related):
        key = fold_name(other)
        if not key or len(other) > LONGEST:
            wrong.append(f"{other!r:.80} is not a name")
        elif key in taken:
            wrong.append(f"{other!r} is the class name {taken[key]!r}")
        elif key in good:
            wrong.append(f"{other!r} comes twice")
        else:
            good[key] = other
    if len(related) != NAMES_PER_CLASS:
        wrong.append(f"it has {counted(len(related), 'name')}, not {NAMES_PER_CLASS}")
    return tuple(good.values())[:NAMES_PER_CLASS], "; ".join(wrong) + "." if wrong else None


class AnswerFile:
    """The answers so far, each on disk before the next is asked for, so that a stopped run can go on.

    The first line of the file holds the settings that were asked with, and each further one a class with its related
    names and their sources. A line that was cut off by a kill is dropped.

    Args:
        path: the file; it is made when the first answer comes.
        settings: what the answers depend on.

    Raises:
        ConfigError: the file's answers were asked with other settings.
        DataError: it is not such a file.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.settings = dict(settings)
        self.entries: dict[str, tuple[Negative, ...]] = {}
        self._end = 0
        if path.exists():
            self._read()

    def add(self, name: str, related: Sequence[Negative]) -> None:
        """Keeps a class's related names.

        Raises:
            OutputError: the file cannot be written.
        """
        line = json.dumps({"class": name, "related": [vars(item) for item in related]}, ensure_ascii=False) + "\n"
        if not self._end:
            line = json.dumps({"settings": self.settings}, ensure_ascii=False) + "\n" + line
        data = line.encode("utf-8")
        try:
            with open(self.path, "r+b" if self._end else "wb") as file:
                file.seek(self._end)
                file.write(data)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"could not write {self.path}: {error.strerror}; free space and run again") from error
        self._end += len(data)
        self.entries[name] = tuple(related)

    def _read(self) -> None:
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            raise MissingFileError(f"{self.path} cannot be read ({error.strerror}); remove it to ask anew") from error
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            try:
                content = json.loads(line)
                if number == 1:
                    self._compare(content["settings"])
                else:
                    related = tuple(Negative(_text(item["name"]), _text(item["source"])) for item in content["related"])
                    self.entries[_text(content["class"])] = related
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                if isinstance(error, ConfigError):
                    raise
                raise DataError(
                    f"{self.path}, line {number}: expected an answer, got {line[:60]!r}; remove the line or the file"
                ) from error
            self._end += len(line)

    def _compare(self, found: Mapping[str, Any]) -> None:
        for key in sorted({*found, *self.settings}):
            if found.get(key) != self.settings.get(key):
                raise ConfigError(
                    f"{self.path} was asked with {key} = {found.get(key)!r}, now it is {self.settings.get(key)!r}; "
                    "use the same flags to go on, or remove the file"
                )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
