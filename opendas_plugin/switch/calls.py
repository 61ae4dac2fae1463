"""The calls by which programs load a CLIP, answered by a switch.

A function's code is replaced, not its name: whoever has imported it before calls the new code, too. Nothing heavy is
imported here, and nothing of a package that is being imported: the switch is asked for when a program first loads a
CLIP.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import inspect
import os
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from opendas_plugin.errors import ConfigError
from opendas_plugin.switch.hosts import HOSTS, Undo
from opendas_plugin.switch.saying import say

OPENAI_LOAD = ("name", "device", "jit", "download_root")
"""What ``clip.load`` of OpenAI's package takes; a fork takes something else."""


Answer: TypeAlias = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""(a function as it was, arguments, arguments by name) -> what it returns now."""


@dataclass(frozen=True)
class Replaced:
    """A function with other code: the function, its own code, a function that still has it, and what answers."""

    function: Any
    code: types.CodeType
    original: Callable[..., Any]
    answer: Answer


class Switch(Protocol):
    """What answers the calls."""

    def create_model(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answers open_clip's ``create_model``; ``original`` is what it would have done."""

    def load_openai_model(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answers open_clip's ``load_openai_model``, which does not go by ``create_model``."""

    def from_pretrained(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answers ``from_pretrained`` of a model of transformers."""

    def part(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answers ``from_pretrained`` of a single tower of transformers."""

    def processor(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answers ``from_pretrained`` of an image processor of transformers."""

    def clip_load(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answers ``clip.load`` of OpenAI's package."""

    def place(self, host: str, path: str | os.PathLike[str]) -> Path:
        """Where a program's features lie, of which it says ``path``."""


_active: list[Callable[[], Switch]] = []
_replaced: dict[str, Replaced] = {}
"""By the function's module and name."""
_led: dict[str, list[Undo]] = {}
"""A module of a program that keeps features -> how what was done to it is taken back."""


CALLS = {
    "open_clip.factory": ("create_model", "create_model"),
    "open_clip.openai": ("load_openai_model", "load_openai_model"),
    "clip.clip": ("load", "clip_load"),
}
"""Module -> the function of it that loads a CLIP, and the switch's method that answers it."""

_CLIP, _SIGLIP = "transformers.models.clip", "transformers.models.siglip"
_PARTS = {
    "CLIP": ("CLIPVisionModel", "CLIPVisionModelWithProjection", "CLIPTextModel", "CLIPTextModelWithProjection"),
    "Siglip": ("SiglipVisionModel", "SiglipTextModel"),
}
CLASSES = {
    f"{_CLIP}.modeling_clip": {
        "CLIPModel": "from_pretrained",
        **dict.fromkeys(_PARTS["CLIP"], "part"),
    },
    f"{_SIGLIP}.modeling_siglip": {
        "SiglipModel": "from_pretrained",
        **dict.fromkeys(_PARTS["Siglip"], "part"),
    },
    f"{_CLIP}.image_processing_clip": {"CLIPImageProcessor": "processor"},
    f"{_CLIP}.image_processing_pil_clip": {"CLIPImageProcessorPil": "processor"},
    f"{_CLIP}.image_processing_clip_fast": {"CLIPImageProcessorFast": "processor"},  # before release 5
    f"{_SIGLIP}.image_processing_siglip": {"SiglipImageProcessor": "processor"},
    f"{_SIGLIP}.image_processing_pil_siglip": {"SiglipImageProcessorPil": "processor"},
    f"{_SIGLIP}.image_processing_siglip_fast": {"SiglipImageProcessorFast": "processor"},
}
"""Module -> its classes whose inherited ``from_pretrained`` is answered, each with the switch's method that does."""


@contextlib.contextmanager
def answering(switch: Switch) -> Iterator[None]:
    """Lets a switch answer all known calls of this process inside the ``with`` block.

    Raises:
        ConfigError: another one does.
    """
    if _active:
        raise ConfigError("an adapter is switched on already; end its block or run before another one is")
    make = functools.partial(lambda found: found, switch)
    turn_on(make)
    try:
        yield
    finally:
        _active.remove(make)
        if not _active:
            sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _AfterImport)]
            for name, (attribute, _) in CALLS.items():
                if f"{name}.{attribute}" in _replaced:
                    _restore(f"{name}.{attribute}")
            for kind, _ in (found for name in CLASSES if name in sys.modules for found in _classes_of(name)):
                if "from_pretrained" in vars(kind):
                    del kind.from_pretrained
            for name in list(_led):
                for undo in _led.pop(name):
                    undo()


def turn_on(make: Callable[[], Switch]) -> None:
    """Lets the switch that ``make`` gives answer all known calls of this process, of modules imported later, too."""
    _active.append(make)
    for module in (*CALLS, *CLASSES, *HOSTS):
        if module in sys.modules:
            _replace(module)
    if not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())


