"""Methods by name: those in this folder, one file each, and those of other packages.

A package brings a method of its own by an entry point of the group ``opendas_plugin.methods``: its name is that of the
method, its object a :class:`~opendas_plugin.methods.stages.Method`. In that package's ``pyproject.toml``::

    [project.entry-points."opendas_plugin.methods"]
    my_method = "my_package.my_method:METHOD"

Nothing is imported before its method is asked for.
"""

from __future__ import annotations

import functools
import sys
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from opendas_plugin.errors import ConfigError
from opendas_plugin.methods.stages import Method

GROUP = "opendas_plugin.methods"
BUILT_IN = (
    "opendas",
    "opendas_plus",
    "zero_shot",
    "cocoop",
    "vpt",
    "rpo",
    "maple",
    "wise_ft_text",
    "wise_ft_image",
    "promptsrc",
    "mmlop",
    "mlmp",
    "opendas_plus_mlmp",
    "lora",
    "ln_bias",
    "ln_bias_plus",
    "dor",
    "opendas_joint",
)


def names() -> tuple[str, ...]:
    """Returns the names of all methods: the built-in ones, then those of other packages; none is imported."""
    return (*BUILT_IN, *sorted(_found().keys() - set(BUILT_IN)))


def get(name: str) -> Method:
    """Finds a method by its name.

    Raises:
        ConfigError: there is none of this name, several packages offer one, or its package is broken.
    """
    found = _found().get(name, ())
    if len(found) + (name in BUILT_IN) > 1:
        others = " and ".join(_package(point) for point in found)
        taken = "is built in" if name in BUILT_IN else "can be one package's only"
        raise ConfigError(f"{others}: the method name {name!r} {taken}; rename it there, or uninstall the package")
    if name in BUILT_IN:
        method: Method = import_module(f"{__package__}.{name}").METHOD
        return method
    if not found:
        raise ConfigError(f"there is no method {name!r}; choose one of {', '.join(names())}")
    return _load(found[0])


def _load(point: EntryPoint) -> Method:
    try:
        method = point.load()
    except Exception as error:  # another package's code can fail in any way
        reason = " ".join(str(error).split()) or "no reason given"
        raise ConfigError(
            f"{_package(point)}: its method {point.name!r} ({point.value}) could not be imported, "
            f"{type(error).__name__}: {reason}; mend or uninstall the package"
        ) from error
    if not isinstance(method, Method):
        raise ConfigError(
            f"{_package(point)}: expected its method {point.name!r} ({point.value}) to be a Method, got "
            f"{type(method).__name__}; mend or uninstall the package"
        )
    return method


def _found() -> dict[str, list[EntryPoint]]:
    return _found_on(tuple(sys.path))


@functools.lru_cache(maxsize=4)
def _found_on(path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """The methods that the packages installed on a search path offer, by name."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return found


def _package(point: EntryPoint) -> str:
    return f"the package {point.dist.name if point.dist else 'of ' + point.module}"
