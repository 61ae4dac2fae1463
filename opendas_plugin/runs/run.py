"""What all runs share: settings that are checked before the work begins, and a function of plain arguments.

A run is a frozen dataclass of its settings, each with a line that says what it is, and a method that does the work::

    @dataclass(frozen=True)
    class Semantic(Run[dict[str, Any]]):
        '''Scores class maps.'''

        ground_truth: Path
        '''Folder of label PNGs.'''

        def work(self, record: RunRecord) -> dict[str, Any]:
            ...
            record.write(self.output)
            return summary

    evaluate_semantic = function_of(Semantic, "evaluate_semantic")

The function is for Python, and takes the settings as keywords. The command of the same work parses flags into the same
dataclass and calls it, so both do the same to the bit.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import sys
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Generic, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from opendas_plugin.errors import ConfigError
from opendas_plugin.runs.record import RunRecord

INLINE: Mapping[str, Any] = {"inline": True}
"""Metadata of a field that is a dataclass whose own fields a command takes as flags without its name before them."""
POSITIONAL: Mapping[str, Any] = {"positional": True}
"""Metadata of a field that a command takes as an argument of its own, not as a flag."""

Result = TypeVar("Result")
Settings = ParamSpec("Settings")


@dataclass(frozen=True)
class Run(ABC, Generic[Result]):
    """Settings, and the work that is done with them. A path may be given as text, and a text that may be one as a path;
    a list or one value where several may stand.

    Errors name a setting in backticks, as in "`oracle` needs `features`"; a command shows it as a flag.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, str) and hints[field.name] in (Path, Path | None):
                object.__setattr__(self, field.name, Path(value))
            if isinstance(value, Path) and hints[field.name] in (str, str | None):
                object.__setattr__(self, field.name, str(value))
            if _is_tuple(hints[field.name]) and isinstance(value, list | int | str | Path):
                object.__setattr__(self, field.name, tuple(value) if isinstance(value, list) else (value,))

    def check(self) -> None:
        """Looks whether the settings go together, before anything is read.

        Raises:
            ConfigError: they do not.
        """

    def unused(self) -> Mapping[str, str]:
        """Settings that the others leave without effect, so that they must not be given, each with the reason.

        A reason goes on where "`name` has no effect" ends, as in "without `features`".
        """
        return {}

    @abstractmethod
    def work(self, record: RunRecord) -> Result:
        """Does the work, and writes ``record`` beside the results."""

    def validate(self, given: Collection[str]) -> None:
        """Looks whether every setting is one of its choices and has an effect, and whether they go together.

        Args:
            given: names of the settings that the caller chose.

        Raises:
            ConfigError: one is not, or they do not.
        """
        for name, choices in _choices(type(self)).items():
            if getattr(self, name) not in choices:
                chosen, names = getattr(self, name), ", ".join(map(str, choices))
                raise ConfigError(f"`{name}` must be one of {names}, got {chosen!r}")
        for name, reason in self.unused().items():
            if name in given:
                raise ConfigError(f"`{name}` has no effect {reason}; leave it out")
        self._require_own_output()
        self.check()

    def _require_own_output(self) -> None:
        """Looks whether ``output``, where there is one, is another place than those that are read."""
        output = getattr(self, "output", None)
        if not isinstance(output, Path):
            return
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name != "output" and isinstance(value, Path) and value.resolve() == output.resolve():
                raise ConfigError(f"`output` is what is read as `{field.name}`, {value}; give a place of its own")

    def __call__(self, command: str | None = None) -> Result:
        """Checks the settings and does the work.

        Args:
            command: the command line that asks for it, for ``run.json``.

        Raises:
            ConfigError: settings that do not go together, or that have no effect.
            OpenDASError: what the work raises.
        """
        self.validate(changed(self))
        record = RunRecord(self, command=command, seed=getattr(self, "seed", None))
        with record.listening():
            try:
                return self.work(record)
            except BaseException as error:
                self.stopped(record, error)
                raise

    def stopped(self, record: RunRecord, error: BaseException) -> None:
        """Called where the work ends in an error, before that goes on to the caller."""


def changed(run: Run[Any]) -> set[str]:
    """Names of the settings that are not at their default."""
    return {
        field.name
        for field in dataclasses.fields(run)
        if getattr(run, field.name) != field.default
        and (field.default_factory is dataclasses.MISSING or getattr(run, field.name) != field.default_factory())
    }


def function_of(run: Callable[Settings, Run[Result]], name: str) -> Callable[Settings, Result]:
    """Makes a run's function, called ``name``: its arguments are the settings; it checks them and does the work."""

    @functools.wraps(run, assigned=("__module__",), updated=())
    def function(*args: Settings.args, **kwargs: Settings.kwargs) -> Result:
        return run(*args, **kwargs)()

    function.__name__ = function.__qualname__ = name
    about = "\n".join(f"    {setting}: {text}" for setting, text in _help(run).items())
    function.__doc__ = f"{inspect.getdoc(run)}\n\nArgs:\n{about}\n\nRaises:\n    OpenDASError: what cannot be done.\n"

    function.__signature__ = inspect.signature(run).replace(return_annotation=inspect.Signature.empty)  # type: ignore[attr-defined]
    return function


def _is_tuple(hint: Any) -> bool:
    """Whether a setting is a tuple of any number of values, or None."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return any(get_origin(kind) is tuple for kind in kinds)


def _choices(kind: type) -> dict[str, list[Any]]:
    """The settings with a few possible values, which a command line cannot get wrong and Python can."""
    found = {}
    for name, hint in get_type_hints(kind).items():
        kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        if all(part is NoneType or get_origin(part) is Literal for part in kinds):
            found[name] = [choice for part in kinds for choice in get_args(part) or (None,)]
    return found


def _help(run: Any) -> dict[str, str]:
    """The line of each setting, read from the source, where it stands below the field."""
    found: dict[str, str] = {}
    kinds: list[type] = [kind for kind in reversed(run.__mro__) if "__dataclass_fields__" in vars(kind)]
    for kind in kinds:
        for field, text in itertools.pairwise(_body(kind)):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                found[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return {field.name: found.get(field.name, "") for field in dataclasses.fields(run)}


def _body(kind: type) -> list[ast.stmt]:
    """The statements of a class, read from the source."""
    if kind.__qualname__ in (known := _bodies(kind.__module__)):
        return known[kind.__qualname__]
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]  # a class in a function, or made by one
    return body.body if isinstance(body, ast.ClassDef) else []


@functools.cache
def _bodies(module: str) -> dict[str, list[ast.stmt]]:
    """Those of a module's own classes: it is read once, where inspect reads all of it for each class."""
    try:
        nodes = ast.parse(inspect.getsource(sys.modules[module])).body
    except (OSError, TypeError):  # a notebook's cell, of which inspect knows the class alone
        return {}
    return {node.name: node.body for node in nodes if isinstance(node, ast.ClassDef)}