def replace_code(key: str, function: Any, answer: Answer) -> Callable[..., Any]:
    """Lets ``answer`` do what a function does, by whatever name it was imported before.

    Args:
        key: the function's module and name.
        function: a plain one, without a closure.
        answer: what it does from now on.

    Returns:
        A function that does what it did until now.

    Raises:
        TypeError: it is no plain function, so that its code cannot be replaced.
        ConfigError: somebody answers for it already.
    """
    if key in _replaced:
        raise ConfigError(f"an adapter is switched on already for {key}; use one way of switching it on")
    if not isinstance(function, types.FunctionType) or function.__closure__:
        raise TypeError(f"expected a function without a closure, got {function!r}")
    original = types.FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
    original.__kwdefaults__ = function.__kwdefaults__
    signature = inspect.signature(function)
    _replaced[key] = Replaced(function, function.__code__, original, answer)
    space: dict[str, Any] = {}
    exec(  # the code runs with the names of the function's own module, so it imports what it needs
        "def answer(*args, **kwargs):\n"
        "    from opendas_plugin.switch.calls import dispatch\n"
        f"    return dispatch({key!r}, args, kwargs)\n",
        space,
    )
    function.__code__ = space["answer"].__code__
    function.__signature__ = signature  # type: ignore[attr-defined]
    return original


def dispatch(key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a replaced function does."""
    found = _replaced[key]
    return found.answer(found.original, args, kwargs)


def _answer(method: str) -> Answer:
    """What the switch that is on answers, by a method of its."""

    def answer(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return getattr(_active[-1](), method)(original, args, kwargs) if _active else original(*args, **kwargs)

    return answer


def _place(host: str, path: str | os.PathLike[str]) -> Path:
    return _active[-1]().place(host, path) if _active else Path(path)


def _replace(name: str) -> None:
    """Lets the switch answer for a module that is imported."""
    if name in HOSTS:
        if name not in _led:
            try:
                _led[name] = HOSTS[name](sys.modules[name], _place)
            except AttributeError as error:  # another version of the program
                say("%s is not as it is known (%s): the features that it keeps are not led", name, error)
        return
    if name in CLASSES:
        for kind, method in _classes_of(name):
            _answer_for(kind, method)
        return
    attribute, method = CALLS[name]
    if f"{name}.{attribute}" in _replaced:
        return
    function = getattr(sys.modules[name], attribute, None)
    try:
        if name == "clip.clip" and tuple(inspect.signature(function).parameters) != OPENAI_LOAD:  # type: ignore[arg-type]
            raise TypeError(f"{attribute} takes other arguments than the package's own")
        replace_code(f"{name}.{attribute}", function, _answer(method))
    except TypeError:
        where = getattr(sys.modules[name], "__file__", name)
        say("%s.%s (%s) is not the package's own: it stays as it is", name, attribute, where)


def _classes_of(name: str) -> Iterator[tuple[Any, str]]:
    """The classes of a module that its release has, each with the switch's method that answers for it."""
    for attribute, method in CLASSES[name].items():
        if kind := getattr(sys.modules[name], attribute, None):
            yield kind, method


def _answer_for(kind: Any, method: str) -> None:
    """Gives a class a ``from_pretrained`` of its own in the place of the inherited one."""
    if "from_pretrained" in vars(kind):
        return
    inherited, answer = kind.from_pretrained.__func__, _answer(method)

    def from_pretrained(cls: Any, *args: Any, **kwargs: Any) -> Any:
        return answer(functools.partial(inherited, cls), args, kwargs)

    kind.from_pretrained = classmethod(functools.wraps(inherited)(from_pretrained))


def _restore(key: str) -> None:
    found = _replaced.pop(key)
    found.function.__code__ = found.code
    del found.function.__signature__


class _AfterImport(importlib.abc.MetaPathFinder):
    """Replaces the calls of a module once it is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own spec, whose loader replaces the calls behind its work; None for other modules."""
        if name not in CALLS and name not in CLASSES and name not in HOSTS:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                _replace_after(spec.loader, name)
                return spec
        return None


def _replace_after(loader: Any, name: str) -> None:
    run = loader.exec_module

    def exec_module(module: types.ModuleType) -> None:
        run(module)
        _replace(name)

    loader.exec_module = exec_module
