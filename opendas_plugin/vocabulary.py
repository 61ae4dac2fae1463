"""Class names: which there are, which of them are novel, and how a name becomes a text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import names_file, read_json, read_lines, write_json
from opendas_plugin.label_values import LabelValues
from opendas_plugin.names import check_names, normal_form
from opendas_plugin.wording import counted

DEFAULT_TEMPLATE = "a photo of a {}."


@dataclass(frozen=True)
class Vocabulary:
    """The ordered class names of a domain, the novel ones among them, and the text template.

    Args:
        names: all class names, base and novel; a label's index is its place here. They are kept in Unicode's NFC.
        novel: the names that never occur in training; each is one of ``names``.
        template: a text with one ``{}``, where the name goes.
        values: the numbers that the dataset's label maps have for the names; None: not stated.

    Raises:
        DataError: an empty or repeated name (after :func:`~opendas_plugin.names.spell_name`), a novel name that is not
            in ``names``, no base name, a template without exactly one ``{}``, or values of another number of names.
    """

    names: tuple[str, ...]
    novel: tuple[str, ...] = ()
    template: str = DEFAULT_TEMPLATE
    values: LabelValues | None = None

    def __post_init__(self) -> None:
        for field, what in (("names", "class names"), ("novel", "novel names")):
            given = tuple(getattr(self, field))
            check_names(given, what)
            object.__setattr__(self, field, tuple(map(normal_form, given)))
        unknown = [name for name in self.novel if name not in self.names]
        if unknown:
            raise DataError(
                f"every novel name must be a class name, but {_quoted(unknown)} is not; correct the novel names"
            )
        if not self.base:
            raise DataError(
                f"expected at least one name that is not novel, got {counted(len(self.names), 'name')}, all novel"
            )
        check_template(self.template)
        if self.values is not None and len(self.values.of) != len(self.names):
            raise DataError(f"expected label values of {len(self.names)} names, got those of {len(self.values.of)}")

    @cached_property
    def base(self) -> tuple[str, ...]:
        """The names that are not novel, in order."""
        return tuple(name for name in self.names if name not in self.novel)

    @cached_property
    def index(self) -> dict[str, int]:
        """Name -> its place in ``names``."""
        return {name: place for place, name in enumerate(self.names)}

    def texts(self, names: Iterable[str] | None = None) -> list[str]:
        """The template filled with ``names`` (default: all of the vocabulary's), underscores read as spaces."""
        return [fill(self.template, name) for name in (self.names if names is None else names)]

    def save(self, path: str | Path) -> None:
        """Writes the vocabulary as JSON; with label values, they stand by name under ``values`` and ``ignored``."""
        values: dict[str, Any] = {} if self.values is None else self.values.to_json(self.names)
        write_json(path, {"names": self.names, "novel": self.novel, "template": self.template, **values})

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """Reads what :meth:`save` wrote, also before there were label values; further keys are passed over.

        Raises:
            MissingFileError, DataError: there is no such file, or it does not hold a vocabulary.
        """
        content = read_json(path)
        if not isinstance(content, dict) or not all(_is_names(content.get(key, [])) for key in ("names", "novel")):
            raise DataError(f'{path}: expected {{"names": [...], "novel": [...], "template": "..."}} with texts inside')
        template = content.get("template", DEFAULT_TEMPLATE)
        try:
            return cls(
                tuple(content.get("names", ())), tuple(content.get("novel", ())), str(template), _values(content)
            )
        except DataError as error:
            raise DataError(f"{path}: {error}") from error


def fill(template: str, name: str) -> str:
    """The text of a name: the template with the name in it, underscores read as spaces."""
    return template.replace("{}", name.replace("_", " ").strip())


def check_template(template: str) -> None:
    """Raises DataError unless ``template`` has one ``{}``, where the name goes."""
    if not isinstance(template, str) or template.count("{}") != 1:
        raise DataError(f'expected a template with one "{{}}" for the name, got {template!r:.200}')


def read_names(source: str | Path | Iterable[str]) -> list[str]:
    """Names from a text, separated by commas, from the lines of a file, or from a list of them.

    Raises:
        MissingFileError, DataError: there is no such file, or a name is empty or repeated.
    """
    if isinstance(source, str) and not source.strip():
        raise DataError("expected names as a,b,c or a file of names, got an empty text")
    if not isinstance(source, str | Path):
        names, where = [name.strip() for name in source], "the list of names"
    elif isinstance(source, str) and "," in source and not names_file(source):
        names, where = [name.strip() for name in source.split(",")], f"the names {source[:60]!r}"
    else:
        if not names_file(source):
            raise MissingFileError(
                f"{str(source)[:200]} is not a file of names; check the path, or give names as a,b,c (two or more)"
            )
        names, where = read_lines(source), str(source)
    if not names:
        raise DataError(f"{where} holds no name; write one a line")
    check_names(names, where)
    return [normal_form(name) for name in names]


def _values(content: dict[str, Any]) -> LabelValues | None:
    if content.get("values") is None:
        return None
    return LabelValues.from_json(content.get("names", ()), content["values"], content.get("ignored", ()))


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _quoted(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
