"""Recipes: YAML files that hold what differs from the defaults of :class:`~opendas_plugin.train.config.TrainConfig`.

A recipe serves all methods: what it holds at the top goes before what a method is published with, and what it holds
under a method's name is for this method alone, and goes before both. ``base: office`` starts from another recipe,
built-in or a file beside this one, and changes what it holds; ``base: null`` says that the defaults are meant.
``crops: auto`` has them chosen by the data.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from opendas_plugin import methods
from opendas_plugin.errors import ConfigError, MissingFileError
from opendas_plugin.files import read_text
from opendas_plugin.model.tiny_clips import TINY_CLIPS
from opendas_plugin.train.config import TrainConfig

FOLDER = Path(__file__).parent.parent / "recipes"

BASE = "base"
CROPS, AUTO = "crops", "auto"

T = TypeVar("T")

log = logging.getLogger(__name__)


def default_recipe(backbone: str | None) -> str:
    """The recipe for a backbone where none is named: ``office`` was tuned on the tiny CLIPs, and is for them alone."""
    return "office" if backbone is None or str(backbone) in TINY_CLIPS else "clip"


def describe(recipe: str | Path) -> str:
    """A recipe in words for the log: its name, and what it starts from where it is a file."""
    path, values = _read(recipe)
    if path.parent == FOLDER:
        return str(recipe)
    return f"{recipe} (from {values.get(BASE) or 'the plain defaults'})"


def read_recipe(
    recipe: str | Path | None = None, method: str | None = None, changes: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Reads a recipe for one method.

    Args:
        recipe: a file, or the name of a built-in recipe, such as ``office`` or ``paper``; None: the backbone's default.
        method: what to learn by; None: the one that the recipe names, or the default.
        changes: fields that go before all others, nested as in a recipe.

    Raises:
        MissingFileError: neither a file nor a built-in recipe.
        ConfigError: no such method, not YAML, an unknown field, or a value of another kind; the message has the name
            of the field.
    """
    path, values = _read(recipe or default_recipe((changes or {}).get("backbone")))
    if BASE in values:
        values = _over_base(path, values, (path.resolve(),))
    elif path.parent != FOLDER:
        _say_start(path)
    method = method or values.get("method") or TrainConfig.method
    common = {name: value for name, value in values.items() if name not in methods.names()}
    layers = methods.get(method).recipe, common, values.get(method) or {}, {"method": method}, changes or {}
    try:
        return build(TrainConfig, _with_auto_crops(functools.reduce(merge, layers)), str(path))
    except ConfigError:
        build(TrainConfig, _with_auto_crops(changes or {}), "settings")  # a fault of the caller's is not the file's
        raise


def _read(recipe: str | Path, beside: Path = Path()) -> tuple[Path, dict[str, Any]]:
    """A recipe's file and what it holds; ``beside`` is the folder that a relative path is in."""
    built_in = FOLDER / f"{recipe}.yaml"
    path = built_in if built_in.is_file() else beside / recipe
    try:
        values = yaml.safe_load(read_text(path))
    except MissingFileError as error:
        names = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise MissingFileError(f"there is no recipe {recipe}; give a file or one of {names}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: expected a YAML file ({' '.join(str(error).split())})") from error
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a recipe to have fields, got {values!r:.200}")
    return path, values


def _over_base(path: Path, values: dict[str, Any], seen: tuple[Path, ...]) -> dict[str, Any]:
    """What a recipe holds, over what its base holds."""
    base, own = values.get(BASE), {name: value for name, value in values.items() if name != BASE}
    if base is None:
        return own
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base should be the name of a recipe or a file, got {base!r:.200}")
    under, held = _read(base, path.parent)
    if under.resolve() in seen:
        raise ConfigError(f"{path}: its base {base} starts from this recipe; let one of them start from another")
    return merge(_over_base(under, held, (*seen, under.resolve())), own)


@functools.cache
def _say_start(path: Path) -> None:
    log.info(
        "%s says no base, so it starts from the plain defaults, not from a recipe; write base: clip (or another "
        "recipe) into it to start from that, or base: null where the defaults are meant",
        path,
    )


def _with_auto_crops(values: Any) -> Any:
    """``crops: auto`` as the field that says so; crops above it in the layers have taken its place."""
    if isinstance(values, Mapping) and values.get(CROPS) == AUTO:
        return {**{name: value for name, value in values.items() if name != CROPS}, "auto_crops": True}
    return values


def build(kind: type[T], values: Any, source: str, prefix: str = "") -> T:
    """Builds a dataclass from nested mappings; what they leave out keeps its default.

    Args:
        kind: the dataclass.
        values: field name -> value, or mapping for a field that is a dataclass.
        source: where they come from, for messages.
        prefix: the names of the fields around it, for messages.

    Raises:
        ConfigError: as :func:`read_recipe` says.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{source}: expected {prefix.rstrip('.') or 'a recipe'} to have fields, got {values!r}")
    hints = get_type_hints(kind)
    given: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            raise ConfigError(f"{source}: unknown field {prefix}{name}; expected one of {', '.join(hints)}")
        if dataclasses.is_dataclass(hints[name]):
            given[name] = build(hints[name], value, source, f"{prefix}{name}.")
        else:
            given[name] = _value(value, hints[name], f"{source}: {prefix}{name}")
    try:
        return kind(**given)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def merge(below: Any, above: Any) -> Any:
    """Nested mappings laid over each other; anything else takes the place of what is below."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    return {**below, **{name: merge(below.get(name), value) for name, value in above.items()}}


def _value(value: Any, hint: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return None if value is None else _value(value, arguments[0], where)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(f"{where} should be one of {', '.join(map(str, arguments))}, got {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple) or len(value) != len(arguments):
            raise ConfigError(f"{where} should be a list of {len(arguments)}, got {value!r}")
        return tuple(_value(item, kind, where) for item, kind in zip(value, arguments, strict=True))
    if hint is float and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-5 as a text
        except (TypeError, ValueError):
            pass
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"{where} should be of type {hint.__name__}, got {value!r}")
